//! Doubles of plugins and errors to order, as a gateway's own tests use them.
#![cfg(feature = "testing")]
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod answers;
mod doubles;
mod errors;
mod outages;
mod real_errors;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{PluginContext, PluginError, PluginHandle, PluginResult, Stopped};

/// Asks about a tool, for the whole result.
async fn call(
    handle: &PluginHandle,
    tool: &str,
) -> Result<PluginResult<ToolPreInvokePayload>, PluginError> {
    let payload = ToolPreInvokePayload::new(tool);
    handle.invoke_hook::<ToolPreInvoke>(&payload, &mut PluginContext::new("request-1")).await
}

/// Asks about a tool that is allowed.
async fn allowed(handle: &PluginHandle) {
    assert!(call(handle, "search").await.unwrap().is_allowed());
}

async fn failure(handle: &PluginHandle) -> PluginError {
    call(handle, "search").await.unwrap_err()
}

/// Asks about a tool, for what may go on.
async fn enforce(handle: &PluginHandle, tool: &str) -> Result<ToolPreInvokePayload, Stopped> {
    let payload = ToolPreInvokePayload::new(tool).with_arg("query", "rust");
    handle.enforce::<ToolPreInvoke>(payload, &mut PluginContext::new("request-1")).await
}
