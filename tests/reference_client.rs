//! The reference client drives our embedded server, as far as it can send and say things.
//!
//! The client is a child process that blocks us while it works: the server runs on the
//! runtime's own threads meanwhile.
#![cfg(feature = "server")]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::reference::ReferenceClient;
use common::reference::served::Served;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(300);

/// A client of this plugin that has been initialised.
fn client(served: &Served, plugin: &str) -> Option<ReferenceClient> {
    let setup = json!({"socket": served.socket(), "plugin": plugin, "timeout": 30});
    let mut client = ReferenceClient::start(&setup)?;
    let initialized = client.step(&json!({"do": "initialize"}));
    assert_eq!((&initialized["ok"], &initialized["connected"]), (&json!(true), &json!(true)));
    Some(client)
}

fn invoke(hook: &str, payload: Value) -> Value {
    json!({"do": "invoke", "hook": hook, "payload": payload})
}

fn tool(args: Value) -> Value {
    invoke("tool_pre_invoke", json!({"name": "tool", "args": args}))
}

/// The result of a step that must have one.
fn result(answer: &Value) -> &Value {
    assert_eq!(answer["ok"], true, "{answer}");
    &answer["result"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_built_in_hook_is_served() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Transform") else { return };
    let hooks = [
        ("tool_pre_invoke", json!({"name": "t", "args": {"a": "x", "n": 2}}), "/args/a"),
        ("tool_post_invoke", json!({"name": "t", "result": ["x"]}), "/result/0"),
        ("prompt_pre_fetch", json!({"prompt_id": "p", "args": {"a": "x"}}), "/args/a"),
        ("prompt_post_fetch", json!({"prompt_id": "p", "result": {"a": "x"}}), "/result/a"),
        ("resource_pre_fetch", json!({"uri": "u", "metadata": {"a": "x"}}), "/metadata/a"),
        ("resource_post_fetch", json!({"uri": "u", "content": "x"}), "/content"),
        ("agent_pre_invoke", json!({"agent_id": "a", "messages": ["x"]}), "/messages/0"),
        ("agent_post_invoke", json!({"agent_id": "a", "messages": ["x"]}), "/messages/0"),
        ("http_pre_request", json!({"path": "/", "method": "GET", "headers": {"a": "x"}}), "/a"),
        (
            "http_post_request",
            json!({"path": "/", "method": "GET", "headers": {}, "response_headers": {"a": "x"}}),
            "/a",
        ),
        (
            "http_auth_resolve_user",
            json!({"credentials": {"a": "x"}, "headers": {}}),
            "/credentials/a",
        ),
        ("http_auth_check_permission", json!({"user_email": "a@b", "permission": "x"}), "/reason"),
    ];
    for (hook, payload, place) in hooks {
        let answer = client.step(&invoke(hook, payload));
        let came = result(&answer)["modified_payload"].pointer(place);
        assert_eq!(came, Some(&json!("X")), "{hook}: {answer}");
    }
    let messages = [
        "evaluate",
        "cmf.tool_pre_invoke",
        "cmf.tool_post_invoke",
        "cmf.llm_input",
        "cmf.llm_output",
        "cmf.resource_pre_fetch",
        "cmf.resource_post_fetch",
        "cmf.prompt_pre_fetch",
        "cmf.prompt_post_fetch",
    ];
    for hook in messages {
        let content = json!([{"content_type": "text", "text": "x"}]);
        let point = hook.trim_start_matches("cmf.");
        let payload = json!({"message": {"role": "user", "content": content}, "hook": point});
        let answer = client.step(&invoke(hook, payload));
        let came = &result(&answer)["modified_payload"];
        assert_eq!(came.pointer("/message/content/0/text"), Some(&json!("X")), "{hook}");
        assert_eq!(came["hook"], point);
    }
}

/// Its own model of these payloads cannot be sent (fault H10), so they go out as they
/// are; and its own server could not send the subject.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_resolved_and_delegated() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Transform") else { return };
    let mut resolve = invoke("identity_resolve", json!({"raw_token": "x"}));
    resolve["typed"] = json!(false);
    let answer = client.step(&resolve);
    let identity = &result(&answer)["modified_payload"];
    assert_eq!(identity["raw_claims"]["token"], "X");
    assert_eq!((&identity["rejected"], &identity["reject_status"]), (&json!(false), &json!(401)));
    assert_eq!(identity["subject"]["id"], "ada");

    let mut delegate = invoke("token_delegate", json!({"target_name": "x"}));
    delegate["typed"] = json!(false);
    let answer = client.step(&delegate);
    let token = &result(&answer)["modified_payload"];
    assert_eq!((&token["cache_key"], &token["cache_ttl"]), (&json!("X"), &json!(60)));
    assert_eq!(token["delegated_token"], "a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_arrives_with_everything_it_can_say() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Deny") else { return };
    let answer = client.step(&tool(json!({})));
    let denied = result(&answer);
    assert_eq!(denied["continue_processing"], false);
    let expected = json!({
        "reason": "not today", "description": "refuses every call", "code": "FIXTURE_DENIED",
        "details": {"tool": "tool", "tags": ["a", null, {"deep": true}]},
        "mcp_error_code": -32001, "http_status_code": 429, "http_headers": {"Retry-After": "7"},
    });
    assert_eq!(denied["violation"], expected);
    let metrics = json!({
        "exact": 1_i64 << 60, "negative": -(1_i64 << 62), "ratio": 1.5, "blocked": true,
    });
    assert_eq!(denied["denial_metadata"], metrics, "exact beyond what a double holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_beside_a_payload_arrives() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Annotate") else { return };
    let answer = client.step(&tool(json!({})));
    let allowed = result(&answer);
    assert_eq!(allowed["continue_processing"], true);
    // It reads every number of a JSON object as a double.
    let metadata = json!({"seen": "tool", "nested": {"list": [1.0, 2.5, null, true]}});
    assert_eq!(allowed["metadata"], metadata);
    assert_eq!(allowed["http_headers"], json!({"X-Fixture": "annotated"}));
    assert_eq!(allowed["retry_delay_ms"], 250);
    assert_eq!((&allowed["violation"], &allowed["modified_payload"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_goes_through_the_hooks_of_a_request() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "ContextKeeper") else { return };
    let context = json!({
        "global_context": {
            "request_id": "request-7", "server_id": "tools-eu", "tenant_id": "acme",
            "user": {"email": "ada@example.org"}, "metadata": {"route": "/mcp"},
            "state": {"quota": 10},
        },
        "state": {"mine": [1, null]}, "metadata": {"note": "hello"},
    });
    let mut first = tool(json!({}));
    first["context"] = context;
    let answer = client.step(&first);
    let seen = json!({
        "request_id": "request-7", "server_id": "tools-eu", "tenant_id": "acme",
        "user": {"email": "ada@example.org"}, "global_metadata": {"route": "/mcp"},
    });
    assert_eq!(result(&answer)["metadata"], seen);

    let second = client.step(&invoke("tool_post_invoke", json!({"name": "t", "result": 1})));
    let context = &second["context"];
    assert_eq!(context["state"], json!({"mine": [1.0, null], "calls": 2.0}));
    let hooks = json!(["tool_pre_invoke", "tool_post_invoke"]);
    assert_eq!(context["metadata"], json!({"note": "hello", "hooks": hooks}));
    assert_eq!(context["global_context"]["state"], json!({"quota": 10.0, "total": 2.0}));
    assert_eq!(context["global_context"]["request_id"], "request-7");

    // An emptied context is not sent back, so the client keeps what it had.
    let third = client.step(&tool(json!({"forget": true})));
    assert_eq!(third["context"], *context);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_back_as_they_went() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Echo") else { return };
    let args = json!({
        "zero": 0.0, "exact": 9_007_199_254_740_992.0, "half": 0.5, "huge": 1e300, "minus": -0.0,
        "null": null, "empty": {"list": [], "object": {}, "": ""}, "list": [null, true, [["x"]]],
        "nul": "a\0b", "emoji": "👩‍👩‍👧‍👦", "ends": "\u{ffff}\u{10ffff}", "schlüssel \0": "مرحبا",
    });
    let answer = client.step(&tool(args.clone()));
    assert_eq!(result(&answer)["modified_payload"]["args"], args);

    let args = json!({"ascii": "x".repeat(1 << 20), "wide": "€".repeat(1 << 18)});
    let answer = client.step(&tool(args.clone()));
    assert!(result(&answer)["modified_payload"]["args"] == args, "a mebibyte was changed");

    let deep = (0..31).fold(json!(1.0), |value, _| json!({ "k": value }));
    let answer = client.step(&tool(deep.clone()));
    assert_eq!(result(&answer)["modified_payload"]["args"], deep);
}

/// Fault H14 of the reference: it sends what no server of the protocol can parse. Ours
/// answers as its own does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_nests_too_deep_gets_an_empty_reply() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Counter") else { return };
    let nested = |marker: &str, lists: usize| {
        let deep = (1..lists).fold(json!([]), |value, _| json!([value]));
        tool(json!({"marker": marker, "deep": deep}))
    };
    assert_eq!(client.step(&nested("accepted", 47))["ok"], true);
    let answer = client.step(&nested("refused", 48));
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("invalid response"), "{answer}");
    assert_eq!((served.executions("accepted"), served.executions("refused")), (1, 0));
    assert_eq!(client.step(&nested("next", 1))["connected"], true, "it is the same connection");
    assert_eq!(served.server.as_ref().map(|server| server.stats().connections), Some(1));
}
