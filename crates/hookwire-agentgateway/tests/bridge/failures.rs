//! Plugins that fail, by their `on_error`. None of it is a status, which the gateway's own
//! `failureMode` would judge.

use hookwire::server::{HandlerError, Handlers};
use hookwire::{PluginResult, PluginViolation};
use hookwire_agentgateway::proto::authorization_error::Code;
use hookwire_gateway::Chain;
use serde_json::{Value, json};
use std::time::Duration;

use crate::client::{Answer, request};
use crate::world::{Guard, World};

const CALL: &str = r#"{"name":"search","arguments":{"q":"hunter2"}}"#;

fn broken() -> Guard {
    Guard::default().trying("tool_pre_invoke", |payload: Value| {
        Err(HandlerError::new(format!("cannot look at {payload}")))
    })
}

async fn world(guard: Guard, on_error: &str) -> World {
    // Named, so that they are known when the server is not there.
    let keys = json!({"on_error": on_error, "hooks": ["tool_pre_invoke"]});
    World::with(guard, keys, Chain::builder()).await
}

#[tokio::test]
async fn a_plugin_that_fails_ends_the_request_and_its_words_go_nowhere() {
    let world = world(broken(), "fail").await;
    let answered = world.client.request("tools/call", CALL).await;
    let expected = Answer::Error {
        code: Code::Unknown,
        reason: "a plugin that checks requests failed".to_owned(),
        error: json!({
            "code": -32603, "message": "a plugin that checks requests failed",
            "data": {"code": "plugin", "http_status": 502},
        }),
    };
    assert_eq!(answered.answer, expected);
}

#[tokio::test]
async fn with_ignore_a_request_goes_on_without_the_plugin() {
    let world = world(broken(), "ignore").await;
    for _ in 0..2 {
        assert_eq!(world.client.request("tools/call", CALL).await.answer, Answer::Pass);
    }
    assert_eq!(world.seen.all().len(), 2);
}

#[tokio::test]
async fn with_disable_a_plugin_is_left_out_once_it_has_failed() {
    let world = world(broken(), "disable").await;
    for _ in 0..2 {
        assert_eq!(world.client.request("tools/call", CALL).await.answer, Answer::Pass);
    }
    assert_eq!(world.seen.all().len(), 1);
    assert_eq!(world.gateway.chain().disabled(), ["Guard"]);
}

#[tokio::test]
async fn a_plugin_that_is_down_ends_the_request_and_its_path_goes_nowhere() {
    let allow = |_| PluginResult::allow();
    let mut fails = world(Guard::default().on("tool_pre_invoke", allow), "fail").await;
    fails.stop_plugin().await;
    let answered = fails.client.request("tools/call", CALL).await;
    assert_eq!(answered.answer.refusal().0, Code::Unknown);
    let shown = format!("{:?}", answered.answer);
    assert!(!shown.contains(fails.path().to_str().unwrap()) && !shown.contains("hunter2"));

    let mut ignores = world(Guard::default().on("tool_pre_invoke", allow), "ignore").await;
    ignores.stop_plugin().await;
    assert_eq!(ignores.client.request("tools/call", CALL).await.answer, Answer::Pass);
}

/// The limit is what is waited for, so it is short.
#[tokio::test]
async fn when_the_time_of_all_plugins_is_over_the_request_ends_whatever_on_error_is() {
    let silent = || {
        Guard::default().with(|handlers: Handlers| {
            handlers.on_json("tool_pre_invoke", |_, _| {
                std::future::pending::<Result<PluginResult<Value>, HandlerError>>()
            })
        })
    };
    for on_error in ["fail", "ignore"] {
        let settings = Chain::builder().timeout(Duration::from_millis(100));
        let world = World::with(silent(), json!({"on_error": on_error}), settings).await;
        let answered = world.client.request("tools/call", CALL).await;
        assert_eq!(answered.answer.refusal(), (Code::Unknown, "timeout"), "{on_error}");
    }
}

/// Each content is a run of the chain, with a time of its own; an MCP server chooses how many.
#[tokio::test]
async fn the_time_of_a_call_is_for_all_contents_of_a_resource() {
    let silent_at_the_second = Guard::default().with(|handlers: Handlers| {
        handlers.on_json("resource_post_fetch", |payload, _| async move {
            if payload["content"]["text"] == "b" {
                std::future::pending::<()>().await;
            }
            Ok(PluginResult::<Value>::allow())
        })
    });
    let (time, keys) = (Duration::from_millis(100), json!({"on_error": "ignore"}));
    let world = World::within(time, silent_at_the_second, keys, Chain::builder()).await;
    let ticket = world.client.request("resources/read", r#"{"uri":"file:///a"}"#).await.ticket;
    let read = r#"{"contents":[{"text":"a"},{"text":"b"}]}"#;
    let answer = world.client.result("resources/read", read, ticket.as_deref()).await;
    assert_eq!(answer.refusal(), (Code::Unknown, "timeout"));
}

#[tokio::test]
async fn once_the_gateway_is_shut_down_nothing_passes() {
    let allow = |_| PluginResult::allow();
    let world = world(Guard::default().on("tool_pre_invoke", allow), "ignore").await;
    world.gateway.shutdown(Duration::from_secs(10)).await;
    let answered = world.client.request("tools/call", CALL).await;
    assert_eq!(answered.answer.refusal(), (Code::Unknown, "closed"));
}

#[tokio::test]
async fn a_failure_of_one_request_is_nobody_elses() {
    let guard =
        Guard::default().trying("tool_pre_invoke", |payload| match payload["args"]["q"].as_str() {
            Some("deny") => Ok(PluginResult::deny(PluginViolation::new("NO"))),
            Some("fail") => Err(HandlerError::new("broken")),
            _ => Ok(PluginResult::allow()),
        });
    let world = world(guard, "fail").await;
    let ask = async |q: &str| {
        let params = json!({"name": "search", "arguments": {"q": q}}).to_string();
        world.client.try_request(request("tools/call", &params)).await.unwrap().answer
    };
    for _ in 0..10 {
        let (denied, failed, passed) = tokio::join!(ask("deny"), ask("fail"), ask("pass"));
        assert_eq!(denied.refusal(), (Code::PermissionDenied, "NO"));
        assert_eq!(failed.refusal(), (Code::Unknown, "plugin"));
        assert_eq!(passed, Answer::Pass);
    }
}
