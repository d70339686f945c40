//! What is refused before a byte is sent, and what reaches the server as it is: rows
//! H9, H10, H12, H14 and H17 of docs/reliability.md.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::calls::{PLUGIN, config, knobs, lazy};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Reply, Request, config_reply, frame};
use hookwire::config::{BigIntegers, DeepNesting};
use hookwire::hooks::{
    IdentityResolve, IdentityResolvePayload, TokenDelegate, TokenDelegatePayload,
};
use hookwire::{ErrorKind, Hook, PluginContext, PluginError, PluginHandle, Sent};
use prost_types::Struct;
use prost_types::value::Kind;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// An honest server, and the payload of each call that reaches it.
fn recording_server(over: Over) -> (FaultServer, mpsc::UnboundedReceiver<Struct>) {
    let (payloads, received) = mpsc::unbounded_channel();
    let server = over.start(move |mut connection| {
        let payloads = payloads.clone();
        async move {
            loop {
                let call = connection.hook().await?;
                let _ = payloads.send(call.payload());
                connection.answer(&call).await?;
            }
        }
    });
    (server, received)
}

fn assert_refused(server: &FaultServer, error: &PluginError) {
    assert_eq!((error.kind(), error.sent()), (ErrorKind::InvalidRequest, Sent::No), "{error}");
    assert_eq!(server.record().seen().requests, 0, "{error}");
}

// --- H9 ---

enum Measured {}

#[derive(Serialize)]
struct Measurement {
    value: f64,
}

impl Hook for Measured {
    const NAME: &'static str = "measured";
    type Payload = Measurement;
    type Modified = Value;
}

#[apply(both)]
async fn h9_a_number_that_is_not_finite_is_refused_before_sending(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut context = PluginContext::new("r");
        let payload = Measurement { value };
        let error = handle.invoke_hook::<Measured>(&payload, &mut context).await.unwrap_err();
        assert_refused(&server, &error);
    }
}

async fn send_integer(handle: &PluginHandle, integer: i64) -> Result<Value, PluginError> {
    let mut context = PluginContext::new("r");
    let payload = json!({"name": "t", "args": {"integer": integer}});
    let result = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await?;
    Ok(common::modified(result).unwrap_or_default()["args"]["integer"].clone())
}

#[apply(both)]
async fn h9_an_integer_beyond_2_to_the_53_is_refused_before_sending(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    for integer in [(1 << 53) + 1, -(1 << 53) - 1, i64::MAX, i64::MIN] {
        let error = send_integer(&handle, integer).await.unwrap_err();
        assert_refused(&server, &error);
    }
    for integer in [1 << 53, -(1 << 53), 5, 0] {
        assert_eq!(send_integer(&handle, integer).await.unwrap(), json!(integer));
    }
}

#[apply(both)]
async fn h9_an_integer_beyond_2_to_the_53_is_rounded_where_that_is_allowed(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server).big_integers(BigIntegers::Round));
    let rounded = send_integer(&handle, (1 << 53) + 1).await.unwrap();
    assert_eq!(rounded.as_f64(), Some(9_007_199_254_740_992.0));
}

#[apply(both)]
async fn h9_a_rounded_integer_is_told_by_the_result_and_counted_and_an_exact_one_is_not(
    over: Over,
) {
    let server = over.honest();
    let handle = lazy(knobs(&server).big_integers(BigIntegers::Round));
    for (integer, is_exact) in [(1_i64 << 60, true), ((1 << 60) + 1, false), (7, true)] {
        let payload = json!({"name": "t", "args": {"integer": integer}});
        let mut context = PluginContext::new("r");
        let call = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context);
        assert_eq!(call.await.unwrap().is_exact(), is_exact, "{integer}");
    }
    let stats = handle.stats();
    assert_eq!((stats.inexact_requests, stats.inexact_replies), (1, 0));
}

