//! draft
#[cfg(not(unix))]
compile_error!("hookwire talks over Unix domain sockets and builds on Unix targets only");

pub mod config;
mod connection;
mod error;
pub mod hooks;
pub mod model;
#[cfg(feature = "server")]
pub mod server;
mod wire;

pub use config::{BigIntegers, ConfigError, PluginConfig, RetryPolicy, UnixSocketConfig};
pub use error::{Cause, ErrorKind, PluginError, PluginFault, Sent, Stage};
pub use hooks::{Hook, HookRegistry};
pub use model::{GlobalContext, PluginContext, PluginResult, PluginViolation};
