//! Requests and replies: those of every built-in hook, and the odd ones.

use hookwire::PluginContext;
use hookwire::fuzz_bridge::{encode_request, encode_struct};
use hookwire::model::STAMP_KEY;
use hookwire_fuzz::messages::{Context, Error, GlobalContext, Reply, Request};
use prost::Message;
use prost_types::Struct;
use serde_json::{Value, json};

use super::Seeds;

/// The hook, a payload, and what a plugin may put in its place.
fn hooks() -> Vec<(String, Value, Value)> {
    let hooks: Vec<Vec<Value>> = serde_json::from_str(include_str!("hooks.json")).unwrap();
    assert_eq!(hooks.len(), 23);
    let hook = |hook: Vec<Value>| {
        let name = hook[0].as_str().unwrap().to_owned();
        (name, hook[1].clone(), hook.get(2).unwrap_or(&hook[1]).clone())
    };
    hooks.into_iter().map(hook).collect()
}

fn message(object: &Value) -> Vec<u8> {
    encode_struct(object).unwrap()[4..].to_vec()
}

fn structure(object: Value) -> Struct {
    Struct::decode(&*message(&object)).unwrap()
}

pub(super) fn payloads() -> Seeds {
    hooks().into_iter().map(|(hook, payload, _)| (hook, message(&payload))).collect()
}

/// Any bytes are an object to that target; text is as good as others.
pub(super) fn texts() -> Seeds {
    let text = |(hook, payload, _): (String, Value, Value)| (hook, payload.to_string().into());
    hooks().into_iter().map(text).collect()
}

fn context() -> Context {
    let global =
        GlobalContext { request_id: "1".into(), state: Some(structure(json!({"shared": [1]}))) };
    Context {
        global_context: Some(global),
        state: Some(structure(json!({"seen": 1}))),
        metadata: Some(structure(json!({"took": 0.5}))),
    }
}

pub(super) fn requests() -> Seeds {
    let full = PluginContext::new("1").with_user("ada").with_tenant_id("acme").with_server_id("s");
    let request = |(hook, payload, _): (String, Value, Value)| {
        let frame = encode_request(&hook, "Guard", &payload, &full).unwrap();
        (hook, frame[4..].to_vec())
    };
    let mut seeds: Seeds = hooks().into_iter().map(request).collect();
    let stateful = Request {
        hook_type: "evaluate".into(),
        plugin_name: "Guard".into(),
        payload: Some(structure(json!({"a": 1}))),
        context: Some(context()),
    };
    let twice = [stateful.encode_to_vec(), stateful.encode_to_vec()].concat();
    seeds.push(("with_a_state".into(), stateful.encode_to_vec()));
    seeds.push(("the_same_twice".into(), twice));
    seeds.push((
        "a_config".into(),
        Request { hook_type: "Guard".into(), ..Request::default() }.encode_to_vec(),
    ));
    seeds.push(("all_configs".into(), Vec::new()));
    seeds.push(("unknown".into(), vec![0x28, 1, 0x28, 1]));
    seeds
}

pub(super) fn replies() -> Seeds {
    let reply = |result: Option<Value>| Reply {
        plugin_name: "Guard".into(),
        result: result.map(structure),
        context: None,
        error: None,
    };
    let allow = || reply(Some(json!({"continue_processing": true})));
    let modified = |(hook, _, result): (String, Value, Value)| {
        let result = json!({
            "continue_processing": true, "modified_payload": result, "metadata": {},
            "violation": null, "executions": [], "retry_delay_ms": 0.0,
        });
        (hook, reply(Some(result)).encode_to_vec())
    };
    let mut seeds: Seeds = hooks().into_iter().map(modified).collect();
    let violation = json!({
        "reason": "no", "description": "not today", "code": "CLOSED", "details": {"day": "Sunday"},
        "mcp_error_code": -32000, "http_status_code": 429, "http_headers": {"Retry-After": "1"},
    });
    let error = Error {
        message: "boom".into(),
        plugin_name: "Guard".into(),
        code: "E".into(),
        details: Some(structure(json!({"a": 1}))),
        mcp_error_code: -32603,
    };
    // result_base with the metric `n`, of 3.
    let metrics = [0x2a, 11, 0x22, 9, 0x0a, 7, 0x0a, 1, b'n', 0x12, 2, 0x10, 6];
    let denied = json!({
        "continue_processing": false, "violation": violation, "denial_metadata": {"n": 3},
    });
    let half = Reply { error: Some(error.clone()), ..reply(Some(denied.clone())) };
    let configs = [1, 2].map(|n| message(&json!({"name": format!("Guard{n}"), "hooks": []})));
    let configs = configs.map(|config| [&[0x0a, config.len() as u8][..], &config].concat());
    let stamp = json!({STAMP_KEY: "000000000000000100000000000000a5", "took": 1});
    let stamped = Context { metadata: Some(structure(stamp)), ..context() };
    let encoded = allow().encode_to_vec();
    for (name, bytes) in [
        ("a_denial", reply(Some(denied)).encode_to_vec()),
        ("an_error", Reply { error: Some(error.clone()), ..reply(None) }.encode_to_vec()),
        ("an_error_beside_a_denial", half.encode_to_vec()),
        ("with_a_context", Reply { context: Some(context()), ..allow() }.encode_to_vec()),
        ("with_a_stamp", Reply { context: Some(stamped), ..allow() }.encode_to_vec()),
        ("with_metrics", [&encoded[..], &metrics].concat()),
        ("twice_in_one", [&encoded[..], &encoded].concat()),
        ("without_a_verdict", reply(Some(json!({"metadata": {}}))).encode_to_vec()),
        ("in_anothers_name", Reply { plugin_name: "Other".into(), ..allow() }.encode_to_vec()),
        ("configs", configs.concat()),
        ("empty", Vec::new()),
    ] {
        seeds.push((name.into(), bytes));
    }
    seeds
}
