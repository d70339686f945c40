//! One entry of the gateway's list of plugins.
//!
//! hookwire needs the name, the socket and the hooks. Everything else it carries for the
//! gateway that runs the plugins, with the defaults of the reference.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::policy::CallPolicy;
use super::problem::{ConfigError, Escaped, Problems};
use super::settings::{EXTERNAL, LOCAL, SHARED, Settings, with_present_mode};
use super::transport::{Endpoint, Transport, UnixSocketSection};
use super::words::{OnError, PluginMode};
use super::{raw, section};
use crate::model::Object;

/// Below this likeness, a suggestion for an unknown key would only puzzle.
const LIKELY: f64 = 0.7;

/// The configuration of one plugin, valid as soon as it exists.
///
/// ## Behavior
/// - Deserialises from an entry of the gateway's file, in any self-describing serde
///   format, or is built in code with [`builder`](Self::builder).
/// - All problems of an entry are reported together, in one [`ConfigError`].
/// - `name` and `unix_socket` are needed; `kind` may be left out and is then `external`.
/// - An external plugin with a `config` section is refused: that belongs to the plugin's
///   server. So is one with a second transport (`mcp` or `grpc`).
/// - Unknown keys are ignored with one warning; inside `unix_socket` they are refused.
/// - What this entry does not set comes from the plugin's server when a handle starts.
///   An empty list is set, a null is not.
///
/// Its `Debug` output leaves out `config`, which may hold secrets.
///
/// ```
/// use hookwire::{PluginConfig, config::PluginMode};
/// use std::time::Duration;
///
/// let plugin = PluginConfig::builder("MyPlugin")
///     .socket("/run/plugins/my.sock")
///     .timeout(Duration::from_secs(5))
///     .hook("tool_pre_invoke")
///     .mode(PluginMode::Transform)
///     .build()?;
/// assert_eq!(plugin.hooks(), ["tool_pre_invoke"]);
/// assert_eq!(plugin.priority(), 100);
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PluginConfig {
    #[serde(flatten, serialize_with = "what_is_set")]
    pub(super) settings: Settings,
    /// The server's own `config`: never written, since it cannot be read back here.
    #[serde(skip)]
    pub(super) reported: Option<Object>,
    pub(super) unix_socket: UnixSocketSection,
}

fn what_is_set<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
    section::written(settings).serialize(serializer)
}

impl PluginConfig {
    /// Reads one entry.
    ///
    /// # Errors
    /// All problems of the entry, together.
    pub fn from_value(entry: Value) -> Result<Self, ConfigError> {
        match entry {
            Value::Object(entry) => Self::from_entry(entry),
            other => {
                let mut problems = Problems::default();
                problems.add("entry", Some(&other), "must be an object");
                problems.unless_any(None, None)
            }
        }
    }

    pub(super) fn from_entry(entry: Object) -> Result<Self, ConfigError> {
        let entry = with_present_mode(entry);
        let mut problems = Problems::default();
        section::refuse_merge_key(&entry, "", &mut problems);
        let settings = Settings::read(&entry, &mut problems);
        warn_of_unknown_keys(&settings.name, &entry);
        let unix_socket = match entry.get("unix_socket") {
            Some(Value::Object(section)) => Some(UnixSocketSection::read(section, &mut problems)),
            None | Some(Value::Null) => {
                problems.add(
                    "unix_socket",
                    None,
                    "missing; hookwire needs this section, with the `path` of the plugin's socket",
                );
                None
            }
            // Refused by its rule.
            Some(_) => None,
        };
        let name = Some(&settings.name).filter(|name| !name.is_empty()).cloned();
        let config = unix_socket.map(|unix_socket| Self { settings, reported: None, unix_socket });
        problems.unless_any(name, config)
    }

    /// This configuration, filled from what the plugin's server reported.
    ///
    /// The name, the kind and the transport are always local; `config` is the server's
    /// wherever it reported one. A value that cannot be read is left out, with a note for
    /// the log: it never stops a plugin that is configured here.
    pub(crate) fn merged_with_remote(&self, remote: &Object) -> (Self, Vec<String>) {
        let mut problems = Problems::default();
        let remote = with_present_mode(remote.clone());
        let mut merged = self.clone();
        merged.settings.fill(&remote, &mut problems);
        if let Some(Value::Object(reported)) = remote.get("config") {
            merged.reported = Some(reported.clone());
        }
        let note = |problem| format!("ignored what the server reported for {problem}");
        (merged, problems.into_vec().iter().map(note).collect())
    }

