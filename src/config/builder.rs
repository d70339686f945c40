//! Writes an entry in code.

use std::path::Path;
use std::time::Duration;

#[cfg(feature = "grpc")]
use super::grpc::{GrpcBuilder, GrpcConfig};
use super::plugin::{Local, PluginConfig, Settings};
use super::policy::{CallPolicy, CallPolicyBuilder};
use super::problem::{ConfigError, Problems};
use super::section;
#[cfg(feature = "grpc")]
use super::transport::GrpcSection;
use super::transport::{Reach, Transport, UnixSocketSection};
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
    /// [`socket`](PluginConfigBuilder::socket), or another transport.
    pub fn builder(name: impl Into<String>) -> PluginConfigBuilder {
        PluginConfigBuilder(Self {
            local: Local { name: name.into(), ..Local::default() },
            settings: Settings::default(),
            config: None,
            reported: None,
            reach: Reach::unset(),
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

    /// Sets the path of the plugin's socket, absolute; what else is set stays, but for another
    /// transport.
    pub fn socket(self, path: impl AsRef<Path>) -> Self {
        let socket = match self.0.transport() {
            Transport::Unix(socket) => UnixSocketBuilder::from(socket.clone()),
            #[cfg(feature = "grpc")]
            Transport::Grpc(_) => UnixSocketBuilder::default(),
        };
        self.unix_socket(socket.path(path))
    }

    /// Sets the time a call has for everything, [`CallPolicy::timeout`];
    /// what else is set stays.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.reach.policy.0.timeout = timeout;
        self
    }

    /// Replaces the whole transport: a [`UnixSocketConfig`], or the
    /// [builder](UnixSocketConfig::builder) of one, whose problems are then reported
    /// together with the plugin's.
    pub fn unix_socket(mut self, socket: impl Into<UnixSocketBuilder>) -> Self {
        self.0.reach.transport = Transport::Unix(UnixSocketConfig(socket.into().0));
        self
    }

    /// Replaces the whole transport by gRPC: a [`GrpcConfig`], or the
    /// [builder](GrpcConfig::builder) of one, whose problems are then reported together with
    /// the plugin's. Feature `grpc`.
    #[cfg(feature = "grpc")]
    pub fn grpc(mut self, grpc: impl Into<GrpcBuilder>) -> Self {
        self.0.reach.transport = Transport::Grpc(GrpcConfig::unchecked(grpc.into()));
        self
    }

    /// Replaces the whole policy: a [`CallPolicy`], or the [builder](CallPolicy::builder)
    /// of one, whose problems are then reported together with the plugin's.
    pub fn policy(mut self, policy: impl Into<CallPolicyBuilder>) -> Self {
        self.0.reach.policy = CallPolicy(policy.into().0);
        self
    }

    /// Replaces both by those of a section that was read from a file.
    pub fn unix_socket_section(mut self, section: UnixSocketSection) -> Self {
        self.0.reach = section.0;
        self
    }

    /// Replaces both by those of a section that was read from a file. Feature `grpc`.
    #[cfg(feature = "grpc")]
    pub fn grpc_section(mut self, section: GrpcSection) -> Self {
        self.0.reach = section.0;
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
