//! The gateway's side of [`hookwire`]: what every gateway would write around it.
//!
//! A gateway has many plugins for a hook. Some deny, some rewrite, some only watch; some must
//! not fail, and some may. Their entries in the gateway's configuration tell which is which,
//! and [`Chain`] runs them so: in the order, with the rights, and with the care for failures
//! that the entries tell.
//!
//! - [`Gateway`]: the plugins that run, reloads, health, and the end.
//! - [`Chain`]: all plugins of a hook in one call.
//! - [`RequestContext`]: what plugins keep from hook to hook of one request.
//! - [`Passed`] and [`Halted`]: what comes of it. Only the first holds a payload.
//! - `HookLayer` (feature `tower`, or `axum`): the HTTP hooks around a service.
//! - [`Report`]: what the plugins tell beside it, and a [`Record`] for each.
//! - [`Conditions`] and [`FieldPolicy`]: when plugins are asked, and what they may change.
//! - `GatewayConfig` (feature `yaml`): the plugins of the gateway's own configuration file.
//!
//! ```
//! use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
//! use hookwire::server::{Handlers, PluginServer};
//! use hookwire::{PluginConfig, PluginResult, PluginViolation, Plugins};
//! use hookwire_gateway::{Chain, RequestContext};
//! use serde_json::json;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let socket = directory.path().join("plugins.sock");
//! // Two plugins, as they would run in a process of their own.
//! let guard = Handlers::new().on::<ToolPreInvoke>(|payload, _context| async move {
//!     Ok(match payload.name.as_str() {
//!         "shell" => PluginResult::deny(PluginViolation::new("NO_SHELL")),
//!         _ => PluginResult::allow(),
//!     })
//! });
//! let redact = Handlers::new().on::<ToolPreInvoke>(|payload, _context| async move {
//!     Ok(PluginResult::modify(payload.with_arg("query", "******")))
//! });
//! let _server =
//!     PluginServer::builder().plugin("Guard", guard).plugin("Redact", redact).bind(&socket).await?;
//!
//! // The gateway's entries for them.
//! let entries: Vec<PluginConfig> = serde_json::from_value(json!([
//!     {"name": "Guard", "mode": "sequential", "unix_socket": {"path": socket}},
//!     {"name": "Redact", "mode": "transform", "unix_socket": {"path": socket}},
//! ]))?;
//! let (plugins, _reports) = Plugins::builder().plugins(entries).connect().await?;
//! let chain = Chain::builder().plugins(plugins.handles()).build()?;
//!
//! // A request that may go on, with what the plugins made of it.
//! let mut request = RequestContext::new("request-1");
//! let payload = ToolPreInvokePayload::new("search").with_arg("query", "my password");
//! let passed = chain.run::<ToolPreInvoke>(payload, &mut request).await?;
//! assert_eq!(passed.value().args.as_ref().unwrap()["query"], "******");
//!
//! // One that may not: there is no payload to go on with.
//! let mut request = RequestContext::new("request-2");
//! let payload = ToolPreInvokePayload::new("shell");
//! let halted = chain.run::<ToolPreInvoke>(payload, &mut request).await.unwrap_err();
//! assert_eq!(halted.to_string(), "plugin `Guard` denied the request (code `NO_SHELL`)");
//! # Ok(())
//! # }
//! ```
//!
//! # To see what happens
//!
//! Feature `metrics` brings numbers for Prometheus. With `tracing`, each run of a chain is a span,
//! and each call of a plugin is one below it, at level info, target `hookwire_gateway::chain`.
//! Their names and fields are part of the API, and hold no payload, no context and no words of a
//! plugin; where they can, they are those that the semantic conventions of OpenTelemetry have for
//! clients of remote procedures. Below the call's is the client's own, at debug
//! ([`hookwire`](hookwire#to-see-what-happens)). Feature `otel` lets the trace go on in the plugin.
//!
//! | span | field | value |
//! |---|---|---|
//! | `chain` | `hook`, `request_id` | of the run |
//! | | `outcome` | `allowed`, `denied`, `too_large`, `out_of_time`, `shut_down`, `unfilterable`, or the [reason](hookwire::PluginError::reason) of the failure that ended it |
//! | | `plugin` | whose denial or failure ended it |
//! | `plugin` | `rpc.system`, `rpc.service`, `rpc.method` | `hookwire`, the plugin, the hook |
//! | | `network.transport` | `unix` |
//! | | `mode` | the plugin's mode |
//! | | `outcome` | `allowed`, `denied`, or the [reason](hookwire::PluginError::reason) of its failure |
//! | | `error.type` | of a failure without a denial: the same reason |
//! | both | `otel.name`, `otel.kind`, `otel.status_code` | what `tracing-opentelemetry` shows: `chain HOOK` and `PLUGIN/HOOK`; `client`; `ERROR` for failures |
//!
//! A span without an outcome is of a run or a call that was dropped. Calls in the background
//! belong to the trace of their run, which does not wait for them.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | brings |
//! |---|---|
//! | `metrics` | `metrics`: what the plugins do, in numbers for Prometheus |
//! | `otel` | `otel`: traces that go on in the plugins |
//! | `yaml` | `GatewayConfig`: the plugins of a gateway's own file |
//! | `watch` | `Gateway::reload_on_change`: reloads when the configuration file changes |
//! | `tower` | `HookLayer`: the HTTP hooks around a service; halts as responses |
//! | `axum` | `tower`, and what is axum's: the client's address, the whole path, `RequestHooks` and `Halted` in handlers |
//!
//! # Beside the reference
//!
//! The measure is the `PluginManager` of the reference implementation (Python package `cpex`
//! 0.1.4): with the same entries, plugins and calls it comes to the same verdict, payload and
//! contexts. Where it does something else, it is one of these:
//!
//! | the reference | here |
//! |---|---|
//! | An error in `concurrent` with `on_error: fail` is raised while the others run on. | The others' calls are dropped. |
//! | Answers in `concurrent` take effect as they come. | In the order of the plugins, once the phase is over. |
//! | A `concurrent` plugin takes back what others changed of the shared state meanwhile. | Only what it has changed itself is merged. |
//! | An answer of `http_pre_request` or `http_post_request` (headers that change) replaces the payload, for the next plugin too. | It is merged into the payload's headers, but for those of the client that are protected. |
//! | A decision (`http_auth_*`, `identity_resolve`, `token_delegate`) replaces the payload, for the next plugin too. | Each plugin sees the payload; the last decision counts. |
//! | A permission that is not granted, or an identity that is rejected, is a result that allows. | It is a denial: in `sequential` and `transform`, and in `concurrent`, where the reference drops it. |
//! | The combined result has no `http_headers`; a denial's has no `retry_delay_ms` and no `denial_metadata`. | It has those of all plugins that were waited for. |
//! | The payload as it was is part of a denial. | There is none. |
//! | An `audit` plugin may change the extensions. | Only `sequential` and `transform` ones. |
//! | A record of a suppressed denial tells that the plugin allowed, and one of an ignored error in `sequential` that it was applied. Plugins that were not asked have none. | A record tells what the plugin requested, and what that changed. Each plugin that serves the hook has one. |
//! | `fire_and_forget` calls are not bounded; each request has ten at a time. | Bounded for all requests; more are dropped and counted. |
//! | Payloads whose text is above 1 MiB are refused, whoever would be asked. | The same limit, where a plugin would be asked; [`max_payload`](ChainBuilder::max_payload) sets another. |
//! | The raw token of `identity_resolve` is compared with the `tools` of conditions. | It is not. |
//! | Unknown keys in conditions are ignored. | They are refused. |
//! | A request that cannot be sent to an external plugin is an error for `on_error` to judge. | It ends the chain, whatever `on_error` is, but in `audit` and `fire_and_forget`. |
//! | Any error disables a plugin with `on_error: disable`. | Any but those that tell nothing of it: the client's queue is full, its handle is closed, or it cannot be used as it is configured. |

mod chain;
mod conditions;
#[cfg(feature = "yaml")]
mod config;
mod context;
mod gateway;
#[cfg(feature = "tower")]
mod http;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
mod policy;

#[cfg(feature = "axum")]
pub use self::http::MissingHooks;
#[cfg(feature = "tower")]
pub use self::http::{ChainSource, HookLayer, HookService, RequestHooks};
pub use chain::{
    Chain, ChainBuilder, ChainError, ChainHook, Decision, Denial, HaltReason, Halted, Passed,
    Record, Report, Status,
};
pub use conditions::{ConditionError, Conditions, Subject};
#[cfg(feature = "yaml")]
pub use config::{ConfigProblem, GatewayConfig, GatewayConfigError, LeftOut, ReachedBy};
pub use context::RequestContext;
pub use gateway::{
    Applied, ApplyError, Change, ChangeKind, Gateway, GatewayBuilder, PluginHealth, ReloadStats,
    Reloader,
};
pub use policy::FieldPolicy;
