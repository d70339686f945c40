//! What the wire carries to a plugin and back, and what it does not: the tables of
//! docs/plugins.md, row by row, against the reference server.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::OnceLock;

use common::calls::in_time;
use common::reference::ReferenceServer;
use common::reference::calls::{call, connect, context, object, tool};
use hookwire::hooks::{
    ResourcePostFetch, ResourcePostFetchPayload, ToolPostInvoke, ToolPostInvokePayload,
    ToolPreInvoke, ToolPreInvokePayload,
};
use hookwire::{
    BigIntegers, CallPolicy, DeepNesting, ErrorKind, PluginConfig, PluginContext, PluginError,
    PluginHandle, Stopped,
};
use serde_json::{Value, json};

/// The server with the plugins of `wire.yaml`, which ends with this process.
fn server() -> Option<&'static ReferenceServer> {
    static SERVER: OnceLock<Option<ReferenceServer>> = OnceLock::new();
    const PLUGINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/wire.yaml");
    common::reference::venv()?;
    SERVER.get_or_init(|| ReferenceServer::start(&[("PLUGINS_CONFIG_PATH", PLUGINS)])).as_ref()
}

/// What `Sees` tells of these arguments.
async fn seen(plugin: &PluginHandle, args: Value) -> Value {
    let result = in_time("a call", call(plugin, args)).await.unwrap();
    Value::Object(result.metadata().clone())
}

/// What `Says` answers, as JSON.
async fn answer(
    plugin: &PluginHandle,
    what: &str,
    place: &str,
) -> Result<hookwire::PluginResult<Value>, PluginError> {
    let payload = json!({"name": "tool", "args": {"what": what, "where": place}});
    let mut context = context();
    let call = plugin.invoke_hook_json("tool_pre_invoke", &payload, &mut context);
    in_time("a call", call).await
}

/// The value that `Says` puts into the payload.
async fn returned(plugin: &PluginHandle, what: &str) -> Value {
    let result = answer(plugin, what, "payload").await.unwrap();
    common::modified(result).unwrap()["args"]["v"].clone()
}

async fn with_policy(
    server: &ReferenceServer,
    policy: hookwire::config::CallPolicyBuilder,
) -> PluginHandle {
    let config = PluginConfig::builder("Sees").socket(server.socket()).policy(policy);
    PluginHandle::connect(config.build().unwrap()).await.unwrap()
}

