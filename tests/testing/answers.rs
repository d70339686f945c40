//! What a double can say, and what comes of it at the caller.

use std::time::Duration;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::model::Headers;
use hookwire::server::HandlerError;
use hookwire::testing::{Answer, Double};
use hookwire::{
    CallOptions, ErrorKind, PluginConfig, PluginContext, PluginResult, PluginViolation,
    RetryPolicy, Sent, Stopped,
};
use tokio::time::Instant;

use super::{call, enforce, failure};

const SECOND: Duration = Duration::from_secs(1);

/// What is not an answer to this call, and what its caller must be told.
fn broken() -> Vec<(&'static str, Answer, ErrorKind)> {
    vec![
        ("timeout", Answer::silence(), ErrorKind::Timeout),
        ("timeout", Answer::allow().after(36 * SECOND), ErrorKind::Timeout),
        ("disconnected", Answer::close(), ErrorKind::Disconnected),
        ("framing", Answer::cut(), ErrorKind::BadReply),
        ("framing", Answer::too_large(), ErrorKind::BadReply),
        ("undecodable", Answer::garbage(), ErrorKind::BadReply),
        ("undecodable", Answer::without_verdict(), ErrorKind::BadReply),
        ("mismatch", Answer::of_another_call(), ErrorKind::BadReply),
        ("empty_reply", Answer::empty(), ErrorKind::BadReply),
        ("plugin_error", Answer::fail(HandlerError::new("broken")), ErrorKind::Plugin),
        (
            "denied",
            Answer::deny_beside_error(PluginViolation::new("NO"), HandlerError::new("broken")),
            ErrorKind::Plugin,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_is_broken_fails_its_call_as_a_real_server_would_and_the_next_is_answered() {
    for (reason, answer, kind) in broken() {
        let guard = Double::named("Guard").then(answer.clone()).build();
        let handle = guard.handle();
        let error = failure(&handle).await;
        assert_eq!((error.reason(), error.kind()), (reason, kind), "{answer:?}: {error}");
        assert_eq!(error.sent(), Sent::Maybe, "{answer:?}");
        assert!(call(&handle, "search").await.unwrap().is_allowed(), "after {answer:?}");
        assert_eq!(guard.calls().len(), 2, "{answer:?}");
    }
}

/// All that is broken would allow if it were whole.
#[tokio::test(start_paused = true)]
async fn whatever_is_broken_lets_no_payload_pass() {
    for (_, answer, _) in broken() {
        let guard = Double::named("Guard").always(answer.clone()).build();
        assert!(enforce(&guard.handle(), "search").await.is_err(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_comes_with_all_that_it_tells() {
    let violation = PluginViolation::new("RATE_LIMIT").with_reason("too many");
    let headers: Headers = [("x-limit".to_owned(), "10".to_owned())].into();
    let result = PluginResult::<()>::deny(violation)
        .with_http_headers(headers.clone())
        .with_retry_delay(7 * SECOND);
    let guard = Double::named("Guard").then(Answer::result(result)).build();
    let stopped = enforce(&guard.handle(), "search").await.unwrap_err();
    let Stopped::Denied(denial) = stopped else { panic!("{stopped}") };
    assert_eq!(denial.violation().unwrap().code, "RATE_LIMIT");
    assert_eq!(denial.http_headers(), Some(&headers));
    assert_eq!(denial.retry_delay(), Some(7 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_what_the_request_goes_on_with() {
    let changed = ToolPreInvokePayload::new("search").with_arg("query", "******");
    let guard = Double::named("Redact").then(Answer::modify(changed.clone())).build();
    assert_eq!(enforce(&guard.handle(), "search").await.unwrap(), changed);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_another_type_is_an_error_and_no_change() {
    let guard = Double::named("Redact").then(Answer::modify([1, 2, 3])).build();
    let stopped = enforce(&guard.handle(), "search").await.unwrap_err();
    let Stopped::Failed(error) = stopped else { panic!("{stopped}") };
    assert_eq!(error.kind(), ErrorKind::BadReply);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_no_frame_holds_is_an_error_of_the_server() {
    let entry = serde_json::json!({
        "name": "Redact", "unix_socket": {"path": "/in-memory", "max_frame_len": 4096},
    });
    let large = ToolPreInvokePayload::new("search").with_arg("text", "x".repeat(5000));
    let redact = Double::of(PluginConfig::from_value(entry).unwrap());
    let error = failure(&redact.then(Answer::modify(large)).build().handle()).await;
    assert_eq!(error.plugin_fault().unwrap().code, "INTERNAL_ERROR");
}

#[tokio::test(start_paused = true)]
async fn a_plugins_error_comes_with_its_code_and_its_words() {
    let fault = HandlerError::new("out of disk").with_code("E28").with_mcp_error_code(-32000);
    let guard = Double::named("Guard").then(Answer::fail(fault)).build();
    let error = failure(&guard.handle()).await;
    let fault = error.plugin_fault().unwrap();
    assert_eq!((fault.message.as_str(), fault.code.as_str()), ("out of disk", "E28"));
    assert_eq!(fault.mcp_error_code, -32000);
}

#[tokio::test(start_paused = true)]
async fn a_denial_beside_an_error_is_a_denial() {
    let violation = PluginViolation::new("NO_SHELL");
    let answer = Answer::deny_beside_error(violation, HandlerError::new("cannot encode a date"));
    let guard = Double::named("Guard").then(answer).build();
    let stopped = enforce(&guard.handle(), "shell").await.unwrap_err();
    let Stopped::Denied(denial) = stopped else { panic!("{stopped}") };
    assert_eq!(denial.violation().unwrap().code, "NO_SHELL");
    assert!(denial.error().unwrap().to_string().contains("cannot encode a date"));
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_comes_when_it_is_due() {
    let guard = Double::named("Guard").then(Answer::allow().after(3 * SECOND)).build();
    let began = Instant::now();
    assert!(call(&guard.handle(), "search").await.is_ok());
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_reaches_nobody_else_than_its_caller() {
    let deny = Answer::deny(PluginViolation::new("LATE")).after(2 * SECOND);
    let entry = PluginConfig::builder("Guard").socket("/run/guard.sock").timeout(SECOND);
    let guard = Double::of(entry).then(deny).build();
    let handle = guard.handle();
    assert_eq!(failure(&handle).await.kind(), ErrorKind::Timeout);
    for _ in 0..50 {
        tokio::time::sleep(SECOND / 10).await;
        assert!(call(&handle, "search").await.unwrap().is_allowed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_handlers_answer_late_where_the_script_asks_for_it() {
    let guard = Double::named("Guard")
        .on::<ToolPreInvoke>(|_, _| async {
            Ok(PluginResult::deny(PluginViolation::new("HANDLED")))
        })
        .then(Answer::handled().after(3 * SECOND))
        .build();
    let began = Instant::now();
    let result = call(&guard.handle(), "search").await.unwrap();
    assert_eq!(result.violation().unwrap().code, "HANDLED");
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_be_sent_again_is_where_the_plugin_closes() {
    let guard = Double::named("Guard").then(Answer::close()).build();
    let handle = guard.handle().with(CallOptions::new().retry(RetryPolicy::Resend));
    assert!(call(&handle, "search").await.is_ok());
    assert_eq!(guard.calls().len(), 2, "the hook ran twice, as was allowed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_where_calls_bring_stamps_and_state() {
    let entry = serde_json::json!({
        "name": "Guard", "unix_socket": {"path": "/run/guard.sock", "stamp": true},
    });
    let guard = Double::of(PluginConfig::from_value(entry).unwrap()).build();
    guard.then(Answer::allow()).then(Answer::of_another_call());
    let handle = guard.handle();
    let mut context = PluginContext::new("request-1");
    context.state.insert("kept".to_owned(), true.into());
    let payload = ToolPreInvokePayload::new("search");
    assert!(handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.is_ok());
    assert_eq!(context.state["kept"], true);
    let error = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err();
    assert_eq!(error.reason(), "mismatch");
}
