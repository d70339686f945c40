//! Errors to order beside those that calls fail with: nobody can tell them apart.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use futures::future::join_all;
use hookwire::config::{PluginConfigBuilder, PluginMode};
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{HandlerError, PluginInfo};
use hookwire::testing::{Answer, Double, error};
use hookwire::{
    ErrorKind, PluginConfig, PluginContext, PluginError, PluginResult, PluginViolation,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{call, failure};

fn entry(socket: Value) -> PluginConfig {
    let mut entry = json!({
        "name": "Guard", "mode": "sequential", "hooks": ["tool_pre_invoke"],
        "unix_socket": {"path": "/in-memory"},
    });
    entry["unix_socket"].as_object_mut().unwrap().extend(socket.as_object().unwrap().clone());
    PluginConfig::from_value(entry).unwrap()
}

/// The same error to order: what a real one tells in values is passed on, no text is.
fn ordered(real: &PluginError) -> PluginError {
    let mut order = error(real.plugin(), real.kind()).reason(real.reason()).sent(real.sent());
    if let Some(stage) = real.stage() {
        order = order.stage(stage);
    }
    if let Some(timeout) = real.timeout() {
        order = order.timeout(timeout);
    }
    if let Some(after) = real.retry_after() {
        order = order.retry_after(after);
    }
    if let Some(attempts) = real.attempts() {
        order = order.attempts(attempts);
    }
    if let Some(error) = real.io_error() {
        order = order.io_error(io::Error::new(error.kind(), error.to_string()));
    }
    if let Some(fault) = real.plugin_fault() {
        let told = HandlerError::new(&fault.message).with_code(&fault.code);
        order = order.fault(told.with_mcp_error_code(fault.mcp_error_code));
        if let Some(violation) = fault.violation() {
            order = order.violation(violation.clone());
        }
    }
    order.build()
}

/// Sizes and counts are those of a case; the words around them are not.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|char| !char.is_ascii_digit()).collect()
}

fn assert_alike(real: &PluginError) {
    let ordered = ordered(real);
    let texts = |error: &PluginError| {
        let io_error = error.io_error().map(|error| (error.kind(), error.to_string()));
        (
            without_numbers(&error.to_string()),
            without_numbers(&format!("{error:#}")),
            error.public_message(),
            io_error,
        )
    };
    assert_eq!(texts(&ordered), texts(real));
    let values = |error: &PluginError| {
        (
            (error.kind(), error.reason(), error.sent(), error.stage(), error.timeout()),
            (error.retry_after(), error.attempts(), error.is_denial(), error.is_retryable()),
            error.plugin_fault().cloned(),
        )
    };
    assert_eq!(values(&ordered), values(real));
}

/// Of answers that are broken.
async fn bad_replies() -> Vec<PluginError> {
    let mut errors = Vec::new();
    for answer in [
        Answer::silence(),
        Answer::close(),
        Answer::cut(),
        Answer::garbage(),
        Answer::of_another_call(),
        Answer::empty(),
        Answer::fail(HandlerError::new("broken").with_code("E1")),
        Answer::deny_beside_error(PluginViolation::new("NO"), HandlerError::new("broken")),
    ] {
        errors.push(failure(&Double::named("Guard").always(answer).build().handle()).await);
    }
    let forgetful = Double::of(entry(json!({"stamp": true})))
        .on::<ToolPreInvoke>(|_, context| async move {
            let request_id = context.global_context.request_id;
            Ok((PluginResult::allow(), PluginContext::new(request_id)))
        })
        .build();
    errors.push(failure(&forgetful.handle()).await);
    errors
}

/// A payload whose type takes nothing.
#[derive(Serialize)]
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("unexpected value"))
    }
}

enum PickyHook {}

impl hookwire::Hook for PickyHook {
    const NAME: &'static str = "tool_pre_invoke";
    type Payload = ToolPreInvokePayload;
    type Modified = Picky;
}

/// Of calls that are not tried, or whose reply is not of the type that was asked for.
async fn bad_calls() -> Vec<PluginError> {
    let guard = Double::of(entry(json!({"max_frame_len": 4096}))).build();
    let handle = guard.handle();
    let ask = async |payload: ToolPreInvokePayload| {
        let mut context = PluginContext::new("r");
        handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err()
    };
    let mut errors = vec![
        ask(ToolPreInvokePayload::new("search").with_arg("id", u64::MAX)).await,
        ask(ToolPreInvokePayload::new("search").with_arg("text", "x".repeat(5000))).await,
    ];
    let mut context = PluginContext::new("r");
    let by_name = handle.invoke_hook_json("tool_pre_invok", &json!({}), &mut context).await;
    errors.push(by_name.unwrap_err());
    guard.then(Answer::modify(json!({})));
    let payload = ToolPreInvokePayload::new("search");
    let picky = handle.invoke_hook::<PickyHook>(&payload, &mut context).await;
    errors.push(picky.err().unwrap());
    errors
}

