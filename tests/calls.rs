//! The ways to make a call: with options, owned, and with a context that is only read.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::calls::{LIMIT, SOON, in_time, lazy, socket};
use fault_server::FaultServer;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::{
    CallOptions, ErrorKind, PluginConfig, PluginContext, PluginHandle, PluginResult,
    PluginViolation,
};
use serde_json::json;
use tempfile::TempDir;

/// Counts its visits in the context; denies and fails on request.
async fn counter() -> (TempDir, PluginServer, PluginHandle) {
    let handlers = Handlers::new().on::<ToolPreInvoke>(|payload, mut context| async move {
        let visits = context.state.get("visits").and_then(|visits| visits.as_i64()).unwrap_or(0);
        context.state.insert("visits".to_owned(), json!(visits + 1));
        context.global_context.state.insert("last".to_owned(), json!(&payload.name));
        match payload.name.as_str() {
            "fail" => Err(HandlerError::new("broken")),
            "deny" => {
                Ok((PluginResult::deny(PluginViolation::new("NO").with_reason("no")), context))
            }
            name => {
                let name = name.to_uppercase();
                Ok((PluginResult::modify(ToolPreInvokePayload::new(name)), context))
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("counter.sock");
    let server = PluginServer::builder().plugin("Counter", handlers).bind(&socket).await.unwrap();
    let config = PluginConfig::builder("Counter").socket(&socket).timeout(LIMIT).build().unwrap();
    (dir, server, PluginHandle::connect(config).await.unwrap())
}

fn tool(name: &str) -> ToolPreInvokePayload {
    ToolPreInvokePayload::new(name)
}

/// A server that takes whatever comes, and answers nothing.
fn silent() -> FaultServer {
    FaultServer::start(|mut connection| async move { connection.client_closed().await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_hold_for_the_handle_they_were_given_to_and_no_other_clone() {
    let server = silent();
    let patient = lazy(socket(server.path()));
    let hasty = patient.with(CallOptions::new().timeout(SOON));
    let timeout = |error: hookwire::PluginError| (error.kind(), error.timeout());

    let mut context = PluginContext::new("request-1");
    let call = hasty.invoke_hook::<ToolPreInvoke>(&tool("t"), &mut context).await;
    assert_eq!(timeout(call.unwrap_err()), (ErrorKind::Timeout, Some(SOON)));
    let call = hasty.clone().invoke_hook_json("tool_pre_invoke", &json!({}), &mut context).await;
    assert_eq!(timeout(call.unwrap_err()), (ErrorKind::Timeout, Some(SOON)));
    // Questions are calls too.
    let question = hasty.plugin_config().await;
    assert_eq!(timeout(question.unwrap_err()), (ErrorKind::Timeout, Some(SOON)));

    let other = patient.with(CallOptions::new().timeout(SOON * 2));
    let call = other.invoke_hook::<ToolPreInvoke>(&tool("t"), &mut context).await;
    assert_eq!(timeout(call.unwrap_err()), (ErrorKind::Timeout, Some(SOON * 2)));
    assert_eq!(patient.stats().timeouts, 3, "all clones share one plugin");
    patient.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owned_call_can_be_spawned_and_brings_the_context_back() {
    let (_dir, _server, counter) = counter().await;
    let payload = Arc::new(tool("search"));
    let context = PluginContext::new("request-1");
    let call = counter.invoke_hook_owned::<ToolPreInvoke>(Arc::clone(&payload), context);
    drop(counter);
    let (result, context) = in_time("a call", tokio::spawn(call)).await.unwrap();
    assert_eq!(common::modified(result.unwrap()).unwrap().name, "SEARCH");
    assert_eq!(context.state["visits"], 1);
    assert_eq!(context.global_context.state["last"], "search");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owned_call_that_fails_brings_the_context_back_as_it_was() {
    let (_dir, _server, counter) = counter().await;
    let before = PluginContext::new("request-1");
    let call = counter.invoke_hook_owned::<ToolPreInvoke>(Arc::new(tool("fail")), before.clone());
    let (result, context) = in_time("a call", call).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Plugin);
    assert_eq!(context, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_owned_calls_run_side_by_side_each_with_its_own_context() {
    let (_dir, _server, counter) = counter().await;
    let payload = Arc::new(tool("search"));
    let mut calls: FuturesUnordered<_> = (0..50)
        .map(|i| {
            let context = PluginContext::new(format!("request-{i}"));
            counter.invoke_hook_owned::<ToolPreInvoke>(Arc::clone(&payload), context)
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    while let Some((result, context)) = in_time("a call", calls.next()).await {
        assert!(result.unwrap().is_allowed());
        assert_eq!(context.state["visits"], 1);
        seen.insert(context.global_context.request_id);
    }
    assert_eq!(seen.len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_that_is_only_read_is_changed_by_the_reply_that_the_caller_applies() {
    let (_dir, _server, counter) = counter().await;
    let mut context = PluginContext::new("request-1");
    for (tool_name, visits) in [("search", 1), ("deny", 2)] {
        let before = context.clone();
        let payload = tool(tool_name);
        let call = counter.invoke_hook_shared::<ToolPreInvoke>(&payload, &context);
        let (result, reply) = in_time("a call", call).await.unwrap();
        assert_eq!(result.is_allowed(), tool_name == "search");
        assert_eq!(context, before, "it was only read");
        let reply = reply.unwrap();
        assert_eq!(reply.state()["visits"], visits);
        assert_eq!(reply.global_state().unwrap()["last"], tool_name);
        reply.apply_to(&mut context);
        assert_eq!(context.state["visits"], visits);
    }
    let failed = counter.invoke_hook_shared::<ToolPreInvoke>(&tool("fail"), &context).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Plugin);
}

/// Names of hooks may come from anywhere: what is refused is kept nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hook_has_its_own_times_and_a_misspelt_one_has_none() {
    let (_dir, _server, counter) = counter().await;
    let mut context = PluginContext::new("request-1");
    for name in ["allow", "deny", "fail"] {
        let payload = json!({"name": name});
        let _ = counter.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await;
    }
    let _ = counter.invoke_hook_json("tool_pre_invok", &json!({"name": "t"}), &mut context).await;
    let stats = counter.stats();
    assert_eq!(stats.hooks.keys().collect::<Vec<_>>(), ["tool_pre_invoke"]);
    let times = &stats.hooks["tool_pre_invoke"];
    let counts = (times.allowed.count(), times.denied.count(), times.failed.count());
    assert_eq!(counts, (1, 1, 1));
    assert_eq!((stats.ok, stats.violations, stats.plugin_errors, stats.refused), (1, 1, 1, 1));
}
