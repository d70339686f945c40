//! Writes an entry in code.
//!
//! The builder holds the same JSON object that a file holds, and `build` has it
//! read: a configuration from code passes exactly the checks of one from a file.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::entry::Object;
use super::plugin::PluginConfig;
use super::problem::ConfigError;
use super::setting::Knob;
use super::socket::UnixSocketBuilder;
use super::words::{OnError, PluginMode};

/// Builds a [`PluginConfig`]; what is not set comes from the plugin's server, or
/// has its default.
///
/// ```
/// use hookwire::{PluginConfig, UnixSocketConfig};
///
/// let error = PluginConfig::builder("MyPlugin")
///     .unix_socket(UnixSocketConfig::builder("my.sock").max_connections(0))
///     .build()
///     .unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// ```
#[derive(Debug, Clone)]
#[must_use = "`build` makes the configuration"]
pub struct PluginBuilder {
    entry: Object,
    socket: Option<UnixSocketBuilder>,
}

impl PluginBuilder {
    pub(super) fn new(name: String) -> Self {
        let entry = Object::from_iter([("name".to_owned(), name.into())]);
        Self { entry, socket: None }
    }

    /// Checks everything that was set.
    ///
    /// # Errors
    /// All problems of the plugin and its socket, together.
    pub fn build(self) -> Result<PluginConfig, ConfigError> {
        let mut entry = self.entry;
        if let Some(socket) = self.socket {
            entry.insert("unix_socket".into(), Value::Object(socket.into_entry()));
        }
        PluginConfig::from_entry(&entry)
    }

    /// The path of the plugin's socket, absolute. Other knobs keep what they were set to.
    pub fn socket(mut self, path: impl AsRef<Path>) -> Self {
        self.socket = Some(self.socket.unwrap_or_default().path(path.as_ref()));
        self
    }

    /// The time a call has for everything, as in
    /// [`UnixSocketConfig::timeout`](super::UnixSocketConfig::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.socket = Some(self.socket.unwrap_or_default().timeout(timeout));
        self
    }

    /// The whole `unix_socket` section, with all its knobs: a
    /// [`UnixSocketConfig`](super::UnixSocketConfig), or the
    /// [builder](super::UnixSocketConfig::builder) of one, whose problems are then reported
    /// together with the plugin's. Replaces what was set before.
    pub fn unix_socket(mut self, socket: impl Into<UnixSocketBuilder>) -> Self {
        self.socket = Some(socket.into());
        self
    }

    /// One more hook type that the plugin is called for.
    pub fn hook(self, hook: impl Into<String>) -> Self {
        self.push("hooks", hook.into().into())
    }

    /// More hook types that the plugin is called for.
    pub fn hooks<H: Into<String>>(self, hooks: impl IntoIterator<Item = H>) -> Self {
        hooks.into_iter().fold(self, Self::hook)
    }

    /// How the gateway runs the plugin.
    pub fn mode(self, mode: PluginMode) -> Self {
        self.set("mode", mode.write())
    }

    /// What the gateway does when the plugin fails.
    pub fn on_error(self, on_error: OnError) -> Self {
        self.set("on_error", on_error.write())
    }

    /// The plugin's place among others, lower runs first.
    pub fn priority(self, priority: i32) -> Self {
        self.set("priority", priority.into())
    }

    /// The most content that the gateway passes to the plugin, in bytes.
    pub fn max_content_size(self, bytes: u64) -> Self {
        self.set("max_content_size", bytes.into())
    }

    /// What the plugin does, for people.
    pub fn description(self, description: impl Into<String>) -> Self {
        self.set("description", description.into().into())
    }

    /// Who wrote the plugin.
    pub fn author(self, author: impl Into<String>) -> Self {
        self.set("author", author.into().into())
    }

    /// The namespace that the plugin lives in.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.set("namespace", namespace.into().into())
    }

    /// The plugin's version.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.set("version", version.into().into())
    }

    /// One more word to find the plugin by.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.push("tags", tag.into().into())
    }

    /// One more capability, as the gateway defines them.
    pub fn capability(self, capability: impl Into<String>) -> Self {
        self.push("capabilities", capability.into().into())
    }

    /// One more condition for running the plugin, as the gateway defines them.
    pub fn condition(self, condition: Object) -> Self {
        self.push("conditions", condition.into())
    }

    /// What the plugin is applied to, as the gateway defines it.
    pub fn applied_to(self, applied_to: Object) -> Self {
        self.set("applied_to", applied_to.into())
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.entry.insert(key.into(), value);
        self
    }

    fn push(mut self, key: &str, value: Value) -> Self {
        let list = self.entry.entry(key).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list {
            items.push(value);
        }
        self
    }
}

/// To change what an entry of the gateway's file says, or to add to it. The server's own
/// `config` is not taken along.
///
/// ```
/// use hookwire::config::PluginBuilder;
/// use hookwire::PluginConfig;
///
/// let entry = serde_json::json!({"name": "Guard", "unix_socket": {"path": "/run/guard.sock"}});
/// let guard = PluginConfig::from_value(entry)?;
/// let guard = PluginBuilder::from(guard).hook("tool_pre_invoke").build()?;
/// assert_eq!(guard.hooks(), ["tool_pre_invoke"]);
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
impl From<PluginConfig> for PluginBuilder {
    fn from(config: PluginConfig) -> Self {
        let socket = Some(config.unix_socket().clone().into());
        // A configuration is always an object of JSON; anything else would have no name,
        // and `build` would say so.
        let entry = match serde_json::to_value(&config) {
            Ok(Value::Object(entry)) => entry,
            _ => Object::new(),
        };
        Self { entry, socket }
    }
}
