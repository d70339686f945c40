//! hookwire as a client of the reference server: what most tests of that kind need.

use std::time::Duration;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{
    CallOptions, PluginConfig, PluginContext, PluginError, PluginHandle, PluginResult,
    PluginViolation,
};
use serde_json::{Map, Value, json};

use super::ReferenceServer;

/// A configuration that says no more than it must.
pub(crate) fn config(server: &ReferenceServer, plugin: &str) -> PluginConfig {
    PluginConfig::builder(plugin).socket(server.socket()).build().expect("a valid configuration")
}

/// A checked handle to one of the fixture plugins.
pub(crate) async fn connect(server: &ReferenceServer, plugin: &str) -> PluginHandle {
    PluginHandle::connect(config(server, plugin)).await.expect("the plugin is there")
}

/// The context of a request like any other.
pub(crate) fn context() -> PluginContext {
    PluginContext::new("request-1")
}

/// The map inside a JSON object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// The payload of a tool call, which is how the fixture plugins take orders.
pub(crate) fn tool(args: Value) -> ToolPreInvokePayload {
    ToolPreInvokePayload::new("tool").with_args(object(args))
}

/// `tool_pre_invoke` with these arguments, in a context of its own.
pub(crate) async fn call(
    plugin: &PluginHandle,
    args: Value,
) -> Result<PluginResult<ToolPreInvokePayload>, PluginError> {
    plugin.invoke_hook::<ToolPreInvoke>(&tool(args), &mut context()).await
}

/// The same, within `timeout`.
pub(crate) async fn call_for(
    plugin: &PluginHandle,
    args: Value,
    timeout: Duration,
) -> Result<PluginResult<ToolPreInvokePayload>, PluginError> {
    let options = CallOptions::new().timeout(timeout);
    plugin.with(options).invoke_hook::<ToolPreInvoke>(&tool(args), &mut context()).await
}

/// What `Deny` answers to a [`call`]: everything that a violation can say.
pub(crate) fn denial() -> PluginViolation {
    let details = json!({"tool": "tool", "tags": ["a", null, {"deep": true}]});
    PluginViolation::new("FIXTURE_DENIED")
        .with_reason("not today")
        .with_description("the fixture refuses every call")
        .with_details(object(details))
        .with_mcp_error_code(-32001)
        .with_http_status_code(429)
        .with_http_headers([("Retry-After".to_owned(), "7".to_owned())].into())
        // The server leaves the name out.
        .with_plugin_name("Deny")
}
