//! A plugin's configuration, as the server reports it.

use serde::Serialize;
use serde_json::Value;

use crate::config::{OnError, PluginMode};
use crate::model::{Object, redacted_debug, setters};

/// The name of a plugin and what `GetPluginConfig` answers about it.
///
/// A name alone will do: every text is one. The gateway takes from the rest what
/// its own configuration does not set.
///
/// ```
/// use hookwire::config::PluginMode;
/// use hookwire::server::{Handlers, PluginInfo, PluginServer};
///
/// let info = PluginInfo::new("Guard")
///     .with_description("Keeps tools away from production")
///     .with_mode(PluginMode::Concurrent)
///     .with_priority(10);
/// let builder = PluginServer::builder().plugin(info, Handlers::new());
/// ```
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PluginInfo {
    /// The name that hook calls must use, with exact case.
    pub name: String,
    /// What the plugin is; the reference names its Python class here. Default: `hookwire`.
    pub kind: String,
    /// The hook types that it wants to be called for. Default: those of the plugin.
    pub hooks: Option<Vec<String>>,
    /// How the gateway shall run it. Default: sequential. A disabled plugin is
    /// listed, and its hooks are not found.
    pub mode: PluginMode,
    /// What the gateway shall do when it fails. Default: fail.
    pub on_error: OnError,
    /// Its place among the plugins of a hook, lower runs first. Default: 100.
    pub priority: i32,
    /// What it does, for people.
    pub description: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The namespace it lives in.
    pub namespace: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Its own settings. Clients get to see them: leave secrets out.
    pub config: Option<Object>,
}

redacted_debug!(PluginInfo {
    show: name, kind, hooks, mode, on_error, priority, description, author, namespace, version, tags;
    size: config
});

impl PluginInfo {
    /// A plugin of this name, with defaults for the rest.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: "hookwire".to_owned(),
            hooks: None,
            mode: PluginMode::default(),
            on_error: OnError::default(),
            priority: 100,
            description: None,
            author: None,
            namespace: None,
            version: None,
            tags: Vec::new(),
            config: None,
        }
    }
}

setters!(PluginInfo {
    /// Sets the kind.
    with_kind(kind: impl Into<String>) => kind = kind.into();
    /// Sets the hook types that are listed, in place of the plugin's own list.
    with_hooks(hooks: Vec<String>) => hooks = Some(hooks);
    /// Sets the mode.
    with_mode(mode: PluginMode) => mode = mode;
    /// Sets what the gateway does on errors.
    with_on_error(on_error: OnError) => on_error = on_error;
    /// Sets the priority.
    with_priority(priority: i32) => priority = priority;
    /// Sets the description.
    with_description(description: impl Into<String>) => description = Some(description.into());
    /// Sets the author.
    with_author(author: impl Into<String>) => author = Some(author.into());
    /// Sets the namespace.
    with_namespace(namespace: impl Into<String>) => namespace = Some(namespace.into());
    /// Sets the version.
    with_version(version: impl Into<String>) => version = Some(version.into());
    /// Sets the tags.
    with_tags(tags: Vec<String>) => tags = tags;
    /// Sets the plugin's own settings.
    with_config(config: Object) => config = Some(config);
});

impl From<&str> for PluginInfo {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for PluginInfo {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// The info with all keys of the reference's answer, most of them unset.
#[derive(Debug, Serialize)]
pub(super) struct Listing<'a> {
    #[serde(flatten)]
    info: &'a PluginInfo,
    max_content_size: u32,
    capabilities: [Value; 0],
    conditions: [Value; 0],
    applied_to: (),
    mcp: (),
    grpc: (),
    unix_socket: (),
}

impl<'a> From<&'a PluginInfo> for Listing<'a> {
    fn from(info: &'a PluginInfo) -> Self {
        Self {
            info,
            max_content_size: 10_000_000,
            capabilities: [],
            conditions: [],
            applied_to: (),
            mcp: (),
            grpc: (),
            unix_socket: (),
        }
    }
}
