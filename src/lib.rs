//! Calls the plugins of a gateway over Unix domain sockets.
//!
//! A plugin looks at every tool call, prompt and resource that passes through a
//! gateway. It runs in a process of its own and speaks length-prefixed protobuf:
//! one reply for each request, in order, without request ids. This crate is the
//! gateway's side.
//!
//! - [`PluginHandle`]: one plugin. Cheap to clone; [`enforce`] asks it about a request
//!   and gives back the payload to go on with, [`invoke_hook`] the whole result.
//! - [`Plugins`]: many plugins by name.
//! - [`hooks`] and [`model`]: the built-in hooks, contexts, results.
//! - [`config`]: a plugin's entry in the gateway's configuration.
//! - [`PluginError`]: what happened, to which plugin, and was it sent?
//!
//! Inside it is a connection manager made of actors: each socket is owned by one
//! task, which takes requests over a channel, writes them in batches, and matches
//! replies by their order. Callers encode and decode in their own tasks.
//!
//! ```no_run
//! use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
//! use hookwire::{PluginConfig, PluginContext, PluginHandle};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = PluginConfig::builder("Guard").socket("/run/plugins/guard.sock").build()?;
//! let guard = PluginHandle::connect(config).await?;
//!
//! let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
//! let mut context = PluginContext::new("request-1");
//! // A denial and a failed call both end here; what comes back is what may go on.
//! let payload = guard.enforce::<ToolPreInvoke>(payload, &mut context).await?;
//! println!("call {} with {:?}", payload.name, payload.args);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! None is on by default: the client, and nothing else. `server` brings an
//! embedded plugin server. The command line is a package of its own, `hookwire-cli`.
//!
//! [`enforce`]: PluginHandle::enforce
//! [`invoke_hook`]: PluginHandle::invoke_hook

#[cfg(not(unix))]
compile_error!("hookwire talks over Unix domain sockets and builds on Unix targets only");

mod alarm;
mod backoff;
mod breaker;
mod call;
pub mod config;
mod error;
mod handle;
pub mod hooks;
mod identity;
pub mod model;
mod nosignal;
mod options;
mod plugins;
#[cfg(feature = "server")]
pub mod server;
mod stats;
mod trust;
mod unix;
mod wire;

#[cfg(fuzzing)]
pub mod fuzz_bridge;

pub use breaker::BreakerState;
pub use config::{
    BigIntegers, CallPolicy, ConfigError, Endpoint, PluginConfig, RetryPolicy, Transport,
    UnixSocketConfig,
};
pub use error::{ErrorKind, PluginError, PluginFault, Sent, Stage};
pub use handle::{Denial, PluginHandle, PluginHandleBuilder, Stopped};
pub use hooks::{Hook, HookRegistry};
pub use model::{
    GlobalContext, PluginContext, PluginResult, PluginViolation, ReplyContext, Verdict,
};
pub use options::{CallOptions, Overload};
pub use plugins::{ConnectError, OnConnectFailure, PluginReport, Plugins, PluginsBuilder};
pub use stats::{ConnectionStats, PluginStats};
pub use unix::reconnect::ConnectionState;

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
