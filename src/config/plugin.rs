//! One entry of the gateway's list of plugins: the keys that it has beside its transport, who the
//! plugin is, and what the gateway is told about it.
//!
//! hookwire needs the name, the transport and the hooks. Everything else it carries for the
//! gateway that runs the plugins, with the defaults of the reference.

use std::fmt;

use serde::{Serialize, Serializer};

use super::keys::keys;
use super::policy::CallPolicy;
use super::rule::{name, object, objects, some, text, texts, whole, word};
use super::section;
use super::transport::{Reach, Transport};
use super::words::{OnError, PluginMode};
use crate::endpoint::Endpoint;
use crate::model::Object;

/// The kind of every plugin that is reached over a transport.
pub(super) const EXTERNAL: &str = "external";

/// The configuration of one plugin, valid as soon as it exists.
///
/// Deserialises from an entry of the gateway's file, in any self-describing serde format, or
/// is built in code with [`builder`](Self::builder). `name` and `unix_socket` are needed, or
/// `name` and `grpc` (feature `grpc`).
/// Unknown keys are ignored with one warning; inside those sections they are refused. What an
/// entry does not set comes from the plugin's server when a handle starts: an empty list is
/// set, a null is not.
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
    #[serde(flatten)]
    pub(super) local: Local,
    #[serde(flatten, serialize_with = "what_is_set")]
    pub(super) settings: Settings,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Object>,
    /// The server's own `config`: never written, since it cannot be read back here.
    #[serde(skip)]
    pub(super) reported: Option<Object>,
    #[serde(flatten, serialize_with = "Reach::in_its_section")]
    pub(super) reach: Reach,
}

fn what_is_set<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
    section::written(settings).serialize(serializer)
}

// Always local.
keys! {
    struct Local, local of PluginConfig;

    /// The name that the plugin's server knows it by, with exact case.
    pub fn name: String = String::new(), name => &str, |all| &all.name;
    /// What kind of plugin it is. Default: `external`.
    pub fn kind: String = EXTERNAL.into(), name => &str, |all| &all.kind;
}

// Filled by the plugin's server where the entry does not set them; `None` is "not set".
keys! {
    struct Settings, settings of PluginConfig;

    /// What the plugin does, for people.
    pub fn description: Option<String> = None, some(text)
        => Option<&str>, |all| all.description.as_deref();
    /// Who wrote it.
    pub fn author: Option<String> = None, some(text) => Option<&str>, |all| all.author.as_deref();
    /// The namespace it lives in.
    pub fn namespace: Option<String> = None, some(text)
        => Option<&str>, |all| all.namespace.as_deref();
    /// Its version.
    pub fn version: Option<String> = None, some(text) => Option<&str>, |all| all.version.as_deref();
    /// The hook types that this entry names. Default: none; then those count that the plugin's
    /// server lists, which [`PluginHandle::hooks`](crate::PluginHandle::hooks) has.
    pub fn hooks: Option<Vec<String>> = None, some(texts)
        => &[String], |all| all.hooks.as_deref().unwrap_or_default();
    /// Words to find it by. Default: none.
    pub fn tags: Option<Vec<String>> = None, some(texts)
        => &[String], |all| all.tags.as_deref().unwrap_or_default();
    /// How the gateway runs it. Default: [`PluginMode::Sequential`].
    pub fn mode: Option<PluginMode> = None, some(word(PluginMode::WORDS))
        => PluginMode, |all| all.mode.unwrap_or_default();
    /// What the gateway does when it fails. Default: [`OnError::Fail`].
    pub fn on_error: Option<OnError> = None, some(word(OnError::WORDS))
        => OnError, |all| all.on_error.unwrap_or_default();
    /// Its place among the plugins of a hook, lower runs first. Default: 100.
    pub fn priority: Option<i32> = None, some(whole(i32::MIN.into()..=i32::MAX.into()))
        => i32, |all| all.priority.unwrap_or(100);
    /// The most content that the gateway passes to it, in bytes. Default: 10000000.
    /// hookwire's own limit is [`max_frame_len`](super::UnixSocketConfig::max_frame_len).
    pub fn max_content_size: Option<u64> = None, some(whole(0..=u64::MAX.into()))
        => u64, |all| all.max_content_size.unwrap_or(10_000_000);
    /// When the gateway runs it, as JSON: hookwire does not interpret it. Default: always.
    pub fn conditions: Option<Vec<Object>> = None, some(objects)
        => &[Object], |all| all.conditions.as_deref().unwrap_or_default();
    /// What the gateway applies it to, as JSON: hookwire does not interpret it.
    pub fn applied_to: Option<Object> = None, some(object)
        => Option<&Object>, |all| all.applied_to.as_ref();
    /// What it may see and change, as the gateway defines it: hookwire does not
    /// interpret it. Default: none.
    pub fn capabilities: Option<Vec<String>> = None, some(texts)
        => &[String], |all| all.capabilities.as_deref().unwrap_or_default();
}

impl PluginConfig {
    /// True if this entry says which hooks, even if it says that there are none.
    pub(crate) fn names_hooks(&self) -> bool {
        self.settings.hooks.is_some()
    }

    /// Where the plugin is.
    pub fn endpoint(&self) -> Endpoint {
        self.transport().into()
    }

    /// What the plugin is reached over, with its settings.
    pub fn transport(&self) -> &Transport {
        &self.reach.transport
    }

    /// How the plugin is called, whatever it is reached over.
    pub fn policy(&self) -> &CallPolicy {
        &self.reach.policy
    }

    /// The plugin's own settings (`config`), of an external plugin as its server reported them.
    pub fn plugin_settings(&self) -> Option<&Object> {
        self.reported.as_ref().or(self.config.as_ref())
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