    /// The name that the plugin's server knows it by, with exact case.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// True if this entry says which hooks, even if it says that there are none.
    pub(crate) fn names_hooks(&self) -> bool {
        self.settings.hooks.is_some()
    }

    /// What kind of plugin it is. Default: `external`.
    pub fn kind(&self) -> &str {
        self.settings.kind.as_deref().unwrap_or(EXTERNAL)
    }

    /// Where the plugin is.
    pub fn endpoint(&self) -> Endpoint {
        self.transport().into()
    }

    /// What the plugin is reached over, with its settings.
    pub fn transport(&self) -> &Transport {
        &self.unix_socket.transport
    }

    /// How the plugin is called, whatever it is reached over.
    pub fn policy(&self) -> &CallPolicy {
        &self.unix_socket.policy
    }

    /// What the plugin does, for people.
    pub fn description(&self) -> Option<&str> {
        self.settings.description.as_deref()
    }

    /// Who wrote it.
    pub fn author(&self) -> Option<&str> {
        self.settings.author.as_deref()
    }

    /// The namespace it lives in.
    pub fn namespace(&self) -> Option<&str> {
        self.settings.namespace.as_deref()
    }

    /// Its version.
    pub fn version(&self) -> Option<&str> {
        self.settings.version.as_deref()
    }

    /// The hook types that this entry names. Default: none; then those count that the plugin's
    /// server lists, which [`PluginHandle::hooks`](crate::PluginHandle::hooks) has.
    pub fn hooks(&self) -> &[String] {
        self.settings.hooks.as_deref().unwrap_or_default()
    }

    /// Words to find it by. Default: none.
    pub fn tags(&self) -> &[String] {
        self.settings.tags.as_deref().unwrap_or_default()
    }

    /// How the gateway runs it. Default: [`PluginMode::Sequential`].
    pub fn mode(&self) -> PluginMode {
        self.settings.mode.unwrap_or_default()
    }

    /// What the gateway does when it fails. Default: [`OnError::Fail`].
    pub fn on_error(&self) -> OnError {
        self.settings.on_error.unwrap_or_default()
    }

    /// Its place among the plugins of a hook, lower runs first. Default: 100.
    pub fn priority(&self) -> i32 {
        self.settings.priority.unwrap_or(100)
    }

    /// The most content that the gateway passes to it, in bytes. Default: 10000000.
    /// hookwire's own limit is [`max_frame_len`](super::UnixSocketConfig::max_frame_len).
    pub fn max_content_size(&self) -> u64 {
        self.settings.max_content_size.unwrap_or(10_000_000)
    }

    /// When the gateway runs it, as JSON: hookwire does not interpret it. Default: always.
    pub fn conditions(&self) -> &[Object] {
        self.settings.conditions.as_deref().unwrap_or_default()
    }

    /// What the gateway applies it to, as JSON: hookwire does not interpret it.
    pub fn applied_to(&self) -> Option<&Object> {
        self.settings.applied_to.as_ref()
    }

    /// What it may see and change, as the gateway defines it: hookwire does not
    /// interpret it. Default: none.
    pub fn capabilities(&self) -> &[String] {
        self.settings.capabilities.as_deref().unwrap_or_default()
    }

    /// The plugin's own settings (`config`), of an external plugin as its server reported them.
    pub fn plugin_settings(&self) -> Option<&Object> {
        self.reported.as_ref().or(self.settings.config.as_ref())
    }
}

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_entry(raw::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginConfig")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("hooks", &self.hooks())
            .field("mode", &self.mode())
            .field("on_error", &self.on_error())
            .field("priority", &self.priority())
            .field("transport", self.transport())
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}

/// Newer gateways add keys, so these stop nobody.
fn warn_of_unknown_keys(plugin: &str, entry: &Object) {
    let unknown: Vec<_> = section::unknown(entry, &[LOCAL, SHARED])
        .into_iter()
        .map(|(key, nearest)| match nearest {
            (nearest, likeness) if likeness >= LIKELY => {
                format!("`{}` (did you mean `{nearest}`?)", Escaped(key))
            }
            _ => format!("`{}`", Escaped(key)),
        })
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        tracing::warn!(plugin, "unknown keys in the plugin's configuration are ignored: {unknown}");
    }
}
