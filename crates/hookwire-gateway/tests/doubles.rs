//! How a gateway's own tests have all that a chain can come to: over doubles of its plugins,
//! without a server, and without waiting.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use hookwire::config::{OnError, PluginConfigBuilder, PluginMode};
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::HandlerError;
use hookwire::testing::{Answer, Double, error};
use hookwire::{ErrorKind, PluginConfig, PluginResult, PluginViolation};
use hookwire_gateway::{
    Chain, ChainBuilder, ChainError, Decision, FieldPolicy, HaltReason, Halted, Passed,
    RequestContext, Status,
};
use serde_json::json;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn entry(name: &str, mode: PluginMode) -> PluginConfigBuilder {
    PluginConfig::builder(name).socket("/run/plugins.sock").mode(mode)
}

fn chain_of<'a>(doubles: impl IntoIterator<Item = &'a Double>) -> ChainBuilder {
    Chain::builder().plugins(doubles.into_iter().map(Double::handle))
}

async fn run(chain: &Chain) -> Result<Passed<ToolPreInvokePayload>, Box<Halted>> {
    let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
    chain.run::<ToolPreInvoke>(payload, &mut RequestContext::new("request-1")).await
}

#[tokio::test(start_paused = true)]
async fn a_chain_runs_over_doubles_as_over_plugins() {
    let redact = Double::of(entry("Redact", PluginMode::Transform))
        .on::<ToolPreInvoke>(|payload, _| async move {
            Ok(PluginResult::modify(payload.with_arg("query", "******")))
        })
        .build();
    let guard = Double::of(entry("Guard", PluginMode::Sequential)).build();
    let audit = Double::of(entry("Audit", PluginMode::Audit)).build();
    let later = Double::of(entry("Later", PluginMode::FireAndForget)).build();
    let chain = chain_of([&later, &audit, &redact, &guard]).build().unwrap();
    let passed = run(&chain).await.unwrap();
    assert_eq!(passed.value().args.as_ref().unwrap()["query"], "******");

    // Each was asked with the payload of its phase.
    let query = |double: &Double| double.calls()[0].payload["args"]["query"].clone();
    assert_eq!((query(&guard), query(&redact)), (json!("rust"), json!("rust")));
    assert_eq!(query(&audit), "******");
    assert_eq!(later.wait_for_calls(1).await[0].request_id(), "request-1");
}

