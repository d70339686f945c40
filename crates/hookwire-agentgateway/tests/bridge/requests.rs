//! Requests, on their way to an MCP server.

use hookwire::{PluginResult, PluginViolation};
use hookwire_agentgateway::proto::authorization_error::Code;
use hookwire_gateway::Chain;
use serde_json::{Value, json};

use crate::client::{Answer, request, told};
use crate::world::{Guard, Verdict, World};

fn allow(_: Value) -> Verdict {
    PluginResult::allow()
}

/// What `pointer` points to becomes `value`.
fn set(pointer: &'static str, value: Value) -> impl Fn(Value) -> Verdict {
    move |mut payload| {
        *payload.pointer_mut(pointer).unwrap() = value.clone();
        PluginResult::modify(payload)
    }
}

#[tokio::test]
async fn a_plugin_sees_a_call_and_what_the_gateway_tells_and_lets_it_pass() {
    let world = World::of(Guard::default().on("tool_pre_invoke", allow)).await;
    let mut call = request("tools/call", r#"{"name":"search","arguments":{"q":"rust","n":3}}"#);
    call.metadata_context =
        Some(told([("request_id", "r-1"), ("user", "ada"), ("tenant_id", "t-1"), ("team", "red")]));
    let answered = world.client.try_request(call).await.unwrap();
    assert_eq!(answered.answer, Answer::Pass);
    // Nobody asks for the result.
    assert_eq!((answered.ticket, answered.headers), (None, vec![]));
    let asked = &world.seen.all()[0];
    assert_eq!(asked.payload, json!({"name": "search", "args": {"q": "rust", "n": 3}}));
    let global = serde_json::to_value(&asked.context.global_context).unwrap();
    assert_eq!(
        global,
        json!({"request_id": "r-1", "server_id": "files", "tenant_id": "t-1", "user": "ada",
               "metadata": {"team": "red"}, "state": {}})
    );
}

#[tokio::test]
async fn of_a_changed_request_everything_else_stays_byte_for_byte() {
    let cases = [
        (
            "tool_pre_invoke",
            set("/args/q", json!("new")),
            "tools/call",
            r#"{"_meta":{"progressToken":1.0},"name":"search","arguments":{"z":1e2,"q":"old","n":{"b":2,"a":1}},"x":[0.10]}"#,
        ),
        (
            "prompt_pre_fetch",
            set("/args/q", json!("new")),
            "prompts/get",
            r#"{"name":"greet","arguments":{"z":"\u0041","q":"old"},"_meta":{"b":1,"a":2.50}}"#,
        ),
        (
            "resource_pre_fetch",
            set("/uri", json!("file:///new")),
            "resources/read",
            r#"{"_meta":{"b":1,"a":2.50},"uri":"file:///old"}"#,
        ),
    ];
    for (hook, answer, method, params) in cases {
        let world = World::of(Guard::default().on(hook, answer)).await;
        let answered = world.client.request(method, params).await;
        assert_eq!(answered.answer, Answer::Mutated(params.replace("old", "new")), "{method}");
    }
}

#[tokio::test]
async fn a_plugin_may_send_a_request_elsewhere() {
    for (hook, pointer, method, params) in [
        ("tool_pre_invoke", "/name", "tools/call", r#"{"name":"old"}"#),
        ("prompt_pre_fetch", "/prompt_id", "prompts/get", r#"{"name":"old"}"#),
    ] {
        let world = World::of(Guard::default().on(hook, set(pointer, json!("new")))).await;
        let answered = world.client.request(method, params).await;
        assert_eq!(answered.answer, Answer::Mutated(params.replace("old", "new")), "{method}");
    }
}

/// Plugins in Python give a payload back whole, with `{}` where there were no arguments.
#[tokio::test]
async fn an_answer_that_changes_nothing_is_no_change() {
    let same = |mut payload: Value| {
        payload.as_object_mut().unwrap().entry("args").or_insert_with(|| json!({}));
        PluginResult::modify(payload)
    };
    let world = World::of(Guard::default().on("tool_pre_invoke", same)).await;
    for params in [
        r#"{"name":"search"}"#,
        r#"{"name":"search","arguments":null}"#,
        r#"{"name":"search","arguments":{}}"#,
        r#"{"name":"search","arguments":{"f":2.0,"n":[1e3,null,"a"]}}"#,
    ] {
        let answered = world.client.request("tools/call", params).await;
        assert_eq!(answered.answer, Answer::Pass, "{params}");
    }
}

#[tokio::test]
async fn arguments_come_and_go() {
    let with = |args: Value| move |_| PluginResult::modify(json!({"name": "search", "args": args}));
    for (args, before, after) in [
        (json!({"q": 1}), r#"{"name":"search"}"#, r#"{"name":"search","arguments":{"q":1}}"#),
        (
            json!({}),
            r#"{"name":"search","arguments":{"q":1}}"#,
            r#"{"name":"search","arguments":{}}"#,
        ),
    ] {
        let world = World::of(Guard::default().on("tool_pre_invoke", with(args))).await;
        let answered = world.client.request("tools/call", before).await;
        assert_eq!(answered.answer, Answer::Mutated(after.to_owned()));
    }
}

#[tokio::test]
async fn a_denial_brings_its_code_and_the_words_for_the_client_and_no_others() {
    let deny = |_| {
        let violation = PluginViolation::new("NO_SHELL")
            .with_reason("the argument hunter2")
            .with_description("Shells are not for guests.")
            .with_details([("found".to_owned(), json!("hunter2"))].into_iter().collect())
            .with_mcp_error_code(-32050)
            .with_http_status_code(451);
        PluginResult::deny(violation)
    };
    let world = World::of(Guard::default().on("tool_pre_invoke", deny)).await;
    let answered = world.client.request("tools/call", r#"{"name":"shell"}"#).await;
    let expected = Answer::Error {
        code: Code::PermissionDenied,
        reason: "Shells are not for guests.".to_owned(),
        error: json!({
            "code": -32050, "message": "Shells are not for guests.",
            "data": {"code": "NO_SHELL", "http_status": 451},
        }),
    };
    assert_eq!(answered.answer, expected);
    assert_eq!(answered.ticket, None);
}

#[tokio::test]
async fn a_denial_for_now_says_until_when() {
    let limit = |_| {
        let headers = [("Retry-After".to_owned(), "5".to_owned())].into();
        let violation = PluginViolation::new("RATE_LIMIT").with_http_status_code(429);
        PluginResult::deny(violation.with_http_headers(headers))
    };
    let world = World::of(Guard::default().on("prompt_pre_fetch", limit)).await;
    let answered = world.client.request("prompts/get", r#"{"name":"greet"}"#).await;
    let Answer::Error { code, reason, error } = answered.answer else { panic!() };
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "the request was denied"));
    assert_eq!(
        error["data"],
        json!({"code": "RATE_LIMIT", "http_status": 429, "http_headers": {"Retry-After": "5"}})
    );
}

#[tokio::test]
async fn a_denial_without_a_violation_is_a_denial() {
    let deny = |_| serde_json::from_value(json!({"continue_processing": false})).unwrap();
    let world = World::of(Guard::default().on("resource_pre_fetch", deny)).await;
    let answered = world.client.request("resources/read", r#"{"uri":"file:///a"}"#).await;
    assert_eq!(answered.answer.refusal(), (Code::PermissionDenied, "denied"));
}

#[tokio::test]
async fn a_method_that_no_plugin_has_a_hook_for_passes_whatever_it_holds() {
    let deny = |_| PluginResult::deny(PluginViolation::new("NO"));
    let world = World::of(Guard::default().on("tool_pre_invoke", deny)).await;
    for method in ["tools/list", "initialize", "prompts/get", "resources/read", "", "Tools/Call"] {
        let answered = world.client.request(method, "no JSON").await;
        assert_eq!((answered.answer, answered.ticket), (Answer::Pass, None), "{method}");
        assert_eq!(world.client.result(method, "no JSON", None).await, Answer::Pass, "{method}");
    }
    assert_eq!(world.client.result("tools/call", "no JSON", None).await, Answer::Pass);
    assert!(world.seen.all().is_empty());
}

#[tokio::test]
async fn what_is_not_what_its_method_has_is_refused_and_no_plugin_sees_it() {
    let guard = Guard::default()
        .on("tool_pre_invoke", allow)
        .on("prompt_pre_fetch", allow)
        .on("resource_pre_fetch", allow);
    let world = World::of(guard).await;
    let deep = format!(r#"{{"name":"a","arguments":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    for (method, params) in [
        ("tools/call", ""),
        ("tools/call", "null"),
        ("tools/call", "[]"),
        ("tools/call", "{"),
        ("tools/call", r#"{"name":"a"}{}"#),
        ("tools/call", "{}"),
        ("tools/call", r#"{"name":null}"#),
        ("tools/call", r#"{"name":["a"]}"#),
        ("tools/call", r#"{"name":"a","arguments":[]}"#),
        ("tools/call", r#"{"name":"a","arguments":"q"}"#),
        ("tools/call", r#"{"name":"a","name":"b"}"#),
        ("tools/call", r#"{"name":"a","arguments":{"q":1,"q":2}}"#),
        ("tools/call", &deep),
        ("prompts/get", r#"{"name":"a","arguments":{"q":1}}"#),
        ("prompts/get", r#"{"uri":"a"}"#),
        ("resources/read", r#"{"name":"a"}"#),
        ("resources/read", r#"{"uri":{}}"#),
    ] {
        let answered = world.client.request(method, params).await;
        assert_eq!(answered.answer.refusal(), (Code::Invalid, "malformed"), "{method} {params}");
    }
    let mut none = request("tools/call", "");
    none.mcp_request = None;
    let answered = world.client.try_request(none).await.unwrap();
    assert_eq!(answered.answer.refusal(), (Code::Invalid, "malformed"));
    assert!(world.seen.all().is_empty());
}

#[tokio::test]
async fn what_cannot_be_sent_to_a_plugin_is_refused_whatever_its_on_error_is() {
    let guard = Guard::default().on("tool_pre_invoke", allow);
    let settings = Chain::builder().max_payload(1000);
    let world = World::with(guard, json!({"on_error": "ignore"}), settings).await;
    let number = r#"{"name":"a","arguments":{"id":9007199254740993}}"#;
    let answered = world.client.request("tools/call", number).await;
    assert_eq!(answered.answer.refusal(), (Code::Invalid, "invalid_request"));
    let long = format!(r#"{{"name":"a","arguments":{{"q":"{}"}}}}"#, "a".repeat(1000));
    let answered = world.client.request("tools/call", &long).await;
    assert_eq!(answered.answer.refusal(), (Code::Invalid, "request_too_large"));
    assert!(world.seen.all().is_empty());
}

#[tokio::test]
async fn headers_that_a_plugin_sets_go_to_the_mcp_server_if_they_are_headers() {
    let headers = |payload: Value| {
        let value = payload["args"]["value"].clone();
        PluginResult::modify(json!({
            "name": payload["name"], "args": payload["args"], "headers": {"X-Key": value},
        }))
    };
    let world = World::of(Guard::default().on("tool_pre_invoke", headers)).await;
    let answered =
        world.client.request("tools/call", r#"{"name":"a","arguments":{"value":"k"}}"#).await;
    assert_eq!(answered.answer, Answer::Pass);
    assert_eq!(answered.headers, [("X-Key".to_owned(), "k".to_owned())]);
    let answered =
        world.client.request("tools/call", r#"{"name":"a","arguments":{"value":"k\nl"}}"#).await;
    assert_eq!(answered.answer.refusal(), (Code::Unknown, "bad_reply"));
    assert!(answered.headers.is_empty());
}

#[tokio::test]
async fn what_the_gateway_tells_wrongly_is_refused() {
    let world = World::of(Guard::default().on("tool_pre_invoke", allow)).await;
    let mut call = request("tools/call", r#"{"name":"search"}"#);
    let list = prost_types::value::Kind::ListValue(prost_types::ListValue::default());
    let mut metadata = told([]);
    metadata.fields.insert("tenant_id".to_owned(), prost_types::Value { kind: Some(list) });
    call.metadata_context = Some(metadata);
    let answered = world.client.try_request(call).await.unwrap();
    assert_eq!(answered.answer.refusal(), (Code::Unknown, "config"));
    assert!(world.seen.all().is_empty());
}
