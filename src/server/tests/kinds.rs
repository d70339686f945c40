//! Requests are told apart in the order of the reference server.

use super::*;
use crate::config::{OnError, PluginMode};
use crate::server::PluginInfo;

fn config_request(name: &str) -> Vec<u8> {
    GetPluginConfigRequest { name: name.into() }.encode_to_vec()
}

#[tokio::test]
async fn a_hook_call_is_answered_with_a_result_and_the_plugins_name() {
    let reply = Client::of(echo()).invoke(&request(json!({"name": "tool"}))).await;
    assert_eq!(
        result(&reply),
        json!({
            "continue_processing": true, "modified_payload": {"name": "tool"},
            "modified_extensions": null, "violation": null, "metadata": {},
            "http_headers": null, "retry_delay_ms": 0, "executions": [],
        })
    );
    assert_eq!((reply.context, reply.result_base), (None, None));
}

#[tokio::test]
async fn a_name_alone_asks_for_the_configuration_in_any_case() {
    let info = PluginInfo::new("Straße")
        .with_kind("rust")
        .with_mode(PluginMode::Audit)
        .with_on_error(OnError::Ignore)
        .with_priority(7)
        .with_description("d")
        .with_author("a")
        .with_namespace("n")
        .with_version("1.0")
        .with_tags(vec!["t".into()])
        .with_config(Map::from_iter([("k".to_owned(), json!(1))]));
    let handlers = Handlers::new().on_json("b", |_, _| async { Ok(PluginResult::allow()) });
    let mut client = Client::of(PluginServer::builder().plugin(info, handlers));
    for name in ["Straße", "straße", "STRAßE"] {
        let reply = client.ask(&config_request(name)).await;
        let reply = GetPluginConfigResponse::decode(&reply[..]).unwrap();
        assert!(reply.found);
        assert_eq!(
            from_structure(&reply.config.unwrap()),
            json!({
                "name": "Straße", "kind": "rust", "hooks": ["b"], "mode": "audit",
                "on_error": "ignore", "priority": 7, "description": "d", "author": "a",
                "namespace": "n", "version": "1.0", "tags": ["t"], "config": {"k": 1},
                "max_content_size": 10_000_000, "capabilities": [], "conditions": [],
                "applied_to": null, "mcp": null, "grpc": null, "unix_socket": null,
            })
        );
    }
}

#[tokio::test]
async fn the_configuration_of_an_unknown_plugin_is_an_empty_message() {
    assert_eq!(Client::of(echo()).ask(&config_request("nobody")).await, b"");
}

/// 78 01 is an unknown field, 0a 00 an empty name, 08 01 a name of another type.
#[tokio::test]
async fn two_bytes_or_less_ask_for_all_configurations() {
    let off = PluginInfo::new("Off").with_mode(PluginMode::Disabled);
    let mut client = Client::of(echo().plugin(off, Handlers::new()));
    for message in [&b""[..], &[0x78, 0x01], &[0x0a, 0x00], &[0x08, 0x01]] {
        let reply = client.ask(message).await;
        let reply = GetPluginConfigsResponse::decode(&reply[..]).unwrap();
        let names: Vec<Value> =
            reply.configs.iter().map(|config| from_structure(config)["name"].clone()).collect();
        assert_eq!(names, ["Echo", "Off"], "{message:?}");
    }
}

#[tokio::test]
async fn a_message_of_no_kind_is_refused_and_the_connection_stays_usable() {
    let mut client = Client::of(echo());
    let no_hook = InvokeHookRequest { plugin_name: "Echo".into(), ..InvokeHookRequest::default() };
    let garbage = [&[0xff, 0xff, 0xff][..], &[0x17; 40], &[0x0a, 0x05], &[0x00]];
    for message in garbage.into_iter().chain([&no_hook.encode_to_vec()[..]]) {
        let reply = hook_reply(&client.ask(message).await);
        assert_eq!(
            reply,
            InvokeHookResponse {
                error: Some(PluginError {
                    message: "Unknown message type".into(),
                    code: "UNKNOWN_MESSAGE".into(),
                    ..PluginError::default()
                }),
                ..InvokeHookResponse::default()
            }
        );
    }
    assert_eq!(client.echo(json!({"a": 1})).await, json!({"a": 1}));
}

#[tokio::test]
async fn a_hook_call_without_a_plugin_is_taken_for_a_configuration() {
    let mut call = request(json!({"name": "tool"}));
    call.plugin_name.clear();
    assert_eq!(Client::of(echo()).ask(&call.encode_to_vec()).await, b"");
}

fn nest(levels: usize, leaf: Value) -> Value {
    (0..levels).fold(leaf, |inner, _| json!({"k": inner}))
}

