//! A credential to act on a caller's behalf.
//!
//! As with `identity_resolve`, the reference client cannot send the caller's
//! token; here a [`Secret`] is blank in `Debug` only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hook;
use crate::model::{Headers, Object, Secret, null_as_default, redacted_debug, setters};

hook! {
    /// `token_delegate`: which credential does the call of this target take?
    TokenDelegate = "token_delegate", TokenDelegatePayload => DelegatedToken
}

/// The payload of [`TokenDelegate`].
///
/// ```
/// use hookwire::hooks::{RouteAttenuation, TokenDelegatePayload};
/// use std::time::Duration;
///
/// let payload = TokenDelegatePayload::new("payroll")
///     .with_required_permissions(vec!["payroll.read".into()])
///     .with_bearer_token("eyJhbGciOi")
///     .with_route_attenuation(RouteAttenuation::new().with_ttl(Duration::from_secs(60)));
/// assert_eq!(payload.target_type, "tool");
/// assert_eq!(payload.auth_enforced_by, "caller");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenDelegatePayload {
    /// The tool, agent or resource that is called.
    pub target_name: String,
    /// What it is. Default: `tool`.
    #[serde(default = "tool")]
    pub target_type: String,
    /// The audience of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_audience: Option<String>,
    /// What the token must permit.
    #[serde(default, deserialize_with = "null_as_default")]
    pub required_permissions: Vec<String>,
    /// The trust domain of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// Who enforces the permissions: `caller`, `target` or `both`. Default: `caller`.
    #[serde(default = "caller")]
    pub auth_enforced_by: String,
    /// How the token is to be narrowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_attenuation: Option<RouteAttenuation>,
    /// The caller's own token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
}

redacted_debug!(TokenDelegatePayload {
    show: target_name, target_type, target_audience, trust_domain, auth_enforced_by, bearer_token,
        route_attenuation;
    size: required_permissions
});

fn tool() -> String {
    "tool".to_owned()
}

fn caller() -> String {
    "caller".to_owned()
}

impl TokenDelegatePayload {
    /// A tool whose permissions the caller enforces.
    #[must_use]
    pub fn new(target_name: impl Into<String>) -> Self {
        Self {
            target_name: target_name.into(),
            target_type: tool(),
            target_audience: None,
            required_permissions: Vec::new(),
            trust_domain: None,
            auth_enforced_by: caller(),
            route_attenuation: None,
            bearer_token: None,
        }
    }
}

setters!(TokenDelegatePayload {
    /// Sets what the target is.
    with_target_type(target_type: impl Into<String>) => target_type = target_type.into();
    /// Sets the audience.
    with_target_audience(audience: impl Into<String>) => target_audience = Some(audience.into());
    /// Sets what the token must permit.
    with_required_permissions(permissions: Vec<String>) => required_permissions = permissions;
    /// Sets the trust domain.
    with_trust_domain(domain: impl Into<String>) => trust_domain = Some(domain.into());
    /// Sets who enforces the permissions.
    with_auth_enforced_by(enforcer: impl Into<String>) => auth_enforced_by = enforcer.into();
    /// Sets how the token is to be narrowed.
    with_route_attenuation(attenuation: RouteAttenuation) => route_attenuation = Some(attenuation);
    /// Sets the caller's own token.
    with_bearer_token(token: impl Into<Secret>) => bearer_token = Some(token.into());
});

/// How a delegated token is to be narrowed (`AttenuationConfig` in the reference).
///
/// ```
/// use hookwire::hooks::RouteAttenuation;
///
/// let narrowed = RouteAttenuation::new().with_actions(vec!["read".into()]);
/// assert_eq!(narrowed.ttl_seconds, None);
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RouteAttenuation {
    /// The capabilities to keep.
    #[serde(default, deserialize_with = "null_as_default")]
    pub capabilities: Vec<String>,
    /// The resources to keep, as a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_template: Option<String>,
    /// The actions to keep.
    #[serde(default, deserialize_with = "null_as_default")]
    pub actions: Vec<String>,
    /// How long the token may live, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<i64>,
}

redacted_debug!(RouteAttenuation {
    show: ttl_seconds;
    size: capabilities, resource_template, actions
});

impl RouteAttenuation {
    /// Nothing is narrowed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

setters!(RouteAttenuation {
    /// Sets the capabilities to keep.
    with_capabilities(capabilities: Vec<String>) => capabilities = capabilities;
    /// Sets the template of the resources to keep.
    with_resource_template(text: impl Into<String>) => resource_template = Some(text.into());
    /// Sets the actions to keep.
    with_actions(actions: Vec<String>) => actions = actions;
    /// Sets how long the token may live, in whole seconds on the wire.
    with_ttl(ttl: Duration) => ttl_seconds = ttl.as_secs().try_into().ok();
});

/// The answer to [`TokenDelegate`] (`DelegationResult` in the reference).
///
/// ```
/// use hookwire::hooks::DelegatedToken;
///
/// use std::time::Duration;
///
/// let kept = Duration::from_secs(60);
/// let token = DelegatedToken::new("eyJhbGciOi").with_cache_key("payroll:ada").with_cache_ttl(kept);
/// assert_eq!(token.cache_ttl(), Some(kept));
/// assert!(!format!("{token:?}").contains("eyJhbGciOi"));
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegatedToken {
    /// The credential for the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegated_token: Option<Secret>,
    /// The chain of delegation after this step.
    #[serde(default, deserialize_with = "null_as_default")]
    pub delegation_update: Object,
    /// Headers to send to the target.
    #[serde(default, deserialize_with = "null_as_default")]
    pub forwarded_headers: Headers,
    /// Under which key the token may be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    /// How long the token may be kept, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_ttl: Option<i64>,
}

redacted_debug!(DelegatedToken {
    show: delegated_token, cache_ttl;
    size: delegation_update, forwarded_headers, cache_key
});

impl DelegatedToken {
    /// A credential for the target.
    #[must_use]
    pub fn new(token: impl Into<Secret>) -> Self {
        Self { delegated_token: Some(token.into()), ..Self::default() }
    }

    /// How long the token may be kept; `None` where the plugin does not tell, or tells a time
    /// that is over.
    #[must_use]
    pub fn cache_ttl(&self) -> Option<Duration> {
        self.cache_ttl.and_then(|seconds| seconds.try_into().ok()).map(Duration::from_secs)
    }
}

setters!(DelegatedToken {
    /// Sets the chain of delegation.
    with_delegation_update(update: Object) => delegation_update = update;
    /// Sets the headers to send to the target.
    with_forwarded_headers(headers: Headers) => forwarded_headers = headers;
    /// Sets the key under which the token may be kept.
    with_cache_key(key: impl Into<String>) => cache_key = Some(key.into());
    /// Sets how long the token may be kept, in whole seconds on the wire.
    with_cache_ttl(ttl: Duration) => cache_ttl = ttl.as_secs().try_into().ok();
});
