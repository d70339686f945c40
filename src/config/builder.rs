//! Writes an entry in code.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::plugin::PluginConfig;
use super::policy::CallPolicyBuilder;
use super::problem::ConfigError;
use super::section;
use super::setters::{adders, setters};
use super::settings::Settings;
use super::transport::{Transport, UnixSocketSection};
use super::unix_socket::UnixSocketBuilder;
use super::words::{OnError, PluginMode};
use crate::model::Object;

/// Builds a [`PluginConfig`]; what is not set comes from the plugin's server, or has its
/// default.
///
/// ```
/// use hookwire::{CallPolicy, PluginConfig, UnixSocketConfig};
/// use std::time::Duration;
///
/// let error = PluginConfig::builder("MyPlugin")
///     .unix_socket(UnixSocketConfig::builder("my.sock").max_connections(0))
///     .policy(CallPolicy::builder().timeout(Duration::ZERO))
///     .build()
///     .unwrap_err();
/// assert_eq!(error.problems().len(), 3);
/// ```
#[derive(Clone)]
#[must_use = "`build` makes the configuration"]
pub struct PluginConfigBuilder {
    settings: Settings,
    socket: UnixSocketBuilder,
    policy: CallPolicyBuilder,
}

impl PluginConfig {
    /// Starts the configuration of an external plugin; it still needs a
    /// [`socket`](PluginConfigBuilder::socket).
    pub fn builder(name: impl Into<String>) -> PluginConfigBuilder {
        PluginConfigBuilder {
            settings: Settings { name: name.into(), ..Settings::default() },
            socket: UnixSocketBuilder::default(),
            policy: CallPolicyBuilder::default(),
        }
    }
}

impl PluginConfigBuilder {
    /// Holds everything that was set to the rules for a file.
    ///
    /// # Errors
    /// All problems of the plugin, its socket and its policy, together.
    pub fn build(self) -> Result<PluginConfig, ConfigError> {
        let mut entry = section::written(&self.settings);
        let mut section = section::written(&self.socket.0);
        section.extend(section::written(&self.policy.0));
        entry.insert("unix_socket".into(), section.into());
        PluginConfig::from_entry(entry)
    }

    /// Sets the path of the plugin's socket, absolute; what else is set stays.
    pub fn socket(mut self, path: impl AsRef<Path>) -> Self {
        self.socket = self.socket.path(path);
        self
    }

    /// Sets the time a call has for everything, [`CallPolicy::timeout`](super::CallPolicy::timeout); what else is set
    /// stays.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy = self.policy.timeout(timeout);
        self
    }

    /// Replaces the whole transport: a [`UnixSocketConfig`](super::UnixSocketConfig), or the
    /// [builder](super::UnixSocketConfig::builder) of one, whose problems are then reported
    /// together with the plugin's.
    pub fn unix_socket(mut self, socket: impl Into<UnixSocketBuilder>) -> Self {
        self.socket = socket.into();
        self
    }

    /// Replaces the whole policy: a [`CallPolicy`](super::CallPolicy), or the
    /// [builder](super::CallPolicy::builder)
    /// of one, whose problems are then reported together with the plugin's.
    pub fn policy(mut self, policy: impl Into<CallPolicyBuilder>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Replaces both by those of a section that was read from a file.
    pub fn unix_socket_section(self, section: UnixSocketSection) -> Self {
        let Transport::Unix(socket) = section.transport;
        self.unix_socket(socket).policy(section.policy)
    }

    setters! {
        PluginConfig, settings, Some:
        description: impl Into<String>,
        author: impl Into<String>,
        namespace: impl Into<String>,
        version: impl Into<String>,
        mode: PluginMode,
        on_error: OnError,
        priority: i32,
        max_content_size: u64,
        applied_to: Object,
    }

    adders! {
        PluginConfig, settings:
        hook to hooks: impl Into<String>,
        tag to tags: impl Into<String>,
        capability to capabilities: impl Into<String>,
        condition to conditions: Object,
    }

    /// Adds some of the [`hooks`](PluginConfig::hooks).
    pub fn hooks<H: Into<String>>(self, hooks: impl IntoIterator<Item = H>) -> Self {
        hooks.into_iter().fold(self, Self::hook)
    }
}

impl fmt::Debug for PluginConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginConfigBuilder")
            .field("name", &self.settings.name)
            .field("unix_socket", &self.socket)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// To change what an entry of the gateway's file has, or to add to it. The server's own
/// `config` is not taken along.
///
/// ```
/// use hookwire::PluginConfig;
/// use hookwire::config::PluginConfigBuilder;
///
/// let entry = serde_json::json!({"name": "Guard", "unix_socket": {"path": "/run/guard.sock"}});
/// let guard = PluginConfig::from_value(entry)?;
/// let guard = PluginConfigBuilder::from(guard).hook("tool_pre_invoke").build()?;
/// assert_eq!(guard.hooks(), ["tool_pre_invoke"]);
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
impl From<PluginConfig> for PluginConfigBuilder {
    fn from(config: PluginConfig) -> Self {
        let Transport::Unix(socket) = config.unix_socket.transport;
        let policy = config.unix_socket.policy.into();
        Self { settings: config.settings, socket: socket.into(), policy }
    }
}
