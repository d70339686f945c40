//! Row H26 of docs/reliability.md: what is written behind the oldest unanswered call of a
//! connection has not begun, where the server works in order. With `retry = "unstarted"` it
//! goes out again; every error says which of the two a call was.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::calls::{call_soon, eventually, in_time, lazy, socket, spawn_call};
use common::knobs::Knobs;
use fault_server::{FaultServer, Gate};
use hookwire::{PluginConfig, PluginError, PluginHandle, RetryPolicy, Sent};

const CALLS: usize = 16;
/// Replies before the first connection is lost.
const ANSWERED: usize = 3;

/// The first connection reads all 16 calls, answers three once the gate is open, and breaks;
/// all others are well. The head, which is the fourth, is all that can have begun.
fn breaks_once(gate: &Gate) -> FaultServer {
    let gate = gate.clone();
    FaultServer::start(move |mut connection| {
        let gate = gate.clone();
        async move {
            if connection.number > 0 {
                return connection.serve().await;
            }
            let mut calls = Vec::new();
            while calls.len() < CALLS {
                calls.push(connection.hook().await?);
            }
            gate.passed().await;
            for call in &calls[..ANSWERED] {
                connection.answer(call).await?;
            }
            Ok(())
        }
    })
}

/// How 16 calls end that are all on one connection when it breaks, in the order in which
/// the server was sent them.
async fn outcomes(set: impl FnOnce(Knobs) -> Knobs) -> Outcomes {
    let gate = Gate::closed();
    let server = breaks_once(&gate);
    let handle = lazy(set(socket(server.path()).max_in_flight(CALLS)));
    let mut calls = Vec::new();
    for i in 0..CALLS {
        calls.push(spawn_call(&handle, i.to_string()));
        // One behind the other.
        server.record().wait_for(|seen| seen.hook_calls() == i + 1).await;
    }
    gate.open();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(in_time("a call", call).await.unwrap());
    }
    let read = server.record().seen().executions;
    Outcomes { outcomes, read, handle }
}

struct Outcomes {
    outcomes: Vec<Result<String, PluginError>>,
    /// How often the server was sent each call.
    read: BTreeMap<String, usize>,
    handle: PluginHandle,
}

impl Outcomes {
    fn sent(&self) -> Vec<Option<Sent>> {
        let sent = |outcome: &Result<_, PluginError>| outcome.as_ref().err().map(|e| e.sent());
        self.outcomes.iter().map(sent).collect()
    }
}

/// Three were answered, the fourth may have run, and what became of the others.
fn expected(others: Option<Sent>) -> Vec<Option<Sent>> {
    [vec![None; ANSWERED], vec![Some(Sent::Maybe)], vec![others; CALLS - ANSWERED - 1]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_behind_a_call_that_may_have_run_all_are_sent_again_and_none_twice_that_was_begun() {
    let ended = outcomes(|socket| socket.retry(RetryPolicy::Unstarted)).await;
    assert_eq!(ended.sent(), expected(None));
    for i in 0..CALLS {
        let times = if i <= ANSWERED { 1 } else { 2 };
        assert_eq!(ended.read[&i.to_string()], times, "call {i}");
    }
    assert_eq!(ended.handle.stats().retries, (CALLS - ANSWERED - 1) as u64);
}

/// By default nothing that was written goes out again, but a gateway may decide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_the_error_of_a_call_says_whether_it_can_have_begun() {
    let ended = outcomes(|socket| socket).await;
    assert_eq!(ended.sent(), expected(Some(Sent::Unstarted)));
    assert!(ended.read.values().all(|times| *times == 1));
    for outcome in &ended.outcomes[ANSWERED + 1..] {
        let told = outcome.as_ref().unwrap_err().to_string();
        assert!(!told.contains("may have run"), "{told}");
    }
}

/// Whether the head is lost with its connection or by its silence is all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_behind_a_reply_that_is_overdue_all_are_sent_again() {
    let server = FaultServer::start(|mut connection| async move {
        loop {
            let call = connection.hook().await?;
            if call.marker() == "stuck" {
                return connection.client_closed().await;
            }
            connection.answer(&call).await?;
        }
    });
    let overdue = socket(server.path()).stall_limit(Duration::from_millis(200));
    let handle = lazy(overdue.retry(RetryPolicy::Unstarted));
    let stuck = tokio::spawn({
        let handle = handle.clone();
        async move { call_soon(&handle, "stuck").await }
    });
    server.record().wait_for(|seen| seen.executions_of("stuck") == 1).await;
    let behind: Vec<_> = (0..8).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("they are written", || handle.stats().in_flight > 8 || stuck.is_finished()).await;
    let error = in_time("the head", stuck).await.unwrap().unwrap_err();
    assert_eq!(error.sent(), Sent::Maybe, "{error}");
    for (i, call) in behind.into_iter().enumerate() {
        assert_eq!(in_time("a call behind it", call).await.unwrap().unwrap(), i.to_string());
    }
    assert_eq!(server.record().seen().executions_of("stuck"), 1);
}

#[test]
fn h26_the_configuration_has_a_word_for_it() {
    let entry = serde_json::json!({
        "name": "Guard",
        "hooks": ["tool_pre_invoke"],
        "unix_socket": {"path": "/run/guard.sock", "retry": "unstarted"},
    });
    let config: PluginConfig = serde_json::from_value(entry.clone()).unwrap();
    assert_eq!(config.policy().retry(), RetryPolicy::Unstarted);
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(written["unix_socket"]["retry"], "unstarted");
}
