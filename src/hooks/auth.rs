//! Who makes an HTTP request, and may they?

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook;
use crate::model::{Headers, Object, PluginViolation, null_as_default, redacted_debug, setters};

hook! {
    /// `http_auth_resolve_user`: who makes this request? The answer is the user.
    HttpAuthResolveUser = "http_auth_resolve_user", HttpAuthResolveUserPayload => Object
}

hook! {
    /// `http_auth_check_permission`: may this user do that?
    ///
    /// A decision that does not grant it is a denial, even where `continue_processing` is true.
    /// A plugin that allows without a decision has no opinion, which grants nothing.
    HttpAuthCheckPermission = "http_auth_check_permission",
    HttpAuthCheckPermissionPayload => PermissionDecision;
    refusal: |decision| (!decision.granted).then(|| not_granted(decision.reason.as_deref())),
    refusal_json: |decision| {
        let granted = decision.get("granted") == Some(&Value::Bool(true));
        (!granted).then(|| not_granted(decision.get("reason").and_then(Value::as_str)))
    }
}

fn not_granted(reason: Option<&str>) -> PluginViolation {
    PluginViolation::new("NOT_GRANTED")
        .with_reason(reason.unwrap_or("the permission is not granted"))
        .with_http_status_code(403)
}

/// The payload of [`HttpAuthResolveUser`].
///
/// ```
/// use hookwire::hooks::HttpAuthResolveUserPayload;
/// use serde_json::{Map, json};
///
/// let credentials = Map::from_iter([("scheme".to_owned(), json!("Bearer"))]);
/// let payload = HttpAuthResolveUserPayload::new().with_credentials(credentials);
/// assert!(payload.headers.is_empty());
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpAuthResolveUserPayload {
    /// The credentials as the gateway found them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Object>,
    /// The headers of the request. Always on the wire; null is read as empty.
    #[serde(deserialize_with = "null_as_default")]
    pub headers: Headers,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_host: Option<String>,
    /// The client's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_port: Option<u16>,
}

redacted_debug!(HttpAuthResolveUserPayload {
    show: client_port;
    size: credentials, headers, client_host
});

impl HttpAuthResolveUserPayload {
    /// A request without credentials and headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

setters!(HttpAuthResolveUserPayload {
    /// Sets the credentials.
    with_credentials(credentials: Object) => credentials = Some(credentials);
    /// Sets the headers.
    with_headers(headers: Headers) => headers = headers;
    /// Sets the client's address.
    with_client_host(host: impl Into<String>) => client_host = Some(host.into());
    /// Sets the client's port.
    with_client_port(port: u16) => client_port = Some(port);
});

/// The payload of [`HttpAuthCheckPermission`].
///
/// ```
/// use hookwire::hooks::HttpAuthCheckPermissionPayload;
///
/// let payload = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute")
///     .with_resource_type("tool");
/// assert!(!payload.is_admin);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpAuthCheckPermissionPayload {
    /// The user's e-mail address.
    pub user_email: String,
    /// What the user wants to do, such as `tools.execute`.
    pub permission: String,
    /// The kind of resource it is done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The team the user acts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// Whether the user is an administrator. Default: false.
    #[serde(default)]
    pub is_admin: bool,
    /// How the user logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_host: Option<String>,
    /// The client's `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

redacted_debug!(HttpAuthCheckPermissionPayload {
    show: permission, resource_type, team_id, is_admin, auth_method;
    size: user_email, client_host, user_agent
});

impl HttpAuthCheckPermissionPayload {
    /// A user who is no administrator, and what they want to do.
    #[must_use]
    pub fn new(user_email: impl Into<String>, permission: impl Into<String>) -> Self {
        Self {
            user_email: user_email.into(),
            permission: permission.into(),
            resource_type: None,
            team_id: None,
            is_admin: false,
            auth_method: None,
            client_host: None,
            user_agent: None,
        }
    }
}

setters!(HttpAuthCheckPermissionPayload {
    /// Sets the kind of resource.
    with_resource_type(kind: impl Into<String>) => resource_type = Some(kind.into());
    /// Sets the team.
    with_team_id(team_id: impl Into<String>) => team_id = Some(team_id.into());
    /// Sets whether the user is an administrator.
    with_is_admin(is_admin: bool) => is_admin = is_admin;
    /// Sets how the user logged in.
    with_auth_method(method: impl Into<String>) => auth_method = Some(method.into());
    /// Sets the client's address.
    with_client_host(host: impl Into<String>) => client_host = Some(host.into());
    /// Sets the client's `User-Agent`.
    with_user_agent(agent: impl Into<String>) => user_agent = Some(agent.into());
});

/// The answer to [`HttpAuthCheckPermission`].
///
/// One that is not granted is a denial. Reading one without `granted` is an error: silence
/// grants nothing.
///
/// ```
/// use hookwire::hooks::PermissionDecision;
///
/// let decision = PermissionDecision::new(false).with_reason("not in the team");
/// assert!(!decision.granted);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PermissionDecision {
    /// Whether the user may do it.
    pub granted: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

redacted_debug!(PermissionDecision { show: granted; size: reason });

impl PermissionDecision {
    /// A decision without a reason.
    #[must_use]
    pub fn new(granted: bool) -> Self {
        Self { granted, reason: None }
    }
}

setters!(PermissionDecision {
    /// Sets the reason.
    with_reason(reason: impl Into<String>) => reason = Some(reason.into());
});
