//! Our client over gRPC, and the reference's gRPC server.
#![cfg(feature = "grpc")]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::calls::{LIMIT, eventually, in_time};
use common::reference::calls::{call, call_for, context, denial};
use common::reference::grpc::GrpcReference;
use hookwire::config::PluginConfigBuilder;
use hookwire::hooks::*;
use hookwire::model::DenialMetric;
use hookwire::{CallPolicy, ErrorKind, Hook, PluginError, PluginHandle, PluginResult, Sent};
use serde_json::{Value, json};

/// The most that the reference's server takes.
const SERVER_LIMIT: usize = 4 << 20;

async fn connect_with(config: PluginConfigBuilder) -> Result<PluginHandle, PluginError> {
    let config = config.timeout(LIMIT).build().unwrap();
    in_time("connect", PluginHandle::connect(config)).await
}

async fn connect(server: &GrpcReference, plugin: &str) -> PluginHandle {
    connect_with(server.config(plugin)).await.unwrap()
}

/// What the plugin gives back for this payload; anything but that is a failure.
async fn modified<H: Hook>(plugin: &PluginHandle, payload: &H::Payload) -> H::Modified {
    let mut context = context();
    let result = plugin.invoke_hook::<H>(payload, &mut context).await;
    let result = result.unwrap_or_else(|error| panic!("{}: {error}", H::NAME));
    common::modified(result).unwrap_or_else(|| panic!("{} gave nothing back", H::NAME))
}

/// Calls the plugin with a mark; what came back under that name.
async fn marked(plugin: &PluginHandle, marker: &str) -> Value {
    let result = call(plugin, json!({"marker": marker})).await.unwrap();
    common::modified(result).unwrap().args.unwrap()["marker"].clone()
}

