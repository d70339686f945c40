//! What a plugin knows about the request it looks at.
//!
//! One [`GlobalContext`] lives for one request through the gateway, and all plugins
//! share it. Each plugin has a [`PluginContext`] of its own around it, which goes out
//! with every hook call of the plugin in that request. A reply may bring a newer one
//! back: that is how a plugin hands values to its later hooks, and through the global
//! state to other plugins.

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Object, Redacted, Size, null_as_default, redacted_debug, setters};

/// Where a call's stamp stands in its context's metadata, if the plugin is called
/// with [`stamp`](crate::CallPolicy::stamp).
///
/// Callers never see it, and may not use the key themselves then. A plugin sees it
/// in the metadata and must leave it there: a reply without it fails its call.
///
/// ```
/// assert_eq!(hookwire::model::STAMP_KEY, "hookwire.stamp");
/// ```
pub const STAMP_KEY: &str = "hookwire.stamp";

/// The context of one plugin and one request.
///
/// Make one for each plugin from the request's [`GlobalContext`], and keep it for the
/// plugin's later hooks of that request. One that is passed on to another plugin shows
/// it the first one's `state` and `metadata`; only the global state is to travel.
///
/// ## Behavior
/// - When a reply carries a context, `state` and `metadata` are replaced by the
///   reply's, empty or not.
/// - The global `state` is replaced only if the reply's is not empty: the
///   protocol cannot tell an emptied state from an unchanged one, so a plugin
///   cannot clear it.
/// - Nothing else changes; a call that fails or is dropped changes nothing.
///
/// ```
/// use hookwire::PluginContext;
/// use serde_json::json;
///
/// let mut context = PluginContext::new("req-7").with_user("ada").with_tenant_id("acme");
/// context.state.insert("seen".into(), json!(1));
/// assert_eq!(context.global_context.request_id, "req-7");
///
/// // The next plugin of the same request: what is shared goes on, what is private stays.
/// let next = PluginContext::from(context.global_context.clone());
/// assert!(next.state.is_empty());
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginContext {
    /// What all plugins of this request share.
    pub global_context: GlobalContext,
    /// What this plugin keeps over this request.
    #[serde(default, deserialize_with = "null_as_default")]
    pub state: Object,
    /// What this plugin notes about this request.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Object,
}

redacted_debug!(PluginContext { show: global_context; size: state, metadata });

impl PluginContext {
    /// An empty context for the request with this id.
    #[must_use]
    pub fn new(request_id: impl Into<String>) -> Self {
        GlobalContext::new(request_id).into()
    }

    /// Sets the virtual server the request goes to.
    #[must_use]
    pub fn with_server_id(mut self, server_id: impl Into<String>) -> Self {
        self.global_context.server_id = Some(server_id.into());
        self
    }

    /// Sets the tenant the request belongs to.
    #[must_use]
    pub fn with_tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.global_context.tenant_id = Some(tenant_id.into());
        self
    }

    /// Sets the user who made the request.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<User>) -> Self {
        self.global_context.user = Some(user.into());
        self
    }
}

setters!(PluginContext {
    /// Sets the plugin's state.
    with_state(state: Object) => state = state;
    /// Sets the plugin's metadata.
    with_metadata(metadata: Object) => metadata = metadata;
});

impl From<GlobalContext> for PluginContext {
    /// A context without state and metadata of its own.
    fn from(global_context: GlobalContext) -> Self {
        Self { global_context, state: Object::new(), metadata: Object::new() }
    }
}

/// What all plugins that see one request share.
///
/// In JSON it may have the keys `user_context` and `content_type` of the reference's contexts
/// if they are null. The wire has no field for them, so anything else there is an error: a
/// plugin that decides by it would decide without it.
///
/// ```
/// use hookwire::{GlobalContext, PluginContext};
///
/// let shared = GlobalContext::new("req-7").with_server_id("tools-eu");
/// let for_one_plugin = PluginContext::from(shared.clone());
/// let for_another = PluginContext::from(shared);
/// assert_eq!(for_one_plugin, for_another);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GlobalContext {
    /// The id of the request. A reply that brings back another one is refused.
    pub request_id: String,
    /// The virtual server the request goes to. An empty string is absent on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// The tenant the request belongs to. An empty string is absent on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The user who made the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// What the gateway tells plugins about the request; changes of theirs are ignored.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Object,
    /// What the plugins of this request share and may change.
    #[serde(default, deserialize_with = "null_as_default")]
    pub state: Object,
    #[serde(default, skip_serializing, deserialize_with = "no_field_for")]
    user_context: (),
    #[serde(default, skip_serializing, deserialize_with = "no_field_for")]
    content_type: (),
}

