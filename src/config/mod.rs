//! The configuration of a plugin: read from any serde format, or built in code.
//!
//! [`PluginConfig`] is one entry of the gateway's list of plugins. Its [`Transport`] is
//! how the plugin is reached, its [`CallPolicy`] how it is called. All are valid as soon
//! as they exist: files and builders pass the same checks, and a [`ConfigError`] reports
//! all problems of an entry together.
//! `docs/configuration.md` lists every key with unit, default and bounds.
//!
//! ```
//! use hookwire::config::{OnError, PluginConfig, PluginMode};
//!
//! let plugins: Vec<PluginConfig> = serde_json::from_str(
//!     r#"[{
//!         "name": "MyPlugin",
//!         "kind": "external",
//!         "hooks": ["tool_pre_invoke"],
//!         "unix_socket": {"path": "/run/plugins/my.sock", "timeout": 5}
//!     }]"#,
//! )?;
//! assert_eq!(plugins[0].mode(), PluginMode::Sequential);
//! assert_eq!(plugins[0].on_error(), OnError::Fail);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod builder;
mod difference;
mod plugin;
mod policy;
mod problem;
mod raw;
mod rule;
mod section;
mod server_entry;
mod setters;
mod settings;
mod transport;
mod unix_socket;
mod words;

#[cfg(test)]
mod tests;

pub use builder::PluginConfigBuilder;
pub use difference::Difference;
pub use plugin::PluginConfig;
pub use policy::{CallPolicy, CallPolicyBuilder};
pub use problem::{ConfigError, Problem};
pub use server_entry::ServerEntry;
pub use transport::{Endpoint, Transport, UnixSocketSection};
pub use unix_socket::{UnixSocketBuilder, UnixSocketConfig};
pub use words::{BigIntegers, OnError, PluginMode, RetryPolicy, Verify};
