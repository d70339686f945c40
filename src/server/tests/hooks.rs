//! What becomes of a hook call that is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::PluginViolation;
use crate::config::{BigIntegers, PluginMode};
use crate::hooks::Hook;
use crate::model::{DenialMetadata, DenialMetric};
use crate::server::{HandlerError, PluginInfo};
use crate::wire::DecodeError;
use crate::wire::proto::denial_metric;

/// A client of a plugin `Echo` that does what is asked for by name.
fn client(handlers: Handlers) -> Client<DuplexStream> {
    Client::of(PluginServer::builder().plugin("Echo", handlers))
}

fn call(hook_type: &str) -> InvokeHookRequest {
    InvokeHookRequest { hook_type: hook_type.into(), ..request(json!({"name": "tool"})) }
}

#[tokio::test]
async fn whatever_is_not_there_is_not_found_in_the_words_of_the_reference() {
    let off = PluginInfo::new("Off").with_mode(PluginMode::Disabled);
    let allow = Handlers::new().any(|_, _, _| async { Ok(PluginResult::<Value>::allow()) });
    let mut client = Client::of(echo().plugin(off, allow));
    for (hook, plugin) in [
        ("tool_pre_invoke", "Nobody"),
        ("tool_pre_invoke", "echo"),
        ("tool_post_invoke", "Echo"),
        ("no_such_hook", "Echo"),
        ("tool_pre_invoke", "Off"),
    ] {
        let reply =
            client.invoke(&InvokeHookRequest { plugin_name: plugin.into(), ..call(hook) }).await;
        assert_eq!(reply.plugin_name, plugin);
        assert_eq!(
            *error(&reply),
            PluginError {
                message: format!(
                    "Unable to find {hook} for plugin {plugin}.  Make sure the plugin is registered."
                ),
                plugin_name: plugin.into(),
                mcp_error_code: -32603,
                ..PluginError::default()
            }
        );
    }
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_an_error_that_does_not_quote_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let mut client = client(Handlers::new().on::<ToolPreInvoke>(move |_, _| {
        counter.fetch_add(1, Relaxed);
        async { Ok(PluginResult::allow()) }
    }));
    let absent = InvokeHookRequest { payload: None, ..request(json!({})) };
    for call in [absent, request(json!({"args": {}})), request(json!({"name": ["hunter2"]}))] {
        let reply = client.invoke(&call).await;
        assert_eq!(reply.plugin_name, "Echo");
        let error = error(&reply);
        assert!(error.message.contains("payload of `tool_pre_invoke`"), "{}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
        assert_eq!((&error.code[..], error.mcp_error_code), ("", -32603));
    }
    assert_eq!(calls.load(Relaxed), 0);
}

/// Six bytes for an object in a list, which costs more than six hundred in JSON.
#[tokio::test]
async fn a_payload_that_costs_too_much_as_json_is_refused() {
    let field = |tag: u8, content: &[u8]| {
        let mut field = vec![tag];
        prost::encoding::encode_varint(content.len() as u64, &mut field);
        field.extend_from_slice(content);
        field
    };
    let call = |size: usize| {
        let objects = [0x0a, 4, 0x2a, 2, 0x0a, 0].repeat(size / 6);
        let value = field(0x12, &field(0x32, &objects));
        let payload = field(0x0a, &[field(0x0a, b"objects"), value].concat());
        [field(0x0a, b"own"), field(0x12, b"Echo"), field(0x1a, &payload)].concat()
    };
    let objects = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&objects);
    let mut client = client(Handlers::new().on_json("own", move |payload, _| {
        counter.fetch_add(payload["objects"].as_array().unwrap().len(), Relaxed);
        async { Ok(PluginResult::allow()) }
    }));
    let refused = hook_reply(&client.ask(&call(3 * 1024 * 1024)).await);
    let told = &error(&refused).message;
    assert!(told.contains("the payload of `own` cannot be read"), "{told}");
    let too_heavy = DecodeError::TooHeavy { limit: 256 * 1024 * 1024 };
    assert!(told.contains(&too_heavy.to_string()), "{told}");
    assert_eq!(objects.load(Relaxed), 0);

    // The same, and little of it, on the same connection.
    assert_eq!(hook_reply(&client.ask(&call(6 * 1024)).await).error, None);
    assert_eq!(objects.load(Relaxed), 1024);
}

