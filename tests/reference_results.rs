//! What a plugin of the reference server can answer: verdicts, errors, and odd replies.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::reference::ReferenceServer;
use common::reference::calls::{call, connect, context, denial};
use hookwire::hooks::{
    PromptPreFetch, PromptPreFetchPayload, ToolPostInvoke, ToolPostInvokePayload,
};
use hookwire::model::DenialMetric;
use hookwire::{
    ErrorKind, HookRegistry, PluginConfig, PluginError, PluginFault, PluginHandle, Sent,
};
use serde_json::{Value, json};

/// The plugin's own words, from an error that must be one.
fn fault(error: &PluginError) -> &PluginFault {
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Plugin, Sent::Maybe), "{error}");
    assert!(!error.is_retryable());
    error.plugin_fault().unwrap()
}

/// What the server says of a plugin or a hook that it does not have.
fn not_found(hook: &str, plugin: &str) -> String {
    format!("Unable to find {hook} for plugin {plugin}.  Make sure the plugin is registered.")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_brings_everything_that_a_violation_can_say() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Deny").await;
    let result = call(&plugin, json!({})).await.unwrap();

    assert!(!result.is_allowed());
    assert!(result.violation() == Some(&denial()), "{:?}", result.violation());

    let metrics = result.denial_metadata().unwrap();
    let expected = [
        ("blocked", DenialMetric::Boolean(true)),
        ("exact", DenialMetric::Integer(1 << 60)),
        ("negative", DenialMetric::Integer(-(1 << 62))),
        ("ratio", DenialMetric::Floating(1.5)),
    ];
    assert_eq!(metrics.iter().collect::<Vec<_>>(), expected);
    assert_eq!(result.retry_delay(), None);
    assert_eq!(plugin.stats().violations, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_the_same_typed_and_by_name() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Deny").await;
    let payload = ToolPostInvokePayload::new("t", json!([1]));
    let typed = plugin.invoke_hook::<ToolPostInvoke>(&payload, &mut context()).await.unwrap();
    let payload = json!({"name": "t", "result": [1]});
    let by_name =
        plugin.invoke_hook_json("tool_post_invoke", &payload, &mut context()).await.unwrap();
    assert!(!typed.is_allowed() && !by_name.is_allowed());
    assert!(typed.violation().is_some() && typed.violation() == by_name.violation());
    assert!(typed.denial_metadata() == by_name.denial_metadata());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowance_brings_what_stands_beside_the_payload() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Annotate").await;
    let result = call(&plugin, json!({})).await.unwrap();
    assert!(result.is_allowed() && result.violation().is_none());
    let metadata = json!({"seen": "tool", "nested": {"list": [1, 2.5, null, true]}});
    assert_eq!(Value::Object(result.metadata().clone()), metadata);
    let headers = [("X-Fixture".to_owned(), "annotated".to_owned())].into();
    assert_eq!(result.http_headers(), Some(&headers));
    assert_eq!(result.retry_delay(), Some(Duration::from_millis(250)));
    let metrics = result.denial_metadata().unwrap();
    let expected = [
        ("exact", DenialMetric::Integer(1 << 60)),
        ("flag", DenialMetric::Boolean(false)),
        ("ratio", DenialMetric::Floating(0.25)),
    ];
    assert_eq!(metrics.iter().collect::<Vec<_>>(), expected);
    assert!(result.executions().is_empty() && result.modified_extensions().is_none());
    assert_eq!(common::modified(result), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_the_server_lacks_is_told_by_its_answer() {
    let Some(server) = ReferenceServer::shared() else { return };
    let config = PluginConfig::builder("Nobody").socket(server.socket());

    let error = PluginHandle::connect(config.clone().build().unwrap()).await.unwrap_err();
    assert_eq!(error.reason(), "no_hooks", "nothing here or there says what to call");

    let config = config.hook("tool_pre_invoke").build().unwrap();
    let plugin = PluginHandle::connect(config).await.unwrap();
    assert!(plugin.plugin_config().await.unwrap().is_none());
    let error = call(&plugin, json!({})).await.unwrap_err();
    let fault = fault(&error);
    assert_eq!(fault.message, not_found("tool_pre_invoke", "Nobody"));
    assert_eq!((fault.plugin_name.as_str(), fault.code.as_str()), ("Nobody", ""));
    assert_eq!(fault.mcp_error_code, -32603);
    assert!(fault.details.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_the_plugin_lacks_is_told_by_its_answer() {
    let Some(server) = ReferenceServer::shared() else { return };
    let registry = HookRegistry::builtin().register("made_up");
    let config = PluginConfig::builder("Deny").socket(server.socket()).build().unwrap();
    let plugin = PluginHandle::builder(config).registry(registry).connect().await.unwrap();

    let payload = PromptPreFetchPayload::new("p");
    let error = plugin.invoke_hook::<PromptPreFetch>(&payload, &mut context()).await.unwrap_err();
    assert_eq!(fault(&error).message, not_found("prompt_pre_fetch", "Deny"));
    let error = plugin.invoke_hook_json("made_up", &json!({}), &mut context()).await.unwrap_err();
    assert_eq!(fault(&error).message, not_found("made_up", "Deny"));
    assert_eq!(plugin.stats().plugin_errors, 2);

    let error =
        plugin.invoke_hook_json("not_registered", &json!({}), &mut context()).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("unregistered_hook", Sent::No));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_the_plugin_cannot_read_is_told_by_its_answer() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    for (payload, complaint) in [
        (json!({"args": {}}), "Field required"),
        (json!({"name": "t", "args": "text"}), "valid dictionary"),
        (json!({}), "Field required"),
    ] {
        let answer = plugin.invoke_hook_json("tool_pre_invoke", &payload, &mut context()).await;
        let error = answer.unwrap_err();
        let fault = fault(&error);
        assert!(fault.message.contains(complaint), "{}", fault.message);
        assert_eq!((fault.plugin_name.as_str(), fault.mcp_error_code), ("Echo", -32603));
    }
    let not_an_object =
        plugin.invoke_hook_json("tool_pre_invoke", &json!([1]), &mut context()).await;
    assert_eq!(not_an_object.unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_errors_of_a_plugin_reach_the_caller_in_its_words() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Crash").await;

    let error = call(&plugin, json!({"how": "raise"})).await.unwrap_err();
    let raised = fault(&error);
    assert_eq!(raised.message, "RuntimeError('the fixture crashed')");
    assert_eq!((raised.plugin_name.as_str(), raised.code.as_str()), ("Crash", ""));

    let error = call(&plugin, json!({"how": "plugin_error"})).await.unwrap_err();
    let told = fault(&error);
    assert_eq!(told.message, "the fixture says no");
    assert_eq!((told.plugin_name.as_str(), told.code.as_str()), ("inner", "FIXTURE"));
    assert_eq!(told.mcp_error_code, -32050);
    assert!(told.details.is_empty(), "the server drops them");

    let connections = plugin.stats().connections;
    assert_eq!(connections.iter().map(|one| one.connects).sum::<u64>(), 1, "an error is a reply");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_replies_are_understood() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Odd").await;

    let result = call(&plugin, json!({"what": "nan"})).await.unwrap();
    assert_eq!(result.metadata()["number"], Value::Null, "JSON has no NaN");

    let result = call(&plugin, json!({"what": "deny_without_violation"})).await.unwrap();
    assert!(!result.is_allowed() && result.violation().is_none());

    // Deeper than what the server itself would parse.
    let result = call(&plugin, json!({"what": "deep", "size": 49})).await.unwrap();
    let mut value = &Value::Object(result.metadata().clone());
    for _ in 0..49 {
        value = &value["k"];
    }
    assert_eq!(*value, 1);

    let error = call(&plugin, json!({"what": "nothing"})).await.unwrap_err();
    assert!(fault(&error).message.starts_with("AttributeError"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_beside_half_a_result_is_an_error() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Odd").await;
    let error = call(&plugin, json!({"what": "half"})).await.unwrap_err();
    let fault = fault(&error);
    assert_eq!((fault.code.as_str(), fault.plugin_name.as_str()), ("INTERNAL_ERROR", "Odd"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_too_large_to_send_costs_its_call_and_no_other() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Odd").await;
    // The server drops the connection instead of replying; the hook has run.
    let error = call(&plugin, json!({"what": "large", "size": 17 << 20})).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));
    assert!(!error.is_retryable());

    let result = call(&plugin, json!({"what": "large", "size": 15 << 20})).await.unwrap();
    assert_eq!(result.metadata()["blob"].as_str().map(str::len), Some(15 << 20));
}
