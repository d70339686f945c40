//! How a gateway is tested without a server: its plugins are doubles.
//!
//! `cargo run --features testing --example test_a_gateway` runs the tests below one after the
//! other and ends. In a gateway each would be a `#[tokio::test(start_paused = true)]`, and
//! hookwire a dev-dependency with the feature `testing`.

use std::time::Duration;

use hookwire::config::OnError;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::HandlerError;
use hookwire::testing::{Answer, Double, error};
use hookwire::{
    ErrorKind, PluginConfig, PluginContext, PluginError, PluginHandle, PluginResult,
    PluginViolation, Stopped,
};
use tokio::time::Instant;

/// The gateway: what it answers its client, and what it calls the tool with.
async fn gateway(plugins: &[PluginHandle], request: &str, tool: &str) -> (u16, String) {
    let mut payload = ToolPreInvokePayload::new(tool).with_arg("text", "a secret plan");
    for plugin in plugins {
        let mut context = PluginContext::new(request);
        let asked = plugin.enforce::<ToolPreInvoke>(payload.clone(), &mut context).await;
        match asked {
            Ok(changed) => payload = changed,
            Err(Stopped::Denied(denial)) => return (403, denial.to_string()),
            Err(Stopped::Failed(_)) if plugin.config().on_error() == OnError::Ignore => {}
            Err(Stopped::Failed(error)) => return unavailable(&error),
        }
    }
    (200, payload.args.unwrap_or_default()["text"].to_string())
}

fn unavailable(error: &PluginError) -> (u16, String) {
    let status = if error.kind() == ErrorKind::Timeout { 504 } else { 503 };
    let retry = error.retry_after().map_or(0, |after| after.as_secs_f64().ceil() as u64);
    (status, format!("{}; Retry-After: {retry}", error.public_message()))
}

async fn plugins_change_and_deny_requests() {
    let guard = Double::named("Guard")
        .on::<ToolPreInvoke>(|payload, _context| async move {
            Ok(match payload.name.as_str() {
                "shell" => PluginResult::deny(PluginViolation::new("NO_SHELL")),
                _ => PluginResult::allow(),
            })
        })
        .build();
    let redact = Double::named("Redact")
        .on::<ToolPreInvoke>(|payload, _context| async move {
            Ok(PluginResult::modify(payload.with_arg("text", "a ****** plan")))
        })
        .build();
    let plugins = [guard.handle(), redact.handle()];
    assert_eq!(gateway(&plugins, "request-1", "search").await, (200, "\"a ****** plan\"".into()));
    assert_eq!(gateway(&plugins, "request-2", "shell").await.0, 403);

    // The second plugin was not asked about what the first had denied.
    let asked: Vec<_> = redact.calls().iter().map(|call| call.request_id().to_owned()).collect();
    assert_eq!(asked, ["request-1"]);
}

async fn a_plugin_that_is_down_stops_requests_until_it_is_back() {
    let guard = Double::named("Guard").build();
    let plugins = [guard.handle()];
    guard.down();
    assert_eq!(gateway(&plugins, "request-1", "search").await.0, 503);
    guard.up();
    // Its breaker is open for a moment yet, and is tried in the background.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(gateway(&plugins, "request-2", "search").await.0, 200);
}

async fn a_plugin_that_hangs_costs_a_request_its_timeout() {
    let guard = Double::named("Guard").always(Answer::silence()).build();
    let began = Instant::now();
    assert_eq!(gateway(&[guard.handle()], "request-1", "search").await.0, 504);
    assert_eq!(began.elapsed().as_secs(), 35);
}

async fn whatever_a_broken_plugin_says_lets_nothing_pass() {
    for answer in [
        Answer::close(),
        Answer::cut(),
        Answer::garbage(),
        Answer::of_another_call(),
        Answer::without_verdict(),
    ] {
        let guard = Double::named("Guard").always(answer.clone()).build();
        assert_eq!(gateway(&[guard.handle()], "request-1", "search").await.0, 503, "{answer:?}");
    }
}

async fn errors_are_ignored_where_the_entry_says_so_and_denials_never() {
    let entry = PluginConfig::builder("Audit").socket("/run/audit.sock").on_error(OnError::Ignore);
    let audit = Double::of(entry).build();
    let plugins = [audit.handle()];
    audit.then(Answer::fail(HandlerError::new("out of disk")));
    assert_eq!(gateway(&plugins, "request-1", "search").await.0, 200);
    let no = PluginViolation::new("NO");
    audit.then(Answer::deny_beside_error(no, HandlerError::new("out of disk")));
    assert_eq!(gateway(&plugins, "request-2", "search").await.0, 403);
}

/// Code that takes errors needs no plugin at all.
fn clients_are_told_when_to_come_back() {
    let after = Duration::from_millis(2500);
    let down = error("Guard", ErrorKind::Unavailable).retry_after(after).build();
    let (status, text) = unavailable(&down);
    assert_eq!((status, text.ends_with("Retry-After: 3")), (503, true));
    for kind in ErrorKind::ALL {
        for reason in kind.reasons() {
            let (status, text) = unavailable(&error("Guard", *kind).reason(reason).build());
            assert!(status >= 500 && !text.contains("Guard"), "{reason}: {text}");
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tokio::time::pause();
    plugins_change_and_deny_requests().await;
    a_plugin_that_is_down_stops_requests_until_it_is_back().await;
    a_plugin_that_hangs_costs_a_request_its_timeout().await;
    whatever_a_broken_plugin_says_lets_nothing_pass().await;
    errors_are_ignored_where_the_entry_says_so_and_denials_never().await;
    clients_are_told_when_to_come_back();
    println!("6 tests of a gateway passed, without a server");
}
