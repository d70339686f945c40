//! Results, on their way to the client.

use hookwire::hooks::{ToolPostInvoke, ToolPreInvoke};
use hookwire::server::Handlers;
use hookwire::{PluginResult, PluginViolation};
use hookwire_agentgateway::proto::authorization_error::Code;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::world::{Guard, Verdict, World};

const CALL: &str = r#"{"name":"search","arguments":{"q":"rust"}}"#;
const RESULT: &str = r#"{"content":[{"type":"text","text":"old"}],"isError":false}"#;

fn allow(_: Value) -> Verdict {
    PluginResult::allow()
}

/// `old` in the text of the payload becomes `new`.
fn rewrite(payload: Value) -> Verdict {
    let text = payload.to_string().replace("old", "new");
    PluginResult::modify(serde_json::from_str(&text).unwrap())
}

/// What becomes of the result of this request.
async fn result(world: &World, method: &str, params: &str, result: &str) -> Answer {
    let answered = world.client.request(method, params).await;
    assert_eq!(answered.answer, Answer::Pass);
    world.client.result(method, result, answered.ticket.as_deref()).await
}

#[tokio::test]
async fn a_result_is_checked_with_the_name_of_its_request() {
    let guard = Guard::default()
        .on("tool_post_invoke", allow)
        .on("prompt_post_fetch", allow)
        .on("resource_post_fetch", allow);
    let world = World::of(guard).await;
    assert_eq!(result(&world, "tools/call", CALL, RESULT).await, Answer::Pass);
    let prompt = r#"{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}]}"#;
    assert_eq!(result(&world, "prompts/get", r#"{"name":"greet"}"#, prompt).await, Answer::Pass);
    let read = r#"{"contents":[{"uri":"file:///a","text":"hi"}]}"#;
    assert_eq!(
        result(&world, "resources/read", r#"{"uri":"file:///a"}"#, read).await,
        Answer::Pass
    );
    assert_eq!(
        world.seen.payloads(),
        [
            json!({"name": "search", "result": serde_json::from_str::<Value>(RESULT).unwrap()}),
            json!({"prompt_id": "greet", "result": serde_json::from_str::<Value>(prompt).unwrap()}),
            json!({"uri": "file:///a", "content": {"uri": "file:///a", "text": "hi"}}),
        ]
    );
}

#[tokio::test]
async fn a_result_belongs_to_the_request_as_it_went_on() {
    let other = |_| PluginResult::modify(json!({"name": "safe_search"}));
    let guard = Guard::default().on("tool_pre_invoke", other).on("tool_post_invoke", allow);
    let world = World::of(guard).await;
    let answered = world.client.request("tools/call", r#"{"name":"search"}"#).await;
    assert_eq!(answered.answer, Answer::Mutated(r#"{"name":"safe_search"}"#.to_owned()));
    let answer = world.client.result("tools/call", RESULT, answered.ticket.as_deref()).await;
    assert_eq!(answer, Answer::Pass);
    assert_eq!(world.seen.payloads()[1]["name"], "safe_search");
}

#[tokio::test]
async fn of_a_changed_result_everything_else_stays_as_it_was() {
    let guard = Guard::default()
        .on("tool_post_invoke", rewrite)
        .on("prompt_post_fetch", rewrite)
        .on("resource_post_fetch", rewrite);
    let world = World::of(guard).await;
    for (method, params, text) in [
        (
            "tools/call",
            CALL,
            r#"{"_meta":{"z":1.0,"a":1e2},"isError":false,"structuredContent":{"z":2.0},"content":["old"],"x":0.10}"#,
        ),
        (
            "prompts/get",
            r#"{"name":"greet"}"#,
            r#"{"description":"\u0041","messages":["old"],"_meta":{"z":1.0,"a":1e2}}"#,
        ),
        (
            "resources/read",
            r#"{"uri":"file:///a"}"#,
            r#"{"_meta":{"z":1.0},"contents":[{"uri":"file:///a","blob":"AAAA","x":1.0},{"uri":"file:///b","text":"old"},{"text":"b"}]}"#,
        ),
    ] {
        let answer = result(&world, method, params, text).await;
        assert_eq!(answer, Answer::Mutated(text.replace("old", "new")), "{method}");
    }
}

#[tokio::test]
async fn each_content_of_a_resource_is_checked_and_a_denial_of_one_is_one_of_all() {
    let guard = Guard::default().on("resource_post_fetch", |payload| {
        match payload["content"]["text"].as_str() {
            Some("secret") => PluginResult::deny(PluginViolation::new("SECRET")),
            _ => PluginResult::allow(),
        }
    });
    let world = World::of(guard).await;
    let read = r#"{"contents":[{"text":"plain"},{"text":"secret"},{"text":"plain"}]}"#;
    let answer = result(&world, "resources/read", r#"{"uri":"file:///a"}"#, read).await;
    assert_eq!(answer.refusal(), (Code::PermissionDenied, "SECRET"));
    assert_eq!(world.seen.all().len(), 2);
}

/// A plugin that puts the arguments of a call into its state, and answers the result with them.
fn keeper() -> Handlers {
    Handlers::new()
        .on::<ToolPreInvoke>(|payload, mut context| async move {
            context.state.insert("q".to_owned(), payload.args.unwrap_or_default()["q"].clone());
            Ok((PluginResult::allow(), context))
        })
        .on::<ToolPostInvoke>(|mut payload, context| async move {
            payload.result = json!({"kept": context.state["q"]});
            Ok(PluginResult::modify(payload))
        })
}

#[tokio::test]
async fn what_a_plugin_keeps_of_a_request_is_there_for_its_own_result_and_no_other() {
    let world = World::of(Guard::default().with(|_| keeper())).await;
    let mut tickets = Vec::new();
    for number in 0..20 {
        let call = format!(r#"{{"name":"search","arguments":{{"q":{number}}}}}"#);
        tickets.push(world.client.request("tools/call", &call).await.ticket.unwrap());
    }
    for (number, ticket) in tickets.iter().enumerate().rev() {
        let answer = world.client.result("tools/call", RESULT, Some(ticket)).await;
        assert_eq!(answer, Answer::Mutated(format!(r#"{{"kept":{number}}}"#)));
    }
}

#[tokio::test]
async fn a_result_whose_request_is_not_known_is_refused() {
    let guard = Guard::default()
        .on("tool_pre_invoke", allow)
        .on("tool_post_invoke", allow)
        .on("prompt_post_fetch", allow);
    let world = World::of(guard).await;
    let ticket = async || world.client.request("tools/call", CALL).await.ticket.unwrap();
    let refused = async |method: &str, ticket: Option<&str>| {
        let answer = world.client.result(method, RESULT, ticket).await;
        assert_eq!(answer.refusal(), (Code::Unknown, "request_not_known"), "{ticket:?}");
    };
    // The gateway does not tell, or tells what it was not given.
    refused("tools/call", None).await;
    refused("tools/call", Some("")).await;
    refused("tools/call", Some("00000000000000000000000000000000-0")).await;
    // Another method's.
    refused("prompts/get", Some(&ticket().await)).await;
    // A second time.
    let once = ticket().await;
    assert_eq!(world.client.result("tools/call", RESULT, Some(&once)).await, Answer::Pass);
    refused("tools/call", Some(&once)).await;
}

#[tokio::test]
async fn a_denied_request_has_no_result_to_check() {
    let deny = |_| PluginResult::deny(PluginViolation::new("NO"));
    let guard = Guard::default().on("tool_pre_invoke", deny).on("tool_post_invoke", allow);
    let world = World::of(guard).await;
    let answered = world.client.request("tools/call", CALL).await;
    assert_eq!(answered.answer.refusal(), (Code::PermissionDenied, "NO"));
    assert_eq!(answered.ticket, None);
}

/// The result of a task comes by `tasks/get`, which has no hook: a client, or a tool, could have it
/// go by unchecked.
#[tokio::test]
async fn a_tool_that_works_on_as_a_task_is_refused_where_its_result_is_checked() {
    let guard = Guard::default().on("tool_pre_invoke", allow).on("tool_post_invoke", allow);
    let world = World::of(guard).await;
    let asked = r#"{"name":"search","task":{"ttl":60000}}"#;
    let answered = world.client.request("tools/call", asked).await;
    assert_eq!(answered.answer.refusal(), (Code::Invalid, "task"));
    for task in [
        r#"{"resultType":"task","taskId":"1","status":"working"}"#,
        r#"{"resultType":"task","taskId":"1","content":[]}"#,
        r#"{"task":{"taskId":"1","status":"working"}}"#,
    ] {
        let answer = result(&world, "tools/call", CALL, task).await;
        assert_eq!(answer.refusal(), (Code::Invalid, "task"), "{task}");
    }
    // What only looks like one.
    for fine in [r#"{"content":[],"task":1}"#, r#"{"resultType":"complete","content":[]}"#] {
        assert_eq!(result(&world, "tools/call", CALL, fine).await, Answer::Pass, "{fine}");
    }

    let world = World::of(Guard::default().on("tool_pre_invoke", allow)).await;
    assert_eq!(world.client.request("tools/call", asked).await.answer, Answer::Pass);
}

#[tokio::test]
async fn what_is_no_result_is_refused_and_no_plugin_sees_it() {
    let guard = Guard::default().on("tool_post_invoke", allow).on("resource_post_fetch", allow);
    let world = World::of(guard).await;
    for text in ["", "[]", "null", r#""text""#, "{", r#"{"content":[],"content":[]}"#] {
        let answer = result(&world, "tools/call", CALL, text).await;
        assert_eq!(answer.refusal(), (Code::Invalid, "malformed"), "{text}");
    }
    for text in ["{}", r#"{"contents":{}}"#, r#"{"contents":["text"]}"#, r#"{"contents":null}"#] {
        let answer = result(&world, "resources/read", r#"{"uri":"a"}"#, text).await;
        assert_eq!(answer.refusal(), (Code::Invalid, "malformed"), "{text}");
    }
    assert!(world.seen.all().is_empty());
}

#[tokio::test]
async fn a_change_that_no_result_can_have_ends_it() {
    for changed in [
        json!({"name": "search", "result": "gone"}),
        json!({"name": "search", "result": null}),
        json!({"name": "other", "result": {}}),
    ] {
        let answer = changed.clone();
        let guard =
            Guard::default().on("tool_post_invoke", move |_| PluginResult::modify(answer.clone()));
        let world = World::of(guard).await;
        let answer = result(&world, "tools/call", CALL, RESULT).await;
        assert_eq!(answer.refusal(), (Code::Unknown, "bad_reply"), "{changed}");
    }
}