#[tokio::test(start_paused = true)]
async fn every_reason_to_halt_can_be_had() {
    let guard = Double::of(entry("Guard", PluginMode::Sequential)).build();
    let chain = chain_of([&guard]).timeout(10 * SECOND).build().unwrap();

    guard.then(Answer::deny(PluginViolation::new("NO")));
    let halted = run(&chain).await.unwrap_err();
    assert_eq!(halted.denial().unwrap().violation().unwrap().code, "NO");

    guard.then(Answer::fail(HandlerError::new("broken")));
    let halted = run(&chain).await.unwrap_err();
    assert!(
        matches!(halted.reason(), HaltReason::Failed(error) if error.kind() == ErrorKind::Plugin)
    );

    guard.then(Answer::silence());
    let began = Instant::now();
    let halted = run(&chain).await.unwrap_err();
    assert!(matches!(halted.reason(), HaltReason::OutOfTime(time) if *time == 10 * SECOND));
    assert_eq!(began.elapsed().as_secs(), 10);

    guard.down();
    let halted = run(&chain).await.unwrap_err();
    let HaltReason::Failed(error) = halted.reason() else { panic!("{halted}") };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_a_policy_forbids_is_taken_back() {
    let redact = Double::of(entry("Redact", PluginMode::Transform)).build();
    let policy = FieldPolicy::only(["args"]);
    let chain = chain_of([&redact]).default_policy(policy).build().unwrap();
    redact.then(Answer::modify(ToolPreInvokePayload::new("another tool")));
    assert_eq!(run(&chain).await.unwrap().value().name, "search");
}

#[tokio::test(start_paused = true)]
async fn a_denial_beside_an_error_halts_whatever_on_error_is() {
    for on_error in [OnError::Fail, OnError::Ignore, OnError::Disable] {
        let guard = Double::of(entry("Guard", PluginMode::Sequential).on_error(on_error)).build();
        let broken = HandlerError::new("cannot encode a date");
        guard.then(Answer::deny_beside_error(PluginViolation::new("NO"), broken));
        let halted = run(&chain_of([&guard]).build().unwrap()).await.unwrap_err();
        assert!(halted.denial().is_some(), "{on_error}: {halted}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_broken_passes_a_plugin_that_must_not_fail() {
    for answer in [
        Answer::close(),
        Answer::cut(),
        Answer::garbage(),
        Answer::too_large(),
        Answer::empty(),
        Answer::without_verdict(),
        Answer::of_another_call(),
    ] {
        for mode in [PluginMode::Sequential, PluginMode::Transform, PluginMode::Concurrent] {
            let guard = Double::of(entry("Guard", mode)).always(answer.clone()).build();
            let halted = run(&chain_of([&guard]).build().unwrap()).await.unwrap_err();
            assert!(matches!(halted.reason(), HaltReason::Failed(_)), "{mode} {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_was_left_out_is_tried_again_when_its_rest_is_over() {
    let guard = entry("Guard", PluginMode::Sequential).on_error(OnError::Disable);
    let guard = Double::of(guard).then(Answer::fail(HandlerError::new("broken"))).build();
    let chain = chain_of([&guard]).disable_for(60 * SECOND).build().unwrap();
    let status = async || run(&chain).await.unwrap().report().records()[0].status;
    assert_eq!(status().await, Status::Error);
    assert_eq!(status().await, Status::Disabled);
    tokio::time::sleep(61 * SECOND).await;
    assert_eq!(status().await, Status::Completed);
    assert_eq!(guard.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_records_tell_of_doubles_what_they_tell_of_plugins() {
    let first = Double::of(entry("First", PluginMode::Concurrent)).build();
    let second = Double::of(entry("Second", PluginMode::Concurrent)).build();
    first.then(Answer::deny(PluginViolation::new("NO")).after(SECOND));
    second.then(Answer::silence());
    let halted = run(&chain_of([&first, &second]).build().unwrap()).await.unwrap_err();
    let [denied, cancelled] = halted.report().records() else { panic!("{halted:?}") };
    assert_eq!((denied.status, denied.effective), (Status::Completed, Decision::Deny));
    assert_eq!((denied.code.as_deref(), denied.duration.as_secs()), (Some("NO"), 1));
    assert_eq!(cancelled.status, Status::Cancelled);
}

#[test]
fn why_there_is_no_chain_can_be_had() {
    let guard = Double::named("Guard").build();
    let twice = chain_of([&guard, &guard]).build().unwrap_err();
    assert_eq!(twice, ChainError::Duplicate("Guard".to_owned()));
    let unknown = json!({"tool": ["search"]}).as_object().unwrap().clone();
    let guard = Double::of(entry("Guard", PluginMode::Audit).condition(unknown)).build();
    let unreadable = chain_of([&guard]).build().unwrap_err();
    assert!(matches!(unreadable, ChainError::Conditions(name, _) if name == "Guard"));
}

/// Their variants are open: code that only takes reasons needs no chain.
#[test]
fn reasons_to_halt_are_made_of_errors_to_order() {
    let down = error("Guard", ErrorKind::Unavailable).build();
    let unfilterable = HaltReason::Unfilterable { plugin: "Redact".into(), message: "no".into() };
    let told = |reason: HaltReason| reason.to_string();
    assert_eq!(told(HaltReason::Failed(down.clone())), down.to_string());
    assert_eq!(told(unfilterable), "the change of plugin `Redact` cannot be filtered: no");
    assert!(told(HaltReason::OutOfTime(SECOND)).ends_with("did not all answer within 1s"));
}
