//! hookwire's plugins behind [agentgateway]: a server of its guardrail protocol for MCP
//! (`mcpGuardrails`, also called ExtMCP) that has plugins check `tools/call`, `prompts/get` and
//! `resources/read`. The page `docs/engines.md` tells how to run it.
//!
//! | method | before it goes on | before its result does |
//! |---|---|---|
//! | `tools/call` | `tool_pre_invoke` | `tool_post_invoke` |
//! | `prompts/get` | `prompt_pre_fetch` | `prompt_post_fetch` |
//! | `resources/read` | `resource_pre_fetch` | `resource_post_fetch`, for each of its contents |
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use hookwire_agentgateway::{Address, Bridge, serve};
//! use hookwire_gateway::Gateway;
//!
//! # async fn run(plugins: Vec<hookwire::PluginConfig>) -> Result<(), Box<dyn std::error::Error>> {
//! let (gateway, _changes) = Gateway::builder().start(plugins).await?;
//! let address: Address = "unix:/run/hookwire/agentgateway.sock".parse()?;
//! let listener = address.listen(0o600).await?;
//! let told_to_end = async { drop(tokio::signal::ctrl_c().await) };
//! let bridge = Bridge::new(gateway.clone(), Duration::from_secs(9));
//! serve(bridge, listener, told_to_end).await?;
//! gateway.shutdown(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! [agentgateway]: https://agentgateway.dev

mod bridge;
mod document;
mod listen;
mod method;
mod pending;
mod refusal;
mod request;
mod response;
mod serve;
mod told;

// What hookwire's own server does with its socket file.
#[allow(dead_code)]
#[path = "../../../src/server/socket_file.rs"]
mod socket_file;

/// The messages of the protocol; the client is for tests.
#[allow(missing_docs, missing_debug_implementations, unreachable_pub)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/agentgateway.dev.ext_mcp.rs"));
}

pub use bridge::Bridge;
pub use listen::{Address, AddressError, Listener};
pub use serve::{MAX_MESSAGE, serve};
