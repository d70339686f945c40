//! Writes an entry in code.

use std::path::Path;
use std::time::Duration;

use super::plugin::PluginConfig;
use super::policy::{CallPolicy, CallPolicyBuilder};
use super::problem::{ConfigError, Problems};
use super::section;
use super::settings::{Local, Settings};
use super::transport::{Transport, UnixSocketSection};
use super::unix_socket::{UnixSocketBuilder, UnixSocketConfig};
use super::words::{OnError, PluginMode};
use crate::model::Object;

/// Makes setters, and methods that add to a list.
macro_rules! setters {
    ($($key:ident: $type:ty,)+; $($item:ident to $list:ident: $item_type:ty,)+) => {
        $(
            #[doc = concat!("Sets [`", stringify!($key), "`](PluginConfig::", stringify!($key), ").")]
            pub fn $key(mut self, $key: $type) -> Self {
                self.0.settings.$key = Some($key.into());
                self
            }
        )+
        $(
            #[doc = concat!("Adds one of the [`", stringify!($list), "`](PluginConfig::", stringify!($list), ").")]
            pub fn $item(mut self, $item: $item_type) -> Self {
                self.0.settings.$list.get_or_insert_default().push($item.into());
                self
            }
        )+
    };
}

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
#[derive(Debug, Clone)]
#[must_use = "`build` makes the configuration"]
pub struct PluginConfigBuilder(PluginConfig);

impl PluginConfig {
    /// Starts the configuration of an external plugin; it still needs a
    /// [`socket`](PluginConfigBuilder::socket).
    pub fn builder(name: impl Into<String>) -> PluginConfigBuilder {
        PluginConfigBuilder(Self {
            local: Local { name: name.into(), ..Local::default() },
            settings: Settings::default(),
            config: None,
            reported: None,
            unix_socket: UnixSocketSection::unset(),
        })
    }
}

impl PluginConfigBuilder {
    /// Holds everything that was set to the rules for a file.
    ///
    /// # Errors
    /// All problems of the plugin, its socket and its policy, together.
    pub fn build(self) -> Result<PluginConfig, ConfigError> {
        PluginConfig::from_entry(section::written(&self.0), Problems::default())
    }

    /// Sets the path of the plugin's socket, absolute; what else is set stays.
    pub fn socket(mut self, path: impl AsRef<Path>) -> Self {
        let Transport::Unix(socket) = &mut self.0.unix_socket.transport;
        socket.0.path = path.as_ref().into();
        self
    }

    /// Sets the time a call has for everything, [`CallPolicy::timeout`];
    /// what else is set stays.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.unix_socket.policy.0.timeout = timeout;
        self
    }

    /// Replaces the whole transport: a [`UnixSocketConfig`], or the
    /// [builder](UnixSocketConfig::builder) of one, whose problems are then reported
    /// together with the plugin's.
    pub fn unix_socket(mut self, socket: impl Into<UnixSocketBuilder>) -> Self {
        self.0.unix_socket.transport = Transport::Unix(UnixSocketConfig(socket.into().0));
        self
    }

    /// Replaces the whole policy: a [`CallPolicy`], or the [builder](CallPolicy::builder)
    /// of one, whose problems are then reported together with the plugin's.
    pub fn policy(mut self, policy: impl Into<CallPolicyBuilder>) -> Self {
        self.0.unix_socket.policy = CallPolicy(policy.into().0);
        self
    }

    /// Replaces both by those of a section that was read from a file.
    pub fn unix_socket_section(mut self, section: UnixSocketSection) -> Self {
        self.0.unix_socket = section;
        self
    }

    setters! {
        description: impl Into<String>,
        author: impl Into<String>,
        namespace: impl Into<String>,
        version: impl Into<String>,
        mode: PluginMode,
        on_error: OnError,
        priority: i32,
        max_content_size: u64,
        applied_to: Object,
        ;
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
        Self(config)
    }
}