fn lists(levels: usize, leaf: Value) -> Value {
    (0..levels).fold(leaf, |inner, _| json!([inner]))
}

/// What the reference server accepts, measured, and one level more.
#[tokio::test]
async fn what_nests_deeper_than_100_messages_is_no_hook_call() {
    let args = |args: Value| request(json!({"name": "tool", "args": args}));
    let state = |state: Value| {
        let mut call = request(json!({"name": "tool"}));
        call.context.as_mut().unwrap().state = Some(structure(&state));
        call
    };
    let global = |state: Value| {
        let mut call = request(json!({"name": "tool"}));
        let context = call.context.as_mut().unwrap();
        context.global_context.as_mut().unwrap().metadata = Some(structure(&state));
        call
    };
    let allow =
        Handlers::new().on_json("tool_pre_invoke", |_, _| async { Ok(PluginResult::allow()) });
    let mut client = Client::of(PluginServer::builder().plugin("Echo", allow));
    for (accepted, refused) in [
        (args(nest(32, json!(1))), args(nest(33, json!(1)))),
        (args(nest(32, json!({}))), args(nest(33, json!({})))),
        (args(json!({"k": lists(47, json!(1))})), args(json!({"k": lists(48, json!(1))}))),
        (args(nest(10, lists(33, json!(1)))), args(nest(10, lists(34, json!(1))))),
        (state(nest(33, json!(1))), state(nest(34, json!(1)))),
        (global(nest(32, json!(1))), global(nest(33, json!(1)))),
    ] {
        assert!(client.invoke(&accepted).await.result.is_some());
        assert_eq!(client.ask(&refused.encode_to_vec()).await, b"");
    }
}

/// A lenient parser even takes it for a hook's result: that is what the echo of
/// the plugin's name is for.
#[tokio::test]
async fn a_plugin_named_like_the_hook_has_its_configuration_sent_instead() {
    let mut client = Client::of(echo().plugin("Tool_Pre_Invoke", Handlers::new()));
    let too_deep = request(json!({"name": "tool", "args": nest(40, json!(1))}));
    let reply = client.ask(&too_deep.encode_to_vec()).await;
    let reply = GetPluginConfigResponse::decode(&reply[..]).unwrap();
    assert_eq!(from_structure(&reply.config.unwrap())["name"], "Tool_Pre_Invoke");
}

#[tokio::test]
async fn text_that_is_not_utf_8_makes_it_no_hook_call_wherever_it_stands() {
    let call = request(json!({"name": "tool", "ignored": "@@@"})).encode_to_vec();
    let at = call.windows(3).position(|window| window == b"@@@").unwrap();
    let mut broken = call.clone();
    broken[at] = 0xff;
    let mut client = Client::of(echo());
    assert_ne!(client.ask(&call).await, b"");
    assert_eq!(client.ask(&broken).await, b"");
}

/// Two encodings of a message one after the other are the merger of both.
#[tokio::test]
async fn a_request_that_comes_in_parts_is_merged() {
    let first = request(json!({"name": "first", "args": {"a": 1}}));
    let second = InvokeHookRequest {
        payload: Some(structure(&json!({"name": "second"}))),
        context: Some(PluginContext {
            state: Some(structure(&json!({"s": 1}))),
            ..PluginContext::default()
        }),
        ..InvokeHookRequest::default()
    };
    let bytes = [first.encode_to_vec(), second.encode_to_vec()].concat();
    let reply = hook_reply(&Client::of(echo()).ask(&bytes).await);
    assert_eq!(result(&reply)["modified_payload"], json!({"name": "second", "args": {"a": 1}}));
    let context = reply.context.unwrap();
    assert_eq!(context.global_context.unwrap().request_id, "req-1");
    assert_eq!(from_structure(&context.state.unwrap()), json!({"s": 1}));
}

#[tokio::test]
async fn nan_and_infinities_are_refused_in_the_words_of_the_reference() {
    let mut client = Client::of(echo());
    for (number, word) in [(f64::NAN, "NaN"), (f64::NEG_INFINITY, "Infinity")] {
        let mut call = request(json!({"name": "tool"}));
        let value = prost_types::Value { kind: Some(Kind::NumberValue(number)) };
        call.payload.as_mut().unwrap().fields.insert("n".into(), value);
        let reply = client.invoke(&call).await;
        assert_eq!(reply.plugin_name, "Echo");
        let error = error(&reply);
        assert_eq!(
            error.message,
            format!(
                "Fail to serialize {word} for Value.number_value, which would parse as string_value"
            )
        );
        assert_eq!((&error.code[..], &error.plugin_name[..]), ("INTERNAL_ERROR", ""));
        assert_eq!(error.mcp_error_code, -32603);
    }
}
