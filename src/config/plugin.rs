//! One entry of the gateway's list of plugins.
//!
//! hookwire needs the name, the socket and the hooks. Everything else it carries
//! for the gateway that runs the plugins, with the defaults of the reference.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::builder::PluginBuilder;
use super::entry::{self, Object, Section};
use super::merge::Settings;
use super::problem::{ConfigError, Problems};
use super::socket::UnixSocketConfig;
use super::words::{OnError, PluginMode};

/// The kind of every plugin that is reached over a transport.
const EXTERNAL: &str = "external";

/// The keys that say who the plugin is and how it is reached: always local.
const OWN_KEYS: [&str; 5] = ["name", "kind", "mcp", "grpc", "unix_socket"];

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
    name: String,
    kind: String,
    #[serde(flatten)]
    pub(super) settings: Settings,
    /// The server's own section: never written, since it cannot be read back here.
    #[serde(skip)]
    pub(super) remote_config: Option<Object>,
    unix_socket: UnixSocketConfig,
}

impl PluginConfig {
    /// Starts the configuration of an external plugin; it still needs a
    /// [`socket`](PluginBuilder::socket).
    pub fn builder(name: impl Into<String>) -> PluginBuilder {
        PluginBuilder::new(name.into())
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// All problems of the entry, together.
    pub fn from_value(entry: Value) -> Result<Self, ConfigError> {
        match entry {
            Value::Object(entry) => Self::from_entry(&entry),
            other => {
                let mut problems = Problems::default();
                problems.refused("entry".into(), &other, "must be an object");
                problems.unless_any(None, None)
            }
        }
    }

    pub(super) fn from_entry(entry: &Object) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let mut section = Section::new("", entry, &mut problems);
        let name = read_name(&mut section);
        let kind = section.read("kind", &()).unwrap_or_else(|| EXTERNAL.to_owned());
        let mut settings = Settings::read(&mut section);
        if kind == EXTERNAL {
            refuse_config(&mut section, &mut settings);
            refuse_other_transports(&mut section);
        }
        warn_of_unknown_keys(name.as_deref(), &section);
        let socket: Option<Object> = require_socket(&mut section);
        let socket = socket.map(|socket| UnixSocketConfig::read(&socket, &mut problems));

        let parsed = name.clone().zip(socket).map(|(name, unix_socket)| Self {
            name,
            kind,
            settings,
            remote_config: None,
            unix_socket,
        });
        problems.unless_any(name, parsed)
    }

    /// The name that the plugin's server knows it by, with exact case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of plugin it is; `external` where the entry does not say.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Where the plugin listens, and how it may be called.
    #[must_use]
    pub fn unix_socket(&self) -> &UnixSocketConfig {
        &self.unix_socket
    }

    /// What the plugin does, for people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.settings.description.as_deref()
    }

    /// Who wrote it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.settings.author.as_deref()
    }

    /// The namespace it lives in.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.settings.namespace.as_deref()
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.settings.version.as_deref()
    }

    /// The hook types that it wants to be called for. Default: none.
    #[must_use]
    pub fn hooks(&self) -> &[String] {
        self.settings.hooks.as_deref().unwrap_or_default()
    }

    /// Words to find it by. Default: none.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        self.settings.tags.as_deref().unwrap_or_default()
    }

    /// How the gateway runs it. Default: [`PluginMode::Sequential`].
    #[must_use]
    pub fn mode(&self) -> PluginMode {
        self.settings.mode.unwrap_or_default()
    }

    /// What the gateway does when it fails. Default: [`OnError::Fail`].
    #[must_use]
    pub fn on_error(&self) -> OnError {
        self.settings.on_error.unwrap_or_default()
    }

    /// Its place among the plugins of a hook, lower runs first. Default: 100.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.settings.priority.unwrap_or(100)
    }

    /// The most content that the gateway passes to it, in bytes. Default: 10000000.
    /// hookwire's own limit is [`UnixSocketConfig::max_frame_len`].
    #[must_use]
    pub fn max_content_size(&self) -> u64 {
        self.settings.max_content_size.unwrap_or(10_000_000)
    }

    /// When the gateway runs it, as JSON: hookwire does not interpret it. Default: always.
    #[must_use]
    pub fn conditions(&self) -> &[Object] {
        self.settings.conditions.as_deref().unwrap_or_default()
    }

    /// What the gateway applies it to, as JSON: hookwire does not interpret it.
    #[must_use]
    pub fn applied_to(&self) -> Option<&Object> {
        self.settings.applied_to.as_ref()
    }

    /// What it may see and change, as the gateway defines it: hookwire does not
    /// interpret it. Default: none.
    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        self.settings.capabilities.as_deref().unwrap_or_default()
    }

    /// The plugin's own settings, of an external plugin as its server reported them.
    #[must_use]
    pub fn config(&self) -> Option<&Object> {
        self.remote_config.as_ref().or(self.settings.config.as_ref())
    }
}

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = entry::deserialize(deserializer)?;
        Self::from_entry(&entry).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("hooks", &self.hooks())
            .field("mode", &self.mode())
            .field("on_error", &self.on_error())
            .field("priority", &self.priority())
            .field("unix_socket", &self.unix_socket)
            .finish_non_exhaustive()
    }
}

fn read_name(section: &mut Section<'_>) -> Option<String> {
    if section.raw("name").is_none() {
        section.complain("name", "missing; it must be the plugin's name on its server");
    }
    let name: String = section.read("name", &())?;
    if name.is_empty() {
        section.refuse("name", "must not be empty");
        return None;
    }
    Some(name)
}

fn refuse_config(section: &mut Section<'_>, settings: &mut Settings) {
    // As in the reference, an empty section is as good as none.
    if settings.config.take().is_some_and(|config| !config.is_empty()) {
        section.refuse(
            "config",
            "refused for an external plugin; set it in the configuration of the plugin's server",
        );
    }
}

fn refuse_other_transports(section: &mut Section<'_>) {
    // Without a `unix_socket`, that it is missing says it all.
    if section.raw("unix_socket").is_none() {
        return;
    }
    for other in ["mcp", "grpc"] {
        if section.raw(other).is_some() {
            section.complain(other, "an external plugin has exactly one transport, this one also has `unix_socket`; remove one of them");
        }
    }
}

fn require_socket(section: &mut Section<'_>) -> Option<Object> {
    if section.raw("unix_socket").is_none() {
        section.complain(
            "unix_socket",
            "missing; hookwire needs this section, with the `path` of the plugin's socket",
        );
    }
    section.read("unix_socket", &())
}

/// Newer gateways add keys, so these stop nobody.
fn warn_of_unknown_keys(plugin: Option<&str>, section: &Section<'_>) {
    let known = [&OWN_KEYS[..], Settings::KEYS].concat();
    let unknown: Vec<String> = section
        .keys()
        .filter(|key| !known.contains(key))
        .map(|key| match entry::nearest(key, &known) {
            (nearest, likeness) if likeness >= LIKELY => {
                format!("`{key}` (did you mean `{nearest}`?)")
            }
            _ => format!("`{key}`"),
        })
        .collect();
    if !unknown.is_empty() {
        tracing::warn!(
            plugin = plugin.unwrap_or_default(),
            "unknown keys in the plugin's configuration are ignored: {}",
            unknown.join(", ")
        );
    }
}
