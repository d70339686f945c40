//! What a server answers, as the engine acts on it.

use std::sync::Arc;

use praxis_policy::praxis_policy_core::extensions::HttpExtension;
use praxis_policy::prelude::Extensions;
use serde_json::json;

use crate::world::{TOOL_PRE, World, arguments, ask, call, code, tool};

#[tokio::test]
async fn an_allowed_request_goes_on_as_it_is() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let result = call(&engine, json!({"n": 3, "f": 2.5, "none": null})).await;
    assert_eq!(code(&result), None);
    assert!(!result.payload_modified);
    assert_eq!(arguments(&result), json!({"n": 3, "f": 2.5, "none": null}));
    assert_eq!(world.script.last().payload["name"], "search");
}

#[tokio::test]
async fn a_changed_payload_goes_on_in_its_place_in_either_form() {
    for (served, changed) in [
        ("tool_pre_invoke", json!({"name": "search", "args": {"q": "go", "n": 3, "f": 2.5}})),
        (
            "cmf.tool_pre_invoke",
            json!({"message": {"role": "assistant", "content": [{"content_type": "tool_call", "content": {
                "tool_call_id": "call-1", "name": "search", "arguments": {"q": "go", "n": 3, "f": 2.5}}}]}}),
        ),
    ] {
        let world = World::new([served]).await;
        let engine = world.engine(json!({})).await;
        let answer = json!({"continue_processing": true, "modified_payload": changed});
        let result = call(&engine, json!({"answer": answer})).await;
        assert_eq!(code(&result), None);
        assert!(result.payload_modified);
        assert_eq!(arguments(&result), json!({"q": "go", "n": 3, "f": 2.5}));
    }
}

#[tokio::test]
async fn d10_a_denial_brings_every_field_of_its_violation() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({"name": "Words", "config": {"name": "Guard"}})).await;
    let violation = json!({
        "code": "FORBIDDEN", "reason": "no", "description": "not on a Sunday",
        "details": {"word": "crap"}, "mcp_error_code": -32001, "http_status_code": 429,
        "http_headers": {"Retry-After": "5"},
    });
    let answer = json!({"continue_processing": false, "violation": violation});
    let result = call(&engine, json!({"answer": answer})).await;
    let violation = result.violation.unwrap();
    assert_eq!(violation.code, "FORBIDDEN");
    assert_eq!(violation.reason, "no");
    assert_eq!(violation.description.as_deref(), Some("not on a Sunday"));
    assert_eq!(violation.plugin_name.as_deref(), Some("Words"));
    // Never the HTTP status, which is in the details.
    assert_eq!(violation.proto_error_code, Some(-32001));
    assert_eq!(violation.details["http_status_code"], 429);
    assert_eq!(violation.details["http_headers"], json!({"Retry-After": "5"}));
    assert_eq!(violation.details["word"], "crap");
}

#[tokio::test]
async fn d10_a_denial_without_a_violation_is_a_denial() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let result = call(&engine, json!({"answer": {"continue_processing": false}})).await;
    assert_eq!(code(&result), Some("plugin_deny"));
}

#[tokio::test]
async fn d11_a_denial_that_also_changes_is_a_denial_alone() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let answer = json!({
        "continue_processing": false, "modified_payload": {"name": "search", "args": {"q": "go"}},
        "violation": {"code": "NO", "reason": "no", "description": ""},
    });
    let result = call(&engine, json!({"answer": answer})).await;
    assert_eq!(code(&result), Some("NO"));
    assert!(result.modified_payload.is_none() && !result.payload_modified);
}

#[tokio::test]
async fn d9_headers_and_a_delay_of_an_allowance_are_in_the_global_state_for_the_host() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let answer = json!({
        "continue_processing": true, "http_headers": {"X-RateLimit-Remaining": "1"},
        "retry_delay_ms": 250, "metadata": {"seen": true},
    });
    let result = call(&engine, json!({"answer": answer})).await;
    let state = &result.context_table.global_state;
    assert_eq!(state["hookwire.Guard.http_headers"], json!({"X-RateLimit-Remaining": "1"}));
    assert_eq!(state["hookwire.Guard.retry_delay_ms"], 250);
    // Metadata stays behind: all later plugins would see it.
    assert_eq!(state.len(), 2);
}

#[tokio::test]
async fn d9_headers_and_a_delay_of_a_denial_are_in_its_details() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let answer = json!({
        "continue_processing": false, "http_headers": {"Retry-After": "1"}, "retry_delay_ms": 250,
    });
    let result = call(&engine, json!({"answer": answer})).await;
    let violation = result.violation.unwrap();
    assert_eq!(violation.code, "plugin_deny");
    assert_eq!(violation.details["http_headers"], json!({"Retry-After": "1"}));
    assert_eq!(violation.details["retry_delay_ms"], 250);
}

#[tokio::test]
async fn d9_a_plugin_that_may_write_headers_sets_those_of_the_response() {
    let world = World::new(["tool_pre_invoke"]).await;
    let mut http = HttpExtension::default();
    http.set_request_header("Authorization", "secret");
    let extensions = || Extensions { http: Some(Arc::new(http.clone())), ..Extensions::default() };
    let answer = json!({"continue_processing": true, "http_headers": {"X-Seen": "yes"}});
    for (capabilities, seen) in
        [(json!(["write_headers", "read_headers"]), Some("yes")), (json!(["read_headers"]), None)]
    {
        let engine = world.engine(json!({"capabilities": capabilities})).await;
        let payload = tool(json!({"answer": answer}));
        let result = ask(&engine, TOOL_PRE, payload, extensions(), None).await;
        let http = result.modified_extensions.unwrap().http.unwrap();
        assert_eq!(http.get_response_header("X-Seen"), seen);
        assert_eq!(http.get_request_header("Authorization"), Some("secret"));
    }
}

#[tokio::test]
async fn d18_a_server_sees_nothing_of_headers_whatever_the_plugin_may_read() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({"capabilities": ["read_headers"]})).await;
    let mut http = HttpExtension::default();
    http.set_request_header("Authorization", "secret");
    let extensions = Extensions { http: Some(Arc::new(http)), ..Extensions::default() };
    ask(&engine, TOOL_PRE, tool(json!({})), extensions, None).await;
    assert!(!format!("{:?}", world.script.last()).contains("secret"));
}

#[tokio::test]
async fn d19_extensions_that_a_plugin_changes_stay_as_they_were() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let answer = json!({"continue_processing": true, "modified_extensions": {"custom": {"a": 1}}});
    let result = call(&engine, json!({"answer": answer})).await;
    assert_eq!(code(&result), None);
    assert!(result.modified_extensions.unwrap().custom.is_none());
}

#[tokio::test]
async fn d25_an_integer_beyond_2_to_the_53_is_refused_or_rounded_as_the_socket_says() {
    let world = World::new(["cmf.tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let result = call(&engine, json!({"id": 9_007_199_254_740_993_i64})).await;
    assert_eq!(code(&result), Some("plugin_error"));
    assert!(world.script.seen().is_empty());
    let socket = json!({"path": world.socket(), "big_integers": "round"});
    let engine = world.engine(json!({"config": {"unix_socket": socket}})).await;
    let result = call(&engine, json!({"id": 9_007_199_254_740_993_i64})).await;
    assert_eq!(code(&result), None);
    // Digits are lost on the way to the plugin, and not for those after it.
    assert_eq!(arguments(&result), json!({"id": 9_007_199_254_740_993_i64}));
}
