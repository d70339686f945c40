//! Calls the plugins of a gateway over Unix domain sockets.
//!
//! A plugin looks at every tool call, prompt and resource that passes through a
//! gateway. It runs in a process of its own and speaks length-prefixed protobuf:
//! one reply for each request, in order, without request ids. This crate is the
//! gateway's side.
//!
//! - [`PluginHandle`]: one plugin. Cheap to clone; [`enforce`] asks it about a request and
//!   gives back the payload to go on with, [`invoke_hook`] the whole result.
//! - [`Plugins`]: the plugins of a gateway, by name and in order.
//! - [`hooks`] and [`model`]: the built-in hooks, contexts, results.
//! - [`config`]: a plugin's entry in the gateway's configuration.
//! - [`PluginError`]: what happened, to which plugin, and can the hook have run?
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
//! # How calls travel
//!
//! ```text
//!                              max_in_flight = 4 slots on each connection
//!                             ┌──────────────┐
//!                             │ 1 · 2 · 3 ·  │──── socket 1 ───▶ 1 runs; 2 and 3 wait in the
//! callers ─▶ queue (waiting) ─┤              │                   server: they are pipelined
//!            queue_capacity   │ 4 ·   ·   ·  │──── socket 2 ───▶ 4 runs
//!                             └──────────────┘
//!                              max_connections = 2
//! ```
//!
//! A plugin's server works on one call of a connection at a time and answers in order. So
//! calls are spread over connections first, and written ahead on them only when all are busy.
//!
//! | word | meaning |
//! |---|---|
//! | slot | Room for one call on a connection. There are `max_connections × max_in_flight`; further calls wait in the queue, up to `queue_capacity`. |
//! | pipelined | Written to a connection behind calls that are not answered yet. |
//! | in flight | Written, wholly or in part, and not answered yet. |
//! | unanswered | Past its deadline without a reply. `breaker_threshold` calls of that kind in a row open the breaker. |
//! | abandoned | In flight, but its caller has left: by its deadline, or because the call was dropped. A tombstone keeps its turn, so that its reply is read, thrown away, and given to nobody else. |
//! | breaker | Closed: calls pass. Open: the plugin is down, and calls fail at once. Half-open: one call at a time is let through on trial, and its reply closes the breaker. |
//! | sent | Whether the hook of a failed call can have run: [`Sent`]. |
//!
//! Each connection is owned by one task, which writes requests in batches and matches replies
//! by their order. Callers encode and decode in their own tasks, on all cores.
//!
//! # To see what happens
//!
//! [`stats`](PluginHandle::stats) has counters, gauges, and how long the calls of each hook took,
//! [`watch_state`](PluginHandle::watch_state) and
//! [`watch_breaker`](PluginHandle::watch_breaker) tell of changes. With `tracing`, each call is a
//! span `invoke_hook` at debug, target `hookwire::handle`, with the fields `plugin`, `socket`,
//! `hook`, `request_id`, `attempt`, `outcome` (`allowed`, `denied`, or an error's
//! [`reason`](PluginError::reason)), `inexact` (true where a value came over as something else,
//! see [`PluginResult::is_exact`]) and `duration_us`. Of a plugin that is reached over gRPC,
//! `socket` names its targets. These names are part of the API. Nothing that is logged or traced
//! holds a payload, a context or a secret.
//!
//! # Features
//!
//! None is on by default: the client, and nothing else. `grpc` reaches plugins over gRPC, on
//! other machines too, and brings HTTP/2 and TLS with it; `server` brings an embedded plugin
//! server, and `testing` doubles of plugins for a gateway's own tests. `compile-schema` has the
//! protocol's messages compiled from the schema while building, where that is the rule of the
//! house; they are the same. The command line is a package of its own, `hookwire-cli`.
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
mod endpoint;
mod error;
#[cfg(feature = "grpc")]
mod grpc;
mod handle;
pub mod hooks;
mod identity;
mod last_seen;
pub mod model;
mod nosignal;
mod options;
mod plugins;
#[cfg(feature = "server")]
pub mod server;
mod shared_connections;
mod stats;
#[cfg(test)]
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../tests/common/log.rs"]
mod test_log;
#[cfg(feature = "testing")]
pub mod testing;
mod trust;
mod unix;
mod wire;

#[cfg(fuzzing)]
pub mod fuzz_bridge;

pub use breaker::BreakerState;
#[cfg(feature = "grpc")]
pub use config::GrpcConfig;
pub use config::{
    BigIntegers, CallPolicy, ConfigError, DeepNesting, Difference, PluginConfig, RetryPolicy,
    ServerEntry, Transport, UnixSocketConfig, Verify,
};
pub use endpoint::Endpoint;
pub use error::{ErrorKind, PluginError, PluginFault, Sent, Stage};
pub use handle::{
    Denial, EffectiveConfig, EncodedPayload, Hooks, PluginHandle, PluginHandleBuilder, Stopped,
    WeakPluginHandle,
};
pub use hooks::{Hook, HookRegistry};
pub use last_seen::LastFailure;
pub use model::{
    GlobalContext, PluginContext, PluginResult, PluginViolation, ReplyContext, Verdict,
};
pub use options::{CallOptions, Overload};
pub use plugins::{ConnectError, OnConnectFailure, PluginReport, Plugins, PluginsBuilder};
pub use shared_connections::SharedConnections;
pub use stats::{ConnectionStats, HookStats, LatencyHistogram, PluginStats};
pub use unix::reconnect::ConnectionState;

/// Compiles the README's examples, and runs its quick start, which needs a plugin.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the examples of how to read a gateway's file.
#[cfg(doctest)]
#[doc = include_str!("../docs/configuration.md")]
struct Configuration;