#[tokio::test]
async fn an_error_of_the_handler_is_sent_with_its_codes_and_without_a_context() {
    let mut client = client(
        Handlers::new()
            .on_json("own", |_, _| async {
                let details = Map::from_iter([("k".to_owned(), json!("v"))]);
                Err::<PluginResult<_>, _>(
                    HandlerError::new("boom")
                        .with_code("E1")
                        .with_mcp_error_code(-32000)
                        .with_plugin_name("Other")
                        .with_details(details),
                )
            })
            .on_json("any", |_, _| async {
                "x".parse::<u8>()?;
                Ok(PluginResult::allow())
            })
            .on_json("empty", |_, _| async { Err::<PluginResult<_>, _>(HandlerError::new("")) }),
    );
    let mut own = call("own");
    own.context.as_mut().unwrap().state = Some(structure(&json!({"s": 1})));
    let reply = client.invoke(&own).await;
    assert_eq!(
        *error(&reply),
        PluginError {
            message: "boom".into(),
            plugin_name: "Other".into(),
            code: "E1".into(),
            details: Some(structure(&json!({"k": "v"}))),
            mcp_error_code: -32000,
        }
    );
    assert_eq!(reply.plugin_name, "Echo");

    let reply = client.invoke(&call("any")).await;
    assert_eq!(error(&reply).message, "invalid digit found in string");
    assert_eq!(error(&reply).plugin_name, "Echo");

    let reply = client.invoke(&call("empty")).await;
    assert_eq!(error(&reply).message, "Unknown error");
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_connection_stays_usable() {
    let mut client = client(
        Handlers::new()
            .on_json("at_once", |_, _| -> std::future::Ready<Result<PluginResult<_>, _>> {
                panic!("hunter2")
            })
            .on_json("later", |payload, _| async move {
                tokio::task::yield_now().await;
                assert!(payload.is_null(), "hunter2");
                Ok(PluginResult::allow())
            })
            .on_json("fine", |_, _| async { Ok(PluginResult::allow()) }),
    );
    for hook in ["at_once", "later"] {
        let reply = client.invoke(&call(hook)).await;
        assert_eq!(reply.plugin_name, "Echo");
        assert_eq!(error(&reply).message, format!("the plugin panicked in `{hook}`"));
        assert_eq!(error(&reply).code, "INTERNAL_ERROR");
    }
    assert_eq!(result(&client.invoke(&call("fine")).await)["continue_processing"], true);
}

fn full_context() -> PluginContext {
    PluginContext {
        global_context: Some(GlobalContext {
            request_id: "req-1".into(),
            server_id: "server".into(),
            tenant_id: "tenant".into(),
            metadata: Some(structure(&json!({"m": 1}))),
            state: Some(structure(&json!({"shared": 1}))),
            user_value: Some(crate::wire::proto::global_context::UserValue::UserStruct(structure(
                &json!({"email": "ada"}),
            ))),
        }),
        state: Some(structure(&json!({"s": [1, 2]}))),
        metadata: Some(structure(&json!({"n": null}))),
    }
}

#[tokio::test]
async fn a_context_that_holds_something_comes_back_whole_even_if_nobody_touched_it() {
    let mut client = client(
        Handlers::new()
            .on_json("untouched", |_, _| async { Ok(PluginResult::allow()) })
            .on_json("returned", |_, context| async { Ok((PluginResult::allow(), context)) }),
    );
    for hook in ["untouched", "returned"] {
        let call = InvokeHookRequest { context: Some(full_context()), ..call(hook) };
        assert_eq!(client.invoke(&call).await.context, Some(full_context()), "{hook}");

        // What only the gateway may set is no reason to send anything back.
        let mut call = call;
        let context = call.context.as_mut().unwrap();
        (context.state, context.metadata) = (None, Some(structure(&json!({}))));
        context.global_context.as_mut().unwrap().state = None;
        assert_eq!(client.invoke(&call).await.context, None, "{hook}");
    }
}

#[tokio::test]
async fn a_changed_context_comes_back_and_an_emptied_one_does_not() {
    let mut client = client(
        Handlers::new()
            .on_json("fill", |_, mut context| async {
                context.global_context.state.insert("shared".into(), json!(2));
                Ok((PluginResult::allow(), context))
            })
            .on_json("clear", |_, mut context| async {
                context.state.clear();
                context.metadata.clear();
                context.global_context.state.clear();
                Ok((PluginResult::allow(), context))
            }),
    );
    let context = client.invoke(&call("fill")).await.context.unwrap();
    let global = context.global_context.unwrap();
    assert_eq!(global.request_id, "req-1");
    assert_eq!(from_structure(&global.state.unwrap()), json!({"shared": 2}));
    assert_eq!((context.state, context.metadata), (None, None));

    let clear = InvokeHookRequest { context: Some(full_context()), ..call("clear") };
    assert_eq!(client.invoke(&clear).await.context, None);

    // Without any context in the request, there is a global one in the reply.
    let no_context = InvokeHookRequest { context: None, ..call("fill") };
    let context = client.invoke(&no_context).await.context.unwrap();
    assert_eq!(context.global_context.unwrap().request_id, "");
}

#[tokio::test]
async fn a_denial_is_sent_with_all_that_the_plugin_returned() {
    let mut client = client(Handlers::new().on_json("deny", |payload, _| async move {
        Ok(PluginResult {
            modified_payload: Some(payload),
            ..PluginResult::deny(
                PluginViolation::new("C")
                    .with_reason("r")
                    .with_description("d")
                    .with_http_status_code(429),
            )
            .with_metadata(Map::from_iter([("m".to_owned(), json!(1))]))
            .with_http_headers([("Retry-After".to_owned(), "1".to_owned())].into())
            .with_retry_delay(std::time::Duration::from_millis(250))
        })
    }));
    assert_eq!(
        result(&client.invoke(&call("deny")).await),
        json!({
            "continue_processing": false, "modified_payload": {"name": "tool"},
            "modified_extensions": null, "metadata": {"m": 1},
            "violation": {
                "reason": "r", "description": "d", "code": "C", "details": {},
                "mcp_error_code": null, "http_status_code": 429, "http_headers": null,
            },
            "http_headers": {"Retry-After": "1"}, "retry_delay_ms": 250, "executions": [],
        })
    );
}

#[tokio::test]
async fn metrics_of_a_denial_travel_exactly_and_beside_the_result() {
    let mut client = client(Handlers::new().on_json("deny", |_, _| async {
        let metrics: DenialMetadata = [
            ("small", DenialMetric::Integer(-(1 << 62))),
            ("large", DenialMetric::Integer(1 << 60)),
            ("float", 0.5.into()),
            ("no", false.into()),
        ]
        .into_iter()
        .collect();
        Ok(PluginResult::allow().with_denial_metadata(metrics))
    }));
    let reply = client.invoke(&call("deny")).await;
    assert!(!result(&reply).as_object().unwrap().contains_key("denial_metadata"));
    let base = reply.result_base.unwrap();
    assert!(!base.continue_processing, "the reference leaves it unset");
    let fields = base.denial_metadata.unwrap().fields;
    let metric = |name: &str| fields[name].value.unwrap();
    assert_eq!(fields.len(), 4);
    assert_eq!(metric("small"), denial_metric::Value::Integer(-(1 << 62)));
    assert_eq!(metric("large"), denial_metric::Value::Integer(1 << 60));
    assert_eq!(metric("float"), denial_metric::Value::Floating(0.5));
    assert_eq!(metric("no"), denial_metric::Value::Boolean(false));
}

#[tokio::test]
async fn a_reply_beyond_a_frame_is_an_error_and_the_connection_stays_usable() {
    let mut client = Client::of(echo().max_frame_len(1000));
    let call = request(json!({"name": "tool", "args": {"a": "x".repeat(800)}}));
    let reply = client.invoke(&call).await;
    assert_eq!(error(&reply).code, "INTERNAL_ERROR");
    assert!(error(&reply).message.contains("the limit is 1000"), "{}", error(&reply).message);
    assert_eq!(client.echo(json!({"a": 1})).await, json!({"a": 1}));
}

#[tokio::test]
async fn when_not_even_an_error_fits_the_connection_is_closed() {
    let mut client = Client::of(echo().max_frame_len(1000));
    let call = |length| InvokeHookRequest {
        hook_type: "x".into(),
        plugin_name: "x".repeat(length),
        ..InvokeHookRequest::default()
    };
    let reply = client.invoke(&call(800)).await;
    assert_eq!(error(&reply).message, "the plugin's error cannot be sent");
    client.send(&call(980).encode_to_vec()).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn an_integer_that_a_double_cannot_carry_is_an_error_unless_rounding_is_allowed() {
    let handlers = || {
        Handlers::new().on_json("big", |_, _| async {
            Ok(PluginResult::modify(json!({"n": (1_i64 << 53) + 1})))
        })
    };
    let builder = || PluginServer::builder().plugin("Echo", handlers());
    let reply = Client::of(builder()).invoke(&call("big")).await;
    assert!(error(&reply).message.contains("2^53"), "{}", error(&reply).message);
    assert_eq!((&error(&reply).code[..], &reply.plugin_name[..]), ("INTERNAL_ERROR", "Echo"));

    let reply = Client::of(builder().big_integers(BigIntegers::Round)).invoke(&call("big")).await;
    assert_eq!(result(&reply)["modified_payload"]["n"], 1_i64 << 53);
}

/// An echo adds three levels, so the reference sends what nobody can decode.
#[tokio::test]
async fn a_reply_that_nests_too_deep_is_an_error() {
    let deep = (0..32).fold(json!(1), |inner, _| json!({"k": inner}));
    let reply = Client::of(echo()).invoke(&request(json!({"name": "tool", "args": deep}))).await;
    assert_eq!(error(&reply).code, "INTERNAL_ERROR");
}

#[tokio::test]
async fn any_takes_the_hooks_that_have_no_handler_of_their_own() {
    let handlers = Handlers::new()
        .any(|hook_type, payload: Value, context| async move {
            let seen = json!({"hook": hook_type, "payload": payload});
            Ok((PluginResult::modify(seen), context))
        })
        .on_json("own", |_, _| async { Ok(PluginResult::allow()) });
    let mut client = client(handlers);
    assert_eq!(
        result(&client.invoke(&call("whatever")).await)["modified_payload"],
        json!({"hook": "whatever", "payload": {"name": "tool"}})
    );
    assert_eq!(result(&client.invoke(&call("own")).await)["modified_payload"], Value::Null);
}

#[test]
fn a_plugin_lists_the_hooks_that_it_has_handlers_for() {
    use crate::server::Plugin as _;

    let own = Handlers::new().on_json("own", |_, _| async { Ok(PluginResult::allow()) });
    assert_eq!(own.hooks(), ["own"]);
    let any = own.any(|_, _, _| async { Ok(PluginResult::<Value>::allow()) });
    assert!(any.hooks().contains(&"own".to_owned()));
    assert!(any.hooks().contains(&ToolPreInvoke::NAME.to_owned()));
}
