//! The configuration of a plugin: read from any serde format, or built in code.
//!
//! [`PluginConfig`] is one entry of the gateway's list of plugins, its
//! [`UnixSocketConfig`] says where the plugin listens and how it may be called.
//! Both are valid as soon as they exist: files and builders pass the same
//! checks, and a [`ConfigError`] reports all problems of an entry together.
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
mod entry;
mod merge;
mod plugin;
mod problem;
mod setting;
mod socket;
mod words;

#[cfg(test)]
mod tests;

pub use builder::PluginBuilder;
pub use plugin::PluginConfig;
pub use problem::{ConfigError, Problem};
pub use socket::{UnixSocketBuilder, UnixSocketConfig};
pub use words::{BigIntegers, OnError, PluginMode, RetryPolicy};
