//! A plugin's entry in the configuration of its own server, as the server reports it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::words::{OnError, PluginMode, with_present_mode};
use crate::model::Object;

/// A plugin's entry on its server. **The server acts on it first**: what the gateway's own
/// entry asks for applies to what is left.
///
/// Its `Debug` output leaves out `config`, which may hold secrets; [`as_object`](Self::as_object)
/// has it.
///
/// ```
/// use hookwire::ServerEntry;
/// use hookwire::config::PluginMode;
/// use serde_json::json;
///
/// let reported = json!({"name": "Guard", "mode": "audit", "hooks": ["tool_pre_invoke"]});
/// let entry = ServerEntry::from(reported.as_object().cloned().unwrap_or_default());
/// assert_eq!(entry.mode(), Some(PluginMode::Audit));
/// ```
#[derive(Clone, PartialEq)]
pub struct ServerEntry {
    object: Object,
    mode: Option<PluginMode>,
    on_error: Option<OnError>,
    hooks: Option<Vec<String>>,
    complete: bool,
}

impl ServerEntry {
    /// `complete` is false where the server could not write all of it.
    pub(crate) fn new(object: Object, complete: bool) -> Self {
        let present = with_present_mode(object.clone());
        Self {
            mode: read(&present, "mode"),
            on_error: read(&present, "on_error"),
            hooks: read(&present, "hooks"),
            object,
            complete,
        }
    }

    /// The plugin's name on the server.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// The plugin's version.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.text("version")
    }

    /// How the server runs the plugin; older words as their successors. `None` if the server
    /// reports none, or a word that is not known here.
    #[must_use]
    pub fn mode(&self) -> Option<PluginMode> {
        self.mode
    }

    /// What the server does when the plugin fails. `None` as of [`mode`](Self::mode).
    #[must_use]
    pub fn on_error(&self) -> Option<OnError> {
        self.on_error
    }

    /// The hook types that the server lists for the plugin. `None` if it reports no list.
    #[must_use]
    pub fn hooks(&self) -> Option<&[String]> {
        self.hooks.as_deref()
    }

    /// False if the server could not write a value of the plugin's own `config`, such as a
    /// date or a key that is no string: what it had written until then is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// All of it, as JSON.
    #[must_use]
    pub fn as_object(&self) -> &Object {
        &self.object
    }

    /// The keys whose values differ from those of `before`.
    pub(crate) fn changes(&self, before: &Self) -> Vec<String> {
        let keys = before.object.keys().chain(self.object.keys());
        let differs = |key: &&String| before.object.get(*key) != self.object.get(*key);
        let mut changed: Vec<_> = keys.filter(differs).cloned().collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.object.get(key).and_then(Value::as_str)
    }
}

fn read<T: DeserializeOwned>(entry: &Object, key: &str) -> Option<T> {
    entry.get(key).and_then(|value| T::deserialize(value).ok())
}

/// A complete entry, such as one of [`plugin_configs`](crate::PluginHandle::plugin_configs).
impl From<Object> for ServerEntry {
    fn from(object: Object) -> Self {
        Self::new(object, true)
    }
}

impl fmt::Debug for ServerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEntry")
            .field("name", &self.name())
            .field("version", &self.version())
            .field("hooks", &self.hooks)
            .field("mode", &self.mode)
            .field("on_error", &self.on_error)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}