/// An upstream chooses its results: the operator has to find the field.
#[apply(both)]
async fn h9_h14_a_refusal_names_the_field_that_holds_the_value(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    let big = json!(u64::MAX);
    for (payload, place) in [
        (json!({"name": "t", "result": {"id": big}}), "`payload.result`"),
        (json!({"name": "t", "result": big}), "`payload.result`"),
        (json!({"name": "t", "result": ["x".repeat(5000), [[big]]]}), "`payload.result`"),
        (json!({"name": "t", "args": nested(33)}), "`payload.args`"),
        // It may be data.
        (json!({"a key of the caller": big}), "`payload`"),
        (json!({"k".repeat(65): big}), "`payload`"),
    ] {
        let mut context = PluginContext::new("r");
        let call = handle.invoke_hook_json("tool_post_invoke", &payload, &mut context).await;
        let error = call.unwrap_err();
        assert_refused(&server, &error);
        assert!(error.to_string().contains(&format!("in {place}: ")), "{error}");
    }
    let payload = json!({"name": "t"});
    type Put = fn(&mut PluginContext, Value);
    let parts: [(Put, &str); 4] = [
        (|context, value| drop(context.state.insert("k".into(), value)), "context.state"),
        (|context, value| drop(context.metadata.insert("k".into(), value)), "context.metadata"),
        (
            |context, value| drop(context.global_context.state.insert("k".into(), value)),
            "context.global_context.state",
        ),
        (
            |context, value| drop(context.global_context.metadata.insert("k".into(), value)),
            "context.global_context.metadata",
        ),
    ];
    for (put, place) in parts {
        for value in [json!(u64::MAX), nested(40)] {
            let mut context = PluginContext::new("r");
            put(&mut context, value);
            let call = handle.invoke_hook_json("tool_post_invoke", &payload, &mut context).await;
            let error = call.unwrap_err();
            assert_refused(&server, &error);
            assert!(error.to_string().contains(&format!("in `{place}`: ")), "{error}");
        }
    }
}

// --- H10 ---

fn text<'a>(payload: &'a Struct, key: &str) -> &'a str {
    match payload.fields.get(key).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

#[apply(both)]
async fn h10_identity_resolve_is_sent_with_its_token(over: Over) {
    let (server, mut received) = recording_server(over);
    let handle = lazy(knobs(&server));
    let payload = IdentityResolvePayload::new("the-token");
    let mut context = PluginContext::new("r");
    assert!(
        handle.invoke_hook::<IdentityResolve>(&payload, &mut context).await.unwrap().is_allowed()
    );
    let sent = received.recv().await.unwrap();
    assert_eq!((text(&sent, "raw_token"), text(&sent, "source")), ("the-token", "bearer"));
}

#[apply(both)]
async fn h10_token_delegate_is_sent_with_its_token(over: Over) {
    let (server, mut received) = recording_server(over);
    let handle = lazy(knobs(&server));
    let payload = TokenDelegatePayload::new("payroll").with_bearer_token("the-token");
    let mut context = PluginContext::new("r");
    assert!(
        handle.invoke_hook::<TokenDelegate>(&payload, &mut context).await.unwrap().is_allowed()
    );
    let sent = received.recv().await.unwrap();
    assert_eq!((text(&sent, "bearer_token"), text(&sent, "target_name")), ("the-token", "payroll"));
}

// --- H12 ---

