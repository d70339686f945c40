//! Row H21 of docs/reliability.md: hooks hang, and questions are answered. A plugin that
//! answers questions has not shown that it runs hooks, so nothing but a reply to a hook
//! may tell that it is well.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::future::pending;
use std::time::{Duration, Instant};

use common::calls::{call, in_time, knobs, lazy};
use common::knobs::Knobs;
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Request};
use hookwire::{BreakerState, PluginHandle};

/// Missing replies that open the breaker.
const THRESHOLD: u32 = 3;

/// How long a caller goes on calling: two rests of the breaker end meanwhile.
const SPAN: Duration = Duration::from_secs(4);

/// Enough to be sent on a busy machine, little to wait for in vain.
const BRIEF: Duration = Duration::from_millis(100);

/// Answers every question, and no hook: a connection on which it owes a reply is silent.
fn hung_server(over: Over) -> FaultServer {
    over.start(|mut connection| async move {
        loop {
            let request = connection.request().await?;
            if matches!(request, Request::Hook(_)) {
                connection.leave_unanswered().await?;
                continue;
            }
            connection.answer(&request).await?;
        }
    })
}

/// The most hooks that may reach a hung plugin in so much time: those that show that it
/// hangs, and one on trial after each rest of 1 s, 2 s, 4 s, ...
fn most_hooks(elapsed: Duration) -> usize {
    let mut most = THRESHOLD as usize;
    let (mut rest, mut opened) = (1.0, 0.0);
    while opened + rest <= elapsed.as_secs_f64() {
        opened += rest;
        rest *= 2.0;
        most += 1;
    }
    most
}

/// One caller calls, over and over, while `beside` goes on.
async fn call_a_hung_plugin<F: Future>(
    over: Over,
    set: impl FnOnce(Knobs) -> Knobs,
    beside: impl FnOnce(PluginHandle) -> F,
) {
    let server = hung_server(over);
    let brief = knobs(&server).max_connections(8).timeout(BRIEF);
    let brief = brief.stall_limit(Duration::from_millis(20)).breaker_threshold(THRESHOLD);
    let handle = lazy(set(brief.reconnect_attempts(1_000_000)));
    let started = Instant::now();
    let calling = async {
        while started.elapsed() < SPAN {
            in_time("a call", call(&handle, "hook")).await.unwrap_err();
            // Callers of an open breaker are refused at once.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = calling => {}
        _ = beside(handle.clone()) => unreachable!("it goes on for ever"),
    }
    let (hooks, most) = (server.record().seen().hook_calls(), most_hooks(started.elapsed()));
    assert!(hooks <= most, "{hooks} hooks reached a plugin that hangs, of at most {most}");
    assert!(hooks >= THRESHOLD as usize, "only {hooks}: the breaker is not what held them up");
    let stats = handle.stats();
    assert_ne!(stats.breaker, BreakerState::Closed);
    assert_eq!((stats.breaker_opened, stats.ok), (1, 0));
    assert_eq!(stats.calls, stats.timeouts + stats.refused);
}

#[apply(both)]
async fn h21_a_plugin_whose_hooks_hang_is_sent_a_few_and_one_after_each_rest(over: Over) {
    call_a_hung_plugin(over, |knobs| knobs, |_| pending::<()>()).await;
}

#[apply(both)]
async fn h21_probes_that_are_answered_bring_no_hooks_to_a_plugin_that_hangs(over: Over) {
    let probed = |knobs: Knobs| knobs.keep_alive(Some(Duration::from_millis(20)));
    call_a_hung_plugin(over, probed, |_| pending::<()>()).await;
}

#[apply(both)]
async fn h21_questions_that_are_answered_bring_no_hooks_to_a_plugin_that_hangs(over: Over) {
    let ask = async |handle: PluginHandle| loop {
        // Answered or refused: it is the gateway's business, and not the plugin's health.
        let _ = handle.plugin_config().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    call_a_hung_plugin(over, |knobs| knobs, ask).await;
}