// --- What a plugin sees ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_reaches_a_plugin_as_a_float() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let args =
        json!({"integer": 3, "largest": 1_i64 << 53, "half": 0.5, "minus_zero": -0.0, "in": [1]});
    let expected = json!({
        "integer": "float 3.0", "largest": "float 9007199254740992.0", "half": "float 0.5",
        "minus_zero": "float -0.0", "in": ["float 1.0"],
    });
    assert_eq!(seen(&plugin, args).await["args"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_other_json_reaches_a_plugin_as_it_is() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let args = json!({"null": null, "yes": true, "text": "é", "list": [[]], "object": {"": {}}});
    let expected = json!({
        "null": "NoneType None", "yes": "bool True", "text": "str 'é'", "list": [[]],
        "object": {"": {}},
    });
    assert_eq!(seen(&plugin, args).await["args"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integer_beyond_2_to_the_53_reaches_a_plugin_rounded_or_not_at_all() {
    let Some(server) = server() else { return };
    let args = || json!({"id": 175_928_847_299_117_063_i64});
    let plugin = connect(server, "Sees").await;
    let error = call(&plugin, args()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("in `payload.args`: "), "{error}");

    let policy = CallPolicy::builder().big_integers(BigIntegers::Round);
    let rounding = with_policy(server, policy).await;
    let result = call(&rounding, args()).await.unwrap();
    assert_eq!(result.metadata()["args"]["id"], "float 1.7592884729911706e+17");
    assert!(!result.is_exact());
    assert_eq!(rounding.stats().inexact_requests, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nests_too_deep_reaches_a_plugin_as_text_or_not_at_all() {
    let Some(server) = server() else { return };
    let deep = || (0..40).fold(json!("a secret"), |value, _| json!({ "k": value }));
    let plugin = connect(server, "Sees").await;
    let error = call(&plugin, deep()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("in `payload.args`: "), "{error}");

    let policy = CallPolicy::builder().deep_nesting(DeepNesting::Text);
    let flattening = with_policy(server, policy).await;
    let result = call(&flattening, deep()).await.unwrap();
    assert!(!result.is_exact());
    let mut inner = &result.metadata()["args"];
    while inner.is_object() {
        inner = &inner["k"];
    }
    let text = (0..8).fold("\"a secret\"".to_owned(), |text, _| format!("{{\"k\":{text}}}"));
    assert_eq!(*inner, format!("str '{text}'"), "32 objects, `args` among them, and then text");
    assert_eq!(flattening.stats().inexact_requests, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_reach_a_plugin_as_plain_dicts_and_lists() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let result = json!({"content": [{"type": "text", "text": "hello"}], "isError": false});
    let expected = json!({
        "content": [{"type": "str 'text'", "text": "str 'hello'"}], "isError": "bool False",
    });
    let payload = ToolPostInvokePayload::new("tool", result);
    let told = plugin.invoke_hook::<ToolPostInvoke>(&payload, &mut context()).await.unwrap();
    assert_eq!(told.metadata()["result"], expected);

    let content = json!({"type": "resource", "uri": "file:///motd", "text": "hello"});
    let payload = ResourcePostFetchPayload::new("file:///motd", content);
    let told = plugin.invoke_hook::<ResourcePostFetch>(&payload, &mut context()).await.unwrap();
    let expected = json!({
        "type": "str 'resource'", "uri": "str 'file:///motd'", "text": "str 'hello'",
    });
    assert_eq!(told.metadata()["content"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_not_set_has_the_plugins_default() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let payload = ToolPreInvokePayload::new("tool");
    let told = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context()).await.unwrap();
    assert_eq!(told.metadata()["args"], json!({}));
    assert_eq!(told.metadata()["headers"], "NoneType None");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_reaches_a_plugin_as_a_name_or_a_dict() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let details = object(json!({"teams": ["blue"], "level": 3}));
    for (user, expected) in [
        (context().with_user("ada"), json!("str 'ada'")),
        (context().with_user(details), json!({"teams": ["str 'blue'"], "level": "float 3.0"})),
        (context(), json!("NoneType None")),
    ] {
        let (mut context, payload) = (user, tool(json!({})));
        let call = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context);
        assert_eq!(call.await.unwrap().metadata()["user"], expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_context_and_content_type_never_reach_a_plugin() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let dumped = json!({"global_context": {
        "request_id": "1", "user": "ada", "user_context": null, "content_type": null,
    }});
    let mut context: PluginContext = serde_json::from_value(dumped).unwrap();
    let payload = tool(json!({}));
    let call = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context);
    let told = call.await.unwrap();
    for key in ["user_context", "content_type"] {
        assert_eq!(told.metadata()[key], "NoneType None", "{key}");
        let dumped = json!({"global_context": {"request_id": "1", key: "text/plain"}});
        assert!(serde_json::from_value::<PluginContext>(dumped).is_err(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extensions_never_reach_a_plugin() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Sees").await;
    let payload = ResourcePostFetchPayload::new("file:///motd", json!("hello"));
    let told = plugin.invoke_hook::<ResourcePostFetch>(&payload, &mut context()).await.unwrap();
    assert_eq!(told.metadata()["extensions"], "NoneType None");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_runs_whatever_its_conditions_are() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Never").await;
    assert_eq!(plugin.config().conditions().len(), 1, "they are told");
    assert_eq!(seen(&plugin, json!({"k": 1})).await["args"], json!({"k": "float 1.0"}));
}

// --- What a plugin says ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integer_that_a_plugin_returns_comes_back_as_one() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    assert_eq!(returned(&plugin, "integer").await, json!(3));
    let within = json!({"list": [1, {"deep": 2}], "negative": -7});
    assert_eq!(returned(&plugin, "integers within").await, within);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integer_beyond_2_to_the_53_that_a_plugin_returns_has_been_rounded() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    assert_eq!(returned(&plugin, "big integer").await, json!(1_i64 << 53));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuples_come_back_as_lists_and_enums_of_numbers_and_text_as_these() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    assert_eq!(returned(&plugin, "tuple").await, json!([1, [2, "x"]]));
    assert_eq!(returned(&plugin, "integer enum").await, json!(2));
    assert_eq!(returned(&plugin, "text enum").await, json!("yes"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nan_and_infinities_that_a_plugin_returns_are_null_and_told() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    for (what, place) in [("nan", "payload"), ("infinity", "metadata"), ("nan", "context state")] {
        let payload = json!({"name": "tool", "args": {"what": what, "where": place}});
        let mut context = context();
        let call = plugin.invoke_hook_json("tool_pre_invoke", &payload, &mut context);
        let result = call.await.unwrap();
        assert!(!result.is_exact(), "{what} in {place}");
        let value = match place {
            "metadata" => result.metadata()["v"].clone(),
            "context state" => context.state["v"].clone(),
            _ => common::modified(result).unwrap()["args"]["v"].clone(),
        };
        assert_eq!(value, Value::Null, "{what} in {place}");
    }
    assert!(answer(&plugin, "integer", "payload").await.unwrap().is_exact());
    let stats = plugin.stats();
    assert_eq!((stats.inexact_replies, stats.inexact_requests), (3, 0));
}

/// With what the server says of each.
const UNWRITABLE: [(&str, &str); 12] = [
    ("datetime", "unexpected type"),
    ("date", "unexpected type"),
    ("bytes", "unexpected type"),
    ("decimal", "unexpected type"),
    ("enum", "unexpected type"),
    ("set", "unexpected type"),
    ("frozenset", "unexpected type"),
    ("uuid", "unexpected type"),
    ("path", "unexpected type"),
    ("object", "unexpected type"),
    ("integer key", "bad argument type"),
    ("huge integer", "too large to convert"),
];

fn assert_unwritable(error: &PluginError, complaint: &str, what: &str) {
    let fault = error.plugin_fault().unwrap_or_else(|| panic!("{what}: {error}"));
    assert_eq!((fault.code.as_str(), fault.mcp_error_code), ("INTERNAL_ERROR", -32603), "{what}");
    assert!(fault.message.contains(complaint), "{what}: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_json_does_not_have_fails_the_call() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    for (what, complaint) in UNWRITABLE {
        for place in ["payload", "metadata"] {
            let error = answer(&plugin, what, place).await.unwrap_err();
            assert_unwritable(&error, complaint, what);
            assert!(!error.is_denial(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn such_a_value_in_the_context_fails_the_call_though_the_hook_ran() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    for place in ["context state", "context metadata", "global state"] {
        for (what, complaint) in UNWRITABLE {
            let payload = json!({"name": "tool", "args": {"what": what, "where": place}});
            let mut context = context();
            let call = plugin.invoke_hook_json("tool_pre_invoke", &payload, &mut context);
            assert_unwritable(&call.await.unwrap_err(), complaint, what);
            assert!(context == common::reference::calls::context(), "{what} in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn such_a_value_in_a_denial_is_an_error_that_tells_of_the_denial() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    for (what, complaint) in UNWRITABLE {
        let error = answer(&plugin, what, "violation").await.unwrap_err();
        assert_unwritable(&error, complaint, what);
        assert!(error.is_denial(), "{what}");
        let payload = tool(json!({"what": what, "where": "violation"}));
        let stopped = plugin.enforce::<ToolPreInvoke>(payload, &mut context()).await.unwrap_err();
        assert!(matches!(stopped, Stopped::Denied(_)), "{what}: {stopped}");
    }
    let stats = plugin.stats();
    assert_eq!((stats.violations, stats.plugin_errors), (2 * UNWRITABLE.len() as u64, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_denial_the_violation_and_its_metrics_arrive_and_nothing_else() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    let result = answer(&plugin, "denial", "").await.unwrap();
    assert!(!result.is_allowed());
    assert_eq!(result.violation().unwrap().code, "C");
    assert_eq!(result.denial_metadata().unwrap().len(), 1);
    assert!(result.metadata().is_empty());
    assert_eq!((result.http_headers(), result.retry_delay()), (None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_that_is_raised_is_an_error_without_its_code() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    let error = answer(&plugin, "exception_of_denial", "").await.unwrap_err();
    let fault = error.plugin_fault().unwrap();
    assert_eq!(fault.message, "PluginViolationError('blocked')");
    assert_eq!((fault.code.as_str(), fault.mcp_error_code), ("", -32603));
    assert!(!error.is_denial(), "nothing on the wire tells that it is one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_result_is_an_error() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    for what in ["nothing", "dict", "truth", "payload"] {
        let error = answer(&plugin, what, "").await.unwrap_err();
        let fault = error.plugin_fault().unwrap();
        assert!(fault.message.starts_with("AttributeError("), "{what}: {error}");
        assert!(fault.code.is_empty() && !error.is_denial(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_of_another_type_arrives_as_json_and_fails_a_typed_call_alone() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    let odd = answer(&plugin, "payload_of_another_hook", "").await.unwrap();
    assert_eq!(common::modified(odd).unwrap()["uri"], "file:///motd");
    let odd = answer(&plugin, "fields_of_another_type", "").await.unwrap();
    let odd = common::modified(odd).unwrap();
    assert_eq!((&odd["name"], &odd["args"]), (&Value::Null, &json!([1])));

    for what in ["payload_of_another_hook", "fields_of_another_type"] {
        let error = call(&plugin, json!({ "what": what })).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadReply, "{what}: {error}");
    }
    let connects = plugin.stats().connections.iter().map(|one| one.connects).sum::<u64>();
    assert_eq!(connects, 1, "the connection is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_extensions_arrive_beside_a_result_that_allows() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    let result = answer(&plugin, "extensions", "").await.unwrap();
    assert_eq!(result.modified_extensions().unwrap()["custom"], json!({"told": true}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_global_metadata_does_not_arrive() {
    let Some(server) = server() else { return };
    let plugin = connect(server, "Says").await;
    let payload = tool(json!({"what": "global_metadata"}));
    let mut shared = context();
    let call = plugin.invoke_hook_shared::<ToolPreInvoke>(&payload, &shared).await;
    assert!(call.unwrap().1.is_none(), "no context comes back for it");
    let call = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut shared).await;
    assert!(call.unwrap().is_allowed() && shared == context());
}
