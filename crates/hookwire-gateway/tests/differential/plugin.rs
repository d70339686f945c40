//! A plugin that does what the payload tells it to: the same for every caller.

use hookwire::PluginResult;
use hookwire::server::{HandlerError, HookCall, HookFuture, Plugin, PluginServer};
use serde_json::{Value, json};
use std::path::Path;

/// The names of all plugins.
pub(crate) const NAMES: [&str; 6] = ["P0", "P1", "P2", "P3", "P4", "P5"];

/// Where a hook's payload has the script, and what plugins append to; and its name.
pub(crate) fn places(hook: &str) -> (&'static str, &'static str) {
    match hook {
        "tool_pre_invoke" => ("args", "name"),
        "tool_post_invoke" => ("result", "name"),
        "resource_pre_fetch" => ("metadata", "uri"),
        "agent_pre_invoke" => ("parameters", "agent_id"),
        other => panic!("no case calls {other}"),
    }
}

struct Obedient;

impl Plugin for Obedient {
    fn hooks(&self) -> Vec<String> {
        ["tool_pre_invoke", "tool_post_invoke", "resource_pre_fetch", "agent_pre_invoke"]
            .map(str::to_owned)
            .into()
    }

    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        Box::pin(async move {
            let (mut payload, mut context): (Value, _) = (call.payload()?, call.context()?);
            let name = call.plugin_name();
            let (place, subject) = places(call.hook_type());
            let act = payload[place]["script"][name].clone();
            let told = |key: &str| act[key] == true;
            if told("hang") {
                std::future::pending::<()>().await;
            }
            if told("fail") {
                return Err(HandlerError::new(format!("{name} is broken")));
            }
            if told("append") {
                let path = payload[place]["path"].as_str().unwrap_or_default();
                payload[place]["path"] = json!(format!("{path}{name}"));
            }
            if told("rename") {
                let before = payload[subject].as_str().unwrap_or_default();
                payload[subject] = json!(format!("{before}{name}"));
            }
            if told("keep") {
                let count = context.state.get("count").and_then(Value::as_f64).unwrap_or_default();
                context.state.insert("count".to_owned(), json!(count + 1.0));
                context.metadata.insert("hook".to_owned(), json!(call.hook_type()));
            }
            if told("share") {
                context.global_context.state.insert(name.to_owned(), json!({"by": name}));
            }
            if told("last") {
                context.global_context.state.insert("last".to_owned(), json!(name));
            }
            let changed = told("append") || told("rename");
            let result: PluginResult<Value> = serde_json::from_value(json!({
                "continue_processing": !told("deny"),
                "modified_payload": changed.then_some(payload),
                "violation": told("deny").then(|| json!({
                    "reason": name, "description": "as told", "code": format!("NO_{name}"),
                    "details": {"n": 1.5},
                })),
                "metadata": act.get("metadata").cloned().unwrap_or(json!({})),
                "retry_delay_ms": act.get("delay").cloned().unwrap_or(json!(0)),
            }))?;
            call.reply_with_context(&result, &context)
        })
    }
}

pub(crate) async fn serve(socket: &Path) -> PluginServer {
    let server =
        NAMES.iter().fold(PluginServer::builder(), |server, name| server.plugin(*name, Obedient));
    server.bind(socket).await.unwrap()
}
