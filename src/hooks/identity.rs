//! Who a credential stands for.
//!
//! The reference client cannot send this hook: its model blanks the token out
//! when it serialises. Here a [`Secret`] is blank in `Debug` only.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook;
use crate::model::{
    Headers, Object, PluginViolation, Secret, null_as_default, redacted_debug, setters,
};

hook! {
    /// `identity_resolve`: who does this credential stand for?
    ///
    /// An identity that is rejected is a denial, even where `continue_processing` is true.
    IdentityResolve = "identity_resolve", IdentityResolvePayload => ResolvedIdentity;
    refusal: |identity| {
        let ResolvedIdentity { reject_reason, reject_status, .. } = identity;
        identity.rejected.then(|| rejected(reject_reason, *reject_status))
    },
    refusal_json: |identity| {
        // Where it is not plainly absent or false, it is no acceptance.
        let accepted = matches!(identity.get("rejected"), None | Some(Value::Bool(false)));
        let reason = identity.get("reject_reason").and_then(Value::as_str);
        let status = identity.get("reject_status").and_then(Value::as_i64);
        (!accepted).then(|| rejected(reason.unwrap_or_default(), status.unwrap_or(unauthorized())))
    }
}

fn rejected(reason: &str, status: i64) -> PluginViolation {
    let reason = if reason.is_empty() { "the credential is rejected" } else { reason };
    PluginViolation::new("IDENTITY_REJECTED").with_reason(reason).with_http_status_code(status)
}

/// The payload of [`IdentityResolve`].
///
/// ```
/// use hookwire::hooks::IdentityResolvePayload;
///
/// let payload = IdentityResolvePayload::new("eyJhbGciOi").with_client_host("10.0.0.7");
/// assert_eq!(payload.source, "bearer");
/// assert!(!format!("{payload:?}").contains("eyJhbGciOi"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdentityResolvePayload {
    /// The credential as it came.
    pub raw_token: Secret,
    /// Where it came from: `bearer`, `mtls`, `api_key` or another word. Default: `bearer`.
    #[serde(default = "bearer")]
    pub source: String,
    /// The headers of the request.
    #[serde(default, deserialize_with = "null_as_default")]
    pub headers: Headers,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_host: Option<String>,
    /// The client's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_port: Option<u16>,
}

redacted_debug!(IdentityResolvePayload {
    show: raw_token, source, client_port;
    size: headers, client_host
});

fn bearer() -> String {
    "bearer".to_owned()
}

impl IdentityResolvePayload {
    /// A bearer token.
    #[must_use]
    pub fn new(raw_token: impl Into<Secret>) -> Self {
        Self {
            raw_token: raw_token.into(),
            source: bearer(),
            headers: Headers::new(),
            client_host: None,
            client_port: None,
        }
    }
}

setters!(IdentityResolvePayload {
    /// Sets where the credential came from.
    with_source(source: impl Into<String>) => source = source.into();
    /// Sets the headers.
    with_headers(headers: Headers) => headers = headers;
    /// Sets the client's address.
    with_client_host(host: impl Into<String>) => client_host = Some(host.into());
    /// Sets the client's port.
    with_client_port(port: u16) => client_port = Some(port);
});

/// The answer to [`IdentityResolve`] (`IdentityResult` in the reference). One that is
/// rejected is a denial.
///
/// ```
/// use hookwire::hooks::ResolvedIdentity;
///
/// let refused = ResolvedIdentity::rejected("token expired");
/// assert_eq!((refused.rejected, refused.reject_status), (true, 401));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResolvedIdentity {
    /// Who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Object>,
    /// On whose behalf they act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Object>,
    /// Whether the credential is refused. Default: false; null is an error.
    #[serde(default)]
    pub rejected: bool,
    /// The HTTP status of a refusal. Default: 401.
    #[serde(default = "unauthorized")]
    pub reject_status: i64,
    /// Why it is refused. Default: empty.
    #[serde(default)]
    pub reject_reason: String,
    /// All claims of the token.
    #[serde(default, deserialize_with = "null_as_default")]
    pub raw_claims: Object,
}

redacted_debug!(ResolvedIdentity {
    show: rejected, reject_status;
    size: reject_reason, subject, delegation, raw_claims
});

fn unauthorized() -> i64 {
    401
}

impl ResolvedIdentity {
    /// An identity of which nothing but the subject is known.
    #[must_use]
    pub fn new(subject: Object) -> Self {
        Self { subject: Some(subject), ..Self::default() }
    }

    /// A refusal with status 401.
    #[must_use]
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self { rejected: true, reject_reason: reason.into(), ..Self::default() }
    }
}

impl Default for ResolvedIdentity {
    /// Neither an identity nor a refusal.
    fn default() -> Self {
        Self {
            subject: None,
            delegation: None,
            rejected: false,
            reject_status: unauthorized(),
            reject_reason: String::new(),
            raw_claims: Object::new(),
        }
    }
}

setters!(ResolvedIdentity {
    /// Sets on whose behalf the subject acts.
    with_delegation(delegation: Object) => delegation = Some(delegation);
    /// Sets the HTTP status of a refusal.
    with_reject_status(status: i64) => reject_status = status;
    /// Sets the claims.
    with_raw_claims(claims: Object) => raw_claims = claims;
});
