//! The configuration of a plugin: read from any serde format, or built in code.
//!
//! [`PluginConfig`] is one entry of the gateway's list of plugins. Its [`Transport`] is
//! how the plugin is reached, its [`CallPolicy`] how it is called. All are valid as soon
//! as they exist: files and builders pass the same checks, and a [`ConfigError`] reports
//! all problems of an entry together.
//! `docs/configuration.md` lists every key with unit, default and bounds.

mod builder;
mod difference;
mod entry;
#[cfg(feature = "grpc")]
mod grpc;
mod keys;
mod plugin;
mod policy;
mod problem;
mod raw;
mod rule;
mod section;
mod server_entry;
#[cfg(feature = "grpc")]
mod servers;
#[cfg(feature = "grpc")]
mod tls;
mod transport;
mod unix_socket;
mod words;

#[cfg(test)]
mod tests;

pub use crate::endpoint::Endpoint;
#[cfg(feature = "grpc")]
pub use crate::grpc::target::Target;
pub use builder::PluginConfigBuilder;
pub use difference::Difference;
#[cfg(feature = "grpc")]
pub use grpc::{GrpcBuilder, GrpcConfig};
pub use plugin::PluginConfig;
pub use policy::{CallPolicy, CallPolicyBuilder};
pub use problem::{ConfigError, Problem};
pub use server_entry::ServerEntry;
#[cfg(feature = "grpc")]
pub use tls::TlsConfig;
#[cfg(feature = "grpc")]
pub use transport::GrpcSection;
pub use transport::{Transport, UnixSocketSection};
pub use unix_socket::{UnixSocketBuilder, UnixSocketConfig};
pub use words::{BigIntegers, DeepNesting, OnError, PluginMode, RetryPolicy, Verify};