fn connects(plugin: &PluginHandle) -> u64 {
    plugin.stats().connections.iter().map(|connection| connection.connects).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_come_back_modified() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Transform").await;

    let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust").with_arg("page", 2);
    let expected = payload.clone().with_arg("query", "RUST");
    assert_eq!(modified::<ToolPreInvoke>(&plugin, &payload).await, expected);

    let payload = ToolPostInvokePayload::new("search", json!({"hits": ["a", {"title": "b"}]}));
    let expected = ToolPostInvokePayload::new("search", json!({"hits": ["A", {"title": "B"}]}));
    assert_eq!(modified::<ToolPostInvoke>(&plugin, &payload).await, expected);

    let payload = PromptPreFetchPayload::new("greeting").with_arg("name", "ada");
    let expected = PromptPreFetchPayload::new("greeting").with_arg("name", "ADA");
    assert_eq!(modified::<PromptPreFetch>(&plugin, &payload).await, expected);

    let payload = ResourcePostFetchPayload::new("file:///motd", "welcome");
    let expected = ResourcePostFetchPayload::new("file:///motd", "WELCOME");
    assert_eq!(modified::<ResourcePostFetch>(&plugin, &payload).await, expected);

    let message = |text: &str| {
        let parts = vec![ContentPart::Text(text.into())];
        let message = Message::new("user").with_content(parts).with_channel("final");
        MessagePayload::for_hook::<CmfLlmInput>(message)
    };
    assert_eq!(modified::<CmfLlmInput>(&plugin, &message("hello")).await, message("HELLO"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_are_served_by_name_too() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Transform").await;
    assert_eq!(plugin.hooks().known().map(<[String]>::len), Some(23), "as the server tells");
    for (hook, payload) in [
        ("tool_pre_invoke", json!({"name": "t", "args": {"k": "abc"}})),
        ("prompt_post_fetch", json!({"prompt_id": "p", "result": "abc"})),
        ("agent_pre_invoke", json!({"agent_id": "a", "messages": ["abc"]})),
        ("http_pre_request", json!({"path": "/", "method": "GET", "headers": {"k": "abc"}})),
        ("identity_resolve", json!({"raw_token": "abc"})),
        ("token_delegate", json!({"target_name": "abc"})),
    ] {
        let result = plugin.invoke_hook_json(hook, &payload, &mut context()).await;
        let result = result.unwrap_or_else(|error| panic!("{hook}: {error}"));
        let text = common::modified(result).unwrap().to_string();
        assert!(text.contains("ABC"), "{hook}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowance_brings_what_stands_beside_the_payload() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Annotate").await;
    let result = call(&plugin, json!({})).await.unwrap();
    assert!(result.is_allowed() && result.violation().is_none());
    let metadata = json!({"seen": "tool", "nested": {"list": [1, 2.5, null, true]}});
    assert_eq!(Value::Object(result.metadata().clone()), metadata);
    let headers = [("X-Fixture".to_owned(), "annotated".to_owned())].into();
    assert_eq!(result.http_headers(), Some(&headers));
    assert_eq!(result.retry_delay(), Some(Duration::from_millis(250)));
    assert_eq!(common::modified(result), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_brings_everything_that_a_violation_can_say() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Deny").await;
    let result = call(&plugin, json!({})).await.unwrap();
    assert!(!result.is_allowed());
    assert!(result.violation() == Some(&denial()), "{:?}", result.violation());
    let exact = result.denial_metadata().unwrap().iter().find(|(name, _)| *name == "exact");
    assert_eq!(exact, Some(("exact", DenialMetric::Integer(1 << 60))));
    assert_eq!((plugin.stats().violations, plugin.stats().ok), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_errors_of_a_plugin_reach_the_caller_in_its_words() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Crash").await;
    for (how, message, name) in [
        ("raise", "RuntimeError('the fixture crashed')", "Crash"),
        ("plugin_error", "the fixture says no", "inner"),
    ] {
        let error = call(&plugin, json!({"how": how})).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Plugin, Sent::Maybe), "{error}");
        let fault = error.plugin_fault().unwrap();
        assert_eq!((fault.message.as_str(), fault.plugin_name.as_str()), (message, name));
    }
    assert_eq!(connects(&plugin), 1, "an error is a reply");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_goes_from_call_to_call() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let mut context = context();
    for count in 1..=3 {
        let payload = ToolPreInvokePayload::new("tool");
        let result = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap();
        assert_eq!(result.metadata()["calls"], count);
        assert_eq!(context.state["calls"], count);
        assert_eq!(context.global_context.state["total"], count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_at_a_time_each_gets_its_own_answer() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Slow").await;
    // The later they are sent, the sooner they are answered.
    let calls = (0..64).map(|i| {
        let (plugin, args) = (plugin.clone(), json!({"i": i, "delay_ms": 5 * (64 - i)}));
        async move {
            let result = call(&plugin, args.clone()).await.unwrap();
            let echoed = common::modified(result).unwrap().args.map(Value::Object);
            assert_eq!(echoed, Some(args));
        }
    });
    in_time("64 calls", futures::future::join_all(calls)).await;
    assert_eq!((connects(&plugin), plugin.stats().ok), (1, 64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_called_over_a_unix_socket() {
    let Some(server) = GrpcReference::over_uds() else { return };
    let plugin = connect(&server, "Transform").await;
    let payload = ToolPreInvokePayload::new("t").with_arg("k", "abc");
    let expected = ToolPreInvokePayload::new("t").with_arg("k", "ABC");
    assert_eq!(modified::<ToolPreInvoke>(&plugin, &payload).await, expected);
    let denied = call(&connect(&server, "Deny").await, json!({})).await.unwrap();
    assert!(!denied.is_allowed());
    let failed = call(&connect(&server, "Crash").await, json!({})).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Plugin);
}

/// A call whose request is a little larger than this.
async fn call_of(
    plugin: &PluginHandle,
    size: usize,
) -> Result<PluginResult<ToolPreInvokePayload>, PluginError> {
    call(plugin, json!({"marker": "x".repeat(size)})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_beyond_the_servers_limit_is_refused_before_it_is_sent() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Echo").await;
    let error = call_of(&plugin, SERVER_LIMIT).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("request_too_large", Sent::No), "{error}");
    assert_eq!(plugin.stats().refused, 1);

    let result = call_of(&plugin, SERVER_LIMIT - 1024).await.unwrap();
    let echoed = common::modified(result).unwrap().args.unwrap();
    assert_eq!(echoed["marker"].as_str().map(str::len), Some(SERVER_LIMIT - 1024));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_refusal_of_a_large_request_is_told_with_its_limit() {
    let Some(server) = GrpcReference::shared() else { return };
    let raised = server.transport().max_message_len(4 * SERVER_LIMIT);
    let plugin = connect_with(server.config("Echo").grpc(raised)).await.unwrap();
    let error = call_of(&plugin, SERVER_LIMIT).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("request_too_large", Sent::Maybe), "{error}");
    assert!(error.to_string().contains(&SERVER_LIMIT.to_string()), "{error}");
    assert!(!error.is_retryable());

    assert_eq!(marked(&plugin, "next").await, "next");
    assert_eq!(connects(&plugin), 1, "no other call had to suffer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_a_slow_hook_and_no_other_call() {
    let Some(server) = GrpcReference::shared() else { return };
    let plugin = connect(server, "Slow").await;
    let (slow, brief) = (json!({"delay_ms": 20_000}), Duration::from_millis(500));
    let began = Instant::now();
    let error = call_for(&plugin, slow, brief).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::Maybe), "{error}");
    assert!(began.elapsed() >= brief && began.elapsed() < Duration::from_secs(10));

    assert_eq!(marked(&plugin, "next").await, "next");
    let stats = plugin.stats();
    assert_eq!((connects(&plugin), stats.ok, stats.timeouts, stats.mismatches), (1, 1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_whose_call_is_over_is_ended_at_the_server_too() {
    let Some(server) = GrpcReference::over_uds() else { return };
    let plugin = connect(&server, "Counter").await;
    let deadly = |marker: &str| json!({"marker": marker, "delay_ms": 2500, "exit": true});

    let brief = Duration::from_secs(1);
    let error = call_for(&plugin, deadly("late"), brief).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let dropped = {
        let plugin = plugin.clone();
        tokio::spawn(async move { call(&plugin, deadly("dropped")).await.map(drop) })
    };
    eventually("the hook runs", || server.executions("dropped") == 1).await;
    dropped.abort();

    // Longer than either of them had left.
    let result = call(&plugin, json!({"marker": "next", "delay_ms": 3000})).await.unwrap();
    assert_eq!(result.metadata()["marker"], "next");
    assert_eq!((server.executions("late"), connects(&plugin)), (1, 1));
    // What would have been seen.
    let error = call(&plugin, deadly("exit")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_ran_when_its_server_was_killed_runs_no_second_time() {
    let Some(mut server) = GrpcReference::over_uds() else { return };
    let plugin = connect(&server, "Counter").await;
    let under_way = {
        let plugin = plugin.clone();
        tokio::spawn(async move { call(&plugin, json!({"marker": "a", "delay_ms": 20_000})).await })
    };
    eventually("the hook runs", || server.executions("a") == 1).await;
    server.kill();
    let error = in_time("the call ends", under_way).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
    assert!(!error.is_retryable());

    tokio::task::block_in_place(|| server.restart());
    eventually("a new connection", || connects(&plugin) == 2).await;
    assert!(call(&plugin, json!({"marker": "b"})).await.unwrap().is_allowed());
    assert_eq!((server.executions("a"), server.executions("b")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_used_again_as_soon_as_it_is_back() {
    let Some(mut server) = GrpcReference::over_tcp() else { return };
    let plugin = connect(&server, "Echo").await;
    assert_eq!(marked(&plugin, "before").await, "before");

    server.kill();
    let error = call_for(&plugin, json!({}), LIMIT).await.unwrap_err();
    let kinds = [ErrorKind::Disconnected, ErrorKind::Unavailable];
    assert!(kinds.contains(&error.kind()), "{error}");

    tokio::task::block_in_place(|| server.restart());
    let up = Instant::now();
    let back = Duration::from_secs(2);
    while let Err(error) = call_for(&plugin, json!({"marker": "back"}), back).await {
        assert!(up.elapsed() < back, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(up.elapsed() < back, "back after {:?}", up.elapsed());
    assert_eq!(marked(&plugin, "after").await, "after");
    assert_eq!(connects(&plugin), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_another_case_is_refused_with_both_spellings() {
    let Some(server) = GrpcReference::shared() else { return };
    let error = connect_with(server.config("tRANSFORM")).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("name_mismatch", Sent::No));
    let text = error.to_string();
    assert!(text.contains("`Transform`") && text.contains("`tRANSFORM`"), "{text}");

    // Why: the server finds its configuration all the same, and no hook of it.
    let config = server.config("tRANSFORM").hook("tool_pre_invoke");
    let config = config.policy(CallPolicy::builder().verify(false));
    let unverified = connect_with(config).await.unwrap();
    assert!(unverified.plugin_config().await.unwrap().is_some());
    assert_eq!(call(&unverified, json!({})).await.unwrap_err().kind(), ErrorKind::Plugin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_the_server_lacks_is_told_by_its_answer() {
    let Some(server) = GrpcReference::shared() else { return };
    let error = connect_with(server.config("Nobody")).await.unwrap_err();
    assert_eq!(error.reason(), "no_hooks", "nothing here or there says what to call");

    let plugin = connect_with(server.config("Nobody").hook("tool_pre_invoke")).await.unwrap();
    assert!(plugin.plugin_config().await.unwrap().is_none());
    let error = call(&plugin, json!({})).await.unwrap_err();
    let fault = error.plugin_fault().unwrap();
    let told =
        "Unable to find tool_pre_invoke for plugin Nobody.  Make sure the plugin is registered.";
    assert_eq!((fault.message.as_str(), fault.plugin_name.as_str()), (told, "Nobody"));
    assert_eq!((fault.code.as_str(), fault.mcp_error_code), ("", -32603));
}
