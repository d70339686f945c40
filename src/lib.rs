//! draft
#[cfg(not(unix))]
compile_error!("hookwire talks over Unix domain sockets and builds on Unix targets only");

mod client;
pub mod config;
mod connection;
mod error;
mod handle;
pub mod hooks;
mod manager;
pub mod model;
mod options;
mod pool;
mod stats;
mod wire;

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;

pub use config::{BigIntegers, ConfigError, PluginConfig, RetryPolicy, UnixSocketConfig};
pub use connection::ConnectionState;
pub use error::{Cause, ErrorKind, PluginError, PluginFault, Sent, Stage};
pub use handle::{PluginHandle, PluginHandleBuilder};
pub use hooks::{Hook, HookRegistry};
pub use manager::{ConnectError, ConnectionManager, OnConnectFailure, PluginReport};
pub use model::{GlobalContext, PluginContext, PluginResult, PluginViolation};
pub use options::{CallOptions, Overload};
pub use stats::{ConnectionStats, PluginStats};
pub use wire::EncodeError;