#[apply(both)]
async fn h12_a_plugin_can_change_the_global_state_and_cannot_clear_it(over: Over) {
    let server = over.start(|mut connection| async move {
        let call = connection.hook().await?;
        connection.reply(Reply::to(&call).with_state("r", "key", "new")).await?;
        let call = connection.hook().await?;
        let mut cleared = Reply::to(&call).with_state("r", "key", "unused");
        let context = cleared.0.context.get_or_insert_default();
        context.state = None;
        context.global_context.get_or_insert_default().state = None;
        connection.reply(cleared).await?;
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    let mut context = PluginContext::new("r");
    context.global_context.state.insert("key".into(), json!("old"));
    let payload = json!({"name": "t"});

    assert!(
        handle
            .invoke_hook_json("tool_pre_invoke", &payload, &mut context)
            .await
            .unwrap()
            .is_allowed()
    );
    assert_eq!(context.global_context.state["key"], "new");
    assert_eq!(context.state["key"], "new");

    assert!(
        handle
            .invoke_hook_json("tool_pre_invoke", &payload, &mut context)
            .await
            .unwrap()
            .is_allowed()
    );
    assert_eq!(context.global_context.state["key"], "new", "the wire cannot say `cleared`");
    assert!(context.state.is_empty(), "the plugin's own state can be");
}

// --- H14 ---

/// `depth` objects, one in the other.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!({"k": inner}))
}

#[apply(both)]
async fn h14_objects_nested_deeper_than_the_server_understands_are_refused_before_sending(
    over: Over,
) {
    let (server, mut received) = recording_server(over);
    let handle = lazy(knobs(&server));
    let mut context = PluginContext::new("r");
    for depth in [32, 33, 60, 1000] {
        let payload = json!({"name": "t", "args": {"deep": nested(depth)}});
        let error =
            handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await.unwrap_err();
        assert_refused(&server, &error);
        let said = error.to_string();
        assert!(said.contains("32 deep") && said.contains("takes 100 nested"), "{said}");
    }
    let payload = json!({"name": "t", "args": {"deep": nested(31)}});
    // The reply is read whether or not it is as deep; that it was sent is the point.
    let _ = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await;
    assert_eq!(text(&received.recv().await.unwrap(), "name"), "t");
}

#[apply(both)]
async fn h14_a_state_nested_too_deep_is_refused_before_sending(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    let payload = json!({"name": "t"});
    let mut context = PluginContext::new("r");
    context.state.insert("deep".into(), nested(40));
    let error =
        handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await.unwrap_err();
    assert_refused(&server, &error);
}

#[apply(both)]
async fn h14_what_nests_too_deep_is_sent_as_its_json_text_where_that_is_allowed(over: Over) {
    let (server, mut received) = recording_server(over);
    let handle = lazy(knobs(&server).deep_nesting(DeepNesting::Text));
    for depth in [32, 60, 127, 500] {
        let payload = json!({"name": "t", "args": {"deep": nested(depth)}});
        let mut context = PluginContext::new("r");
        context.state.insert("deep".into(), nested(depth));
        let call = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await;
        // What came back has the text in its place: nobody can tell it from one that was there.
        let result = call.unwrap();
        assert!(!result.is_exact());
        let modified = common::modified(result).unwrap();
        let mut inner = &modified["args"]["deep"];
        let mut above = 0;
        while let Value::Object(object) = inner {
            (inner, above) = (&object["k"], above + 1);
        }
        let text = inner.as_str().unwrap();
        assert_eq!(above, 31, "{depth}");
        assert_eq!(
            serde_json::from_str::<Value>(text).ok(),
            (depth < 150).then(|| nested(depth - 31))
        );
        assert!(received.recv().await.is_some());
    }
    let payload = json!({"name": "t", "args": {"deep": nested(31)}});
    let mut context = PluginContext::new("r");
    let call = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await;
    assert!(call.unwrap().is_exact(), "it fits");
    assert_eq!((handle.stats().inexact_requests, handle.stats().refused), (4, 0));
}

// --- H17 ---

#[apply(both)]
async fn h17_a_wrongly_cased_name_is_refused_at_the_start_with_both_spellings(over: Over) {
    let server = over.start(|mut connection| async move {
        let Request::Config(_) = connection.request().await? else { return Ok(()) };
        connection.raw(&frame(&config_reply("GUARD", &["tool_pre_invoke"]))).await?;
        connection.serve().await
    });
    let error = PluginHandle::connect(config(knobs(&server))).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("name_mismatch", Sent::No), "{error}");
    let said = error.to_string();
    assert!(said.contains("GUARD") && said.contains(PLUGIN), "{said}");
}
