//! Row H24 of docs/reliability.md: the gateway's process does not run for a while (SIGSTOP,
//! a paused container, a host that sleeps), and finds replies in its sockets whose calls
//! are over by the clock.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::calls::{at, eventually, in_time, knobs, lazy, spawn_call};
use common::child::{self, Child};
use common::over::{Over, apply, both, name_of};
use fault_server::Gate;
use hookwire::{BreakerState, Sent};
use tokio::runtime::Builder;

const CALLS: usize = 24;

/// Enough to send all calls on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(3);
const STALL_LIMIT: Duration = Duration::from_millis(200);

/// The gateway: it makes the calls, and tells how they ended.
fn gateway(over: Over, mut runtime: Builder, path: &str) -> ! {
    runtime.enable_all().build().unwrap().block_on(async {
        let patient = at(over, path)
            .max_connections(8)
            .max_in_flight(CALLS)
            .timeout(TIMEOUT)
            .stall_limit(STALL_LIMIT);
        let handle = lazy(patient.breaker_threshold(5));
        let calls: Vec<_> = (0..CALLS).map(|i| spawn_call(&handle, i.to_string())).collect();
        for (i, call) in calls.into_iter().enumerate() {
            if let Ok(marker) = in_time("a call", call).await.unwrap() {
                assert_eq!(marker, i.to_string());
            }
        }
        let stats = handle.stats();
        assert_eq!((stats.ok, stats.timeouts), (CALLS as u64, 0));
        assert_eq!((stats.breaker, stats.breaker_opened), (BreakerState::Closed, 0));
        // And it is not the worse for it.
        let next = in_time("a call after that", common::calls::call(&handle, "next")).await;
        assert_eq!(next.unwrap(), "next");
    });
    child::succeed()
}

/// The plugin's server: it answers while the gateway does not run, all calls at once.
fn answers_a_frozen_gateway(over: Over, test: &str) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (gate, answered) = (Gate::closed(), Arc::new(AtomicUsize::new(0)));
        let server = over.start({
            let (gate, answered) = (gate.clone(), Arc::clone(&answered));
            move |mut connection| {
                let (gate, answered) = (gate.clone(), Arc::clone(&answered));
                async move {
                    let mut calls = Vec::new();
                    loop {
                        tokio::select! {
                            call = connection.hook() => calls.push(call?),
                            () = gate.passed() => break,
                        }
                    }
                    for call in calls {
                        connection.answer(&call).await?;
                        answered.fetch_add(1, SeqCst);
                    }
                    connection.serve().await
                }
            }
        });
        let mut gateway = Child::start(test, server.path().to_str().unwrap());
        server.record().wait_for(|seen| seen.hook_calls() == CALLS).await;
        gateway.freeze();
        gate.open();
        eventually("all replies lie in the sockets", || answered.load(SeqCst) == CALLS).await;
        // The fault itself: by the clock, every call and every connection is overdue.
        tokio::time::sleep(TIMEOUT + 2 * STALL_LIMIT).await;
        gateway.thaw();
        gateway.has_succeeded();
    });
}

fn test_on(over: Over, test: &str, runtime: Builder) {
    match child::role() {
        Some(path) => gateway(over, runtime, &path),
        None => answers_a_frozen_gateway(over, &name_of(test, over)),
    }
}

#[apply(both)]
fn h24_replies_that_came_while_the_process_was_stopped_are_in_time(over: Over) {
    let name = "h24_replies_that_came_while_the_process_was_stopped_are_in_time";
    let mut several = Builder::new_multi_thread();
    several.worker_threads(2);
    test_on(over, name, several);
}

#[apply(both)]
fn h24_replies_that_came_while_the_process_was_stopped_are_in_time_on_one_thread(over: Over) {
    let name = "h24_replies_that_came_while_the_process_was_stopped_are_in_time_on_one_thread";
    test_on(over, name, Builder::new_current_thread());
}

/// A thread that was held up finds the reply to one call, and that the next cannot be
/// written any more.
#[apply(both)]
fn h24_a_reply_that_lies_in_the_socket_reaches_its_caller_though_the_next_write_fails(over: Over) {
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let gateway = Builder::new_current_thread().enable_all().build().unwrap();
    let gate = Gate::closed();
    let server = servers.block_on(async {
        let gate = gate.clone();
        over.start(move |mut connection| {
            let gate = gate.clone();
            async move {
                let call = connection.hook().await?;
                gate.passed().await;
                connection.answer(&call).await
            }
        })
    });
    gateway.block_on(async {
        let handle = lazy(knobs(&server));
        let first = spawn_call(&handle, "first");
        server.record().wait_for(|seen| seen.hook_calls() == 1).await;
        // From here on the gateway's only thread does nothing else.
        gate.open();
        let gone = || servers.block_on(server.record().wait_for(|seen| seen.ended == 1));
        std::thread::scope(|scope| scope.spawn(gone).join()).unwrap();
        let second = spawn_call(&handle, "second");
        assert_eq!(in_time("the first", first).await.unwrap().unwrap(), "first");
        let second = in_time("the second", second).await.unwrap();
        if over == Over::Socket {
            // None of its bytes was taken.
            assert_eq!(second.unwrap(), "second");
            assert_eq!(server.record().seen().hook_calls(), 2);
        } else {
            // The layers of HTTP/2 do not tell what was: it is not sent again.
            assert_eq!(second.map_err(|error| error.sent()), Err(Sent::Maybe));
            assert_eq!(server.record().seen().hook_calls(), 1);
        }
    });
}
