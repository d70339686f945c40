//! What plugins know and keep over one request.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hookwire::model::Object;
use hookwire::{GlobalContext, PluginContext, ReplyContext};

/// The contexts of one request: what all its plugins share, and what each keeps for itself
/// from hook to hook. Make one when a request comes in, and pass it to every run of the
/// [`Chain`](crate::Chain) for it.
///
/// ## Behavior
/// - A plugin sees the shared state, and its own state and metadata; not another plugin's.
/// - What a plugin keeps for itself replaces what it kept before.
/// - What it changes of the shared state is merged key by key, if it runs in `sequential`,
///   `transform` or `concurrent`. A key that it leaves out stays.
/// - A plugin in the background (`fire_and_forget`) starts with nothing of its own, and what
///   it changes is not kept.
/// - A call that fails or is dropped changes nothing.
///
/// ```
/// use hookwire::GlobalContext;
/// use hookwire_gateway::RequestContext;
///
/// let global = GlobalContext::new("request-1").with_server_id("tools-eu");
/// let request = RequestContext::from(global).with_content_type("application/json");
/// assert_eq!(request.global().request_id, "request-1");
/// assert!(request.plugin_state("Guard").is_none());
/// ```
#[derive(Clone)]
pub struct RequestContext {
    /// The shared part, around the own part of `loaded`: a plugin is called with it as it is.
    current: PluginContext,
    loaded: Option<Arc<str>>,
    /// The own parts of all others.
    own: HashMap<Arc<str>, Own>,
    content_type: Option<String>,
}

#[derive(Clone, Default)]
struct Own {
    state: Object,
    metadata: Object,
}

impl RequestContext {
    /// For the request with this id, of which nothing else is known.
    #[must_use]
    pub fn new(request_id: impl Into<String>) -> Self {
        GlobalContext::new(request_id).into()
    }

    /// The media type of the request's body, for the conditions of plugins. Plugins do not
    /// see it: the wire has no field for it.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// What all plugins share.
    #[must_use]
    pub fn global(&self) -> &GlobalContext {
        &self.current.global_context
    }

    /// The same, to change it between two hooks.
    pub fn global_mut(&mut self) -> &mut GlobalContext {
        &mut self.current.global_context
    }

    /// The media type of the request's body.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// What this plugin keeps over the request; `None` if nothing.
    #[must_use]
    pub fn plugin_state(&self, plugin: &str) -> Option<&Object> {
        self.own_of(plugin).map(|(state, _)| state).filter(|state| !state.is_empty())
    }

    /// What this plugin notes about the request; `None` if nothing.
    #[must_use]
    pub fn plugin_metadata(&self, plugin: &str) -> Option<&Object> {
        self.own_of(plugin).map(|(_, metadata)| metadata).filter(|metadata| !metadata.is_empty())
    }

    fn own_of(&self, plugin: &str) -> Option<(&Object, &Object)> {
        if self.loaded.as_deref() == Some(plugin) {
            return Some((&self.current.state, &self.current.metadata));
        }
        self.own.get(plugin).map(|own| (&own.state, &own.metadata))
    }

    /// The context to call this plugin with. Nothing is copied, and nothing is lost if the
    /// call is dropped.
    pub(crate) fn load(&mut self, plugin: &Arc<str>) -> &PluginContext {
        if self.loaded.as_ref() != Some(plugin) {
            // Most plugins keep nothing, and then nothing is to be looked for.
            let own = if self.own.is_empty() { None } else { self.own.remove(plugin) };
            let own = own.unwrap_or_default();
            let state = std::mem::replace(&mut self.current.state, own.state);
            let metadata = std::mem::replace(&mut self.current.metadata, own.metadata);
            if let Some(before) = self.loaded.replace(Arc::clone(plugin))
                && !(state.is_empty() && metadata.is_empty())
            {
                self.own.insert(before, Own { state, metadata });
            }
        }
        &self.current
    }

    /// A copy of the same, for a plugin that is called beside others.
    pub(crate) fn copy_for(&self, plugin: &str) -> PluginContext {
        let mut context = self.copy_without_own();
        if let Some((state, metadata)) = self.own_of(plugin) {
            context.state.clone_from(state);
            context.metadata.clone_from(metadata);
        }
        context
    }

    /// A copy of what is shared, for a plugin in the background.
    pub(crate) fn copy_without_own(&self) -> PluginContext {
        PluginContext::from(self.current.global_context.clone())
    }

    /// Takes over what a plugin has changed. `seen` is the shared state that it was called
    /// with, if that may have changed since: what it left as it was is then not taken for a
    /// change, so that of several plugins side by side none takes back another's.
    pub(crate) fn absorb(
        &mut self,
        plugin: &Arc<str>,
        reply: ReplyContext,
        seen: Option<&Object>,
        may_change_shared: bool,
    ) {
        self.load(plugin);
        // So are most replies.
        let tells_nothing = reply.global_state().is_none()
            && [reply.state(), reply.metadata(), &self.current.state, &self.current.metadata]
                .iter()
                .all(|object| object.is_empty());
        if tells_nothing {
            return;
        }
        let mut replied = PluginContext::new(String::new());
        reply.apply_to(&mut replied);
        self.current.state = replied.state;
        self.current.metadata = replied.metadata;
        if may_change_shared {
            let changed = replied.global_context.state.into_iter();
            let changed =
                changed.filter(|(key, value)| seen.is_none_or(|seen| seen.get(key) != Some(value)));
            self.current.global_context.state.extend(changed);
        }
    }
}

impl From<GlobalContext> for RequestContext {
    fn from(global: GlobalContext) -> Self {
        Self { current: global.into(), loaded: None, own: HashMap::new(), content_type: None }
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("global", self.global())
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}
