//! What the engine knows about a request, as a plugin server sees it, and what comes back.
//!
//! The engine's maps are copied, never moved: it drops a call at its own time limit, and what
//! was moved into the call would be gone, for all plugins of the request.

use std::collections::HashMap;

use hookwire::{PluginResult, ReplyContext};
use praxis_policy_core::context::PluginContext;
use praxis_policy_core::hooks::Extensions;
use serde_json::{Map, Value};

/// Keys that begin so are this crate's: they do not go to servers, and none comes from there.
const RESERVED: &str = "hookwire.";
/// In a plugin's local state: the id that its calls of one request share.
const REQUEST_ID: &str = "hookwire.request_id";
/// In a plugin's local state: the server's `metadata`, which the engine has no place for.
const METADATA: &str = "hookwire.metadata";

/// The context of a call.
pub(crate) fn outgoing(
    extensions: &Extensions,
    context: &mut PluginContext,
) -> hookwire::PluginContext {
    let mut outgoing = hookwire::PluginContext::new(request_id(extensions, context));
    let global = &mut outgoing.global_context;
    global.server_id = server_id(extensions).map(str::to_owned);
    if let Some(subject) = extensions.security.as_ref().and_then(|all| all.subject.as_ref()) {
        global.tenant_id = subject.claim_str("tenant").map(Into::into);
        global.user = subject.id.as_deref().map(Into::into);
    }
    global.state = ours_left_out(&context.global_state);
    outgoing.state = ours_left_out(&context.local_state);
    if let Some(Value::Object(metadata)) = context.local_state.get(METADATA) {
        outgoing.metadata = metadata.clone();
    }
    outgoing
}

/// The request's id, or else one that the plugin's later calls of this request share.
fn request_id(extensions: &Extensions, context: &mut PluginContext) -> String {
    let given = extensions.request.as_ref().and_then(|request| request.request_id.as_deref());
    match (given, context.local_state.get(REQUEST_ID)) {
        (Some(id), _) if !id.is_empty() => id.to_owned(),
        (_, Some(Value::String(id))) => id.clone(),
        _ => {
            let id = format!("{:016x}", fastrand::u64(..));
            context.local_state.insert(REQUEST_ID.to_owned(), id.clone().into());
            id
        }
    }
}

fn server_id(extensions: &Extensions) -> Option<&str> {
    let mcp = extensions.mcp.as_deref();
    let of_entity = mcp.and_then(|mcp| {
        let tool = mcp.tool.as_ref().and_then(|tool| tool.server_id.as_deref());
        let resource = || mcp.resource.as_ref().and_then(|all| all.server_id.as_deref());
        let prompt = || mcp.prompt.as_ref().and_then(|prompt| prompt.server_id.as_deref());
        tool.or_else(resource).or_else(prompt)
    });
    of_entity.or_else(|| extensions.meta.as_deref().and_then(|meta| meta.scope.as_deref()))
}

fn ours_left_out(state: &HashMap<String, Value>) -> Map<String, Value> {
    let theirs = state.iter().filter(|(key, _)| !key.starts_with(RESERVED));
    theirs.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Merges what a reply brought back: the plugin's own state as it is now, and into what all
/// plugins share the values that this one has, for others may have written meanwhile.
pub(crate) fn incoming(
    reply: ReplyContext,
    mut sent: hookwire::PluginContext,
    context: &mut PluginContext,
) {
    let global = reply.global_state().is_some();
    reply.apply_to(&mut sent);
    context.local_state.retain(|key, _| key.starts_with(RESERVED) && key != METADATA);
    context.local_state.extend(theirs(sent.state));
    if !sent.metadata.is_empty() {
        context.local_state.insert(METADATA.to_owned(), sent.metadata.into());
    }
    if global {
        context.global_state.extend(theirs(sent.global_context.state));
    }
}

fn theirs(state: Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    state.into_iter().filter(|(key, _)| !key.starts_with(RESERVED))
}

/// What an allowing result says beside its payload, for the global state, where the host finds
/// it: `hookwire.PLUGIN.http_headers` and `hookwire.PLUGIN.retry_delay_ms`.
pub(crate) fn told<P>(plugin: &str, result: &PluginResult<P>) -> Vec<(String, Value)> {
    let mut told = Vec::new();
    let mut tell = |what: &str, value: Value| {
        told.push((format!("{RESERVED}{plugin}.{what}"), value));
    };
    if let Some(headers) = result.http_headers().filter(|headers| !headers.is_empty()) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        tell("http_headers", Value::Object(headers.collect()));
    }
    if let Some(delay) = result.retry_delay() {
        tell("retry_delay_ms", u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).into());
    }
    told
}

#[cfg(test)]
mod tests;