/// Reads what the wire has no field for: it may be null, as in the reference's contexts.
fn no_field_for<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match Option::<IgnoredAny>::deserialize(deserializer)? {
        None => Ok(()),
        Some(_) => Err(D::Error::custom(
            "a context's `user_context` and `content_type` do not reach a plugin over a socket; \
             leave them out, and put what plugins are to see into `metadata`",
        )),
    }
}

redacted_debug!(GlobalContext {
    show: request_id, server_id, tenant_id;
    size: user, metadata, state
});

impl GlobalContext {
    /// An empty context for the request with this id.
    #[must_use]
    pub fn new(request_id: impl Into<String>) -> Self {
        Self {
            request_id: request_id.into(),
            server_id: None,
            tenant_id: None,
            user: None,
            metadata: Object::new(),
            state: Object::new(),
            user_context: (),
            content_type: (),
        }
    }
}

setters!(GlobalContext {
    /// Sets the virtual server the request goes to.
    with_server_id(server_id: impl Into<String>) => server_id = Some(server_id.into());
    /// Sets the tenant the request belongs to.
    with_tenant_id(tenant_id: impl Into<String>) => tenant_id = Some(tenant_id.into());
    /// Sets the user who made the request.
    with_user(user: impl Into<User>) => user = Some(user.into());
    /// Sets what plugins may read about the request.
    with_metadata(metadata: Object) => metadata = metadata;
    /// Sets what plugins share.
    with_state(state: Object) => state = state;
});

/// The user who made a request: a name, or whatever the gateway knows.
///
/// ```
/// use hookwire::model::User;
/// use serde_json::json;
///
/// assert_eq!(User::from("ada"), User::Name("ada".into()));
/// let details: User = serde_json::from_value(json!({"email": "ada@example.org"}))?;
/// assert!(matches!(details, User::Details(_)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a user must be a string or an object")]
#[non_exhaustive]
pub enum User {
    /// A name or an id.
    Name(String),
    /// An object, as resolved by the gateway's authentication.
    Details(Object),
}

impl Size for User {
    fn fmt_size(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt_size(f),
            Self::Details(details) => details.fmt_size(f),
        }
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("User").field(&Redacted(self)).finish()
    }
}

impl From<&str> for User {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for User {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<Object> for User {
    fn from(details: Object) -> Self {
        Self::Details(details)
    }
}

/// What a reply brought back for the caller's context. See
/// [`invoke_hook_shared`](crate::PluginHandle::invoke_hook_shared).
#[derive(Clone, PartialEq)]
pub struct ReplyContext {
    /// `None` where the reply has no global state at all.
    pub(crate) global_state: Option<Object>,
    pub(crate) state: Object,
    pub(crate) metadata: Object,
}

redacted_debug!(ReplyContext { show: ; size: global_state, state, metadata });

impl ReplyContext {
    /// What the plugin keeps over this request, in place of what it kept before.
    #[must_use]
    pub fn state(&self) -> &Object {
        &self.state
    }

    /// What the plugin tells about this request, in place of what it told before.
    #[must_use]
    pub fn metadata(&self) -> &Object {
        &self.metadata
    }

    /// What the plugins of this request share from now on; `None` leaves it as it was.
    #[must_use]
    pub fn global_state(&self) -> Option<&Object> {
        // The protocol cannot tell an emptied one from an unchanged one.
        self.global_state.as_ref().filter(|state| !state.is_empty())
    }

    /// Changes a context as [`PluginContext`] tells under "Behavior".
    pub fn apply_to(self, context: &mut PluginContext) {
        context.state = self.state;
        context.metadata = self.metadata;
        if let Some(state) = self.global_state.filter(|state| !state.is_empty()) {
            context.global_context.state = state;
        }
    }
}

#[cfg(test)]
mod tests;