/// Of entries that cannot be used as they are.
async fn bad_entries() -> Vec<PluginError> {
    let checked = async |config: PluginConfig, on_server: PluginInfo| {
        let handle = Double::of(config).server_entry(on_server).build().handle();
        let _ = handle.verify().await;
        failure(&handle).await
    };
    let strict = || entry(json!({"verify": "strict"}));
    let info = || PluginInfo::new("Guard").with_hooks(vec!["tool_pre_invoke".to_owned()]);
    let disabled = PluginConfigBuilder::from(entry(json!({}))).mode(PluginMode::Disabled);
    let disabled = disabled.build().unwrap();
    let hookless = PluginConfig::builder("Guard").socket("/in-memory").build().unwrap();
    vec![
        checked(entry(json!({})), PluginInfo::new("guard")).await,
        checked(disabled, info()).await,
        checked(strict(), info().with_mode(PluginMode::Audit)).await,
        checked(hookless, PluginInfo::new("Guard").with_hooks(Vec::new())).await,
        failure(&Double::of(strict()).build().handle()).await,
    ]
}

/// What a call fails with that finds no room, and what those before it do at the end.
async fn overload() -> Vec<PluginError> {
    let full = json!({"max_connections": 1, "max_in_flight": 2, "queue_capacity": 2});
    let guard = Double::of(entry(full)).always(Answer::silence()).build();
    let handle = guard.handle();
    let under_way = (0..4).map(|_| {
        let handle = handle.clone();
        tokio::spawn(async move { failure(&handle).await })
    });
    let under_way: Vec<_> = under_way.collect();
    guard.wait_for_calls(1).await;
    let mut errors = vec![failure(&handle).await];
    handle.shutdown(Duration::ZERO).await;
    for call in under_way {
        errors.push(call.await.unwrap());
    }
    errors
}

/// Of plugins that are down, or have more to do than they can.
async fn down() -> Vec<PluginError> {
    let guard = Double::named("Guard").build();
    guard.down();
    let mut errors = vec![failure(&guard.handle()).await];

    let again = json!({"retry": "resend", "max_in_flight": 256, "reconnect_attempts": 1_000_000});
    let again = Double::of(entry(again)).always(Answer::close()).build().handle();
    let calls = join_all((0..200).map(|_| failure(&again))).await;
    let spent = |error: &PluginError| error.reason() == "retry_budget_spent";
    errors.push(calls.into_iter().find(spent).unwrap());

    errors.extend(overload().await);

    let hanging = Double::of(entry(json!({"breaker_threshold": 1}))).build();
    hanging.always(Answer::silence());
    let handle = hanging.handle();
    failure(&handle).await;
    errors.push(failure(&handle).await);
    errors
}

/// Two calls on one connection, of which the first is answered wrongly.
async fn closed_after_fault() -> PluginError {
    let pipelined = json!({"max_connections": 1, "max_in_flight": 2});
    let wrong = Answer::of_another_call().after(Duration::from_secs(1));
    let guard = Double::of(entry(pipelined)).then(wrong).then(Answer::silence()).build();
    let handle = guard.handle();
    let (first, second) = tokio::join!(call(&handle, "search"), call(&handle, "search"));
    let errors = [first.err(), second.err()].into_iter().flatten();
    errors.into_iter().find(|error| error.reason() == "closed_after_fault").unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_error_to_order_is_one_that_a_call_fails_with() {
    let mut real = bad_replies().await;
    real.extend(bad_calls().await);
    real.extend(bad_entries().await);
    real.extend(down().await);
    real.push(closed_after_fault().await);
    real.iter().for_each(assert_alike);

    let shown: BTreeSet<_> = real.iter().map(PluginError::reason).collect();
    let all = ErrorKind::ALL.iter().flat_map(|kind| kind.reasons()).copied();
    let missing: Vec<_> = all.filter(|reason| !shown.contains(reason)).collect();
    // Only over gRPC does a handle have no use for its connector, or a server not know a method;
    // only another user's socket is untrusted, and only a runtime that has ended leaves a task.
    assert_eq!(missing, ["connector_over_grpc", "unimplemented", "untrusted", "task_gone"]);
}
