//! Traps that other clients of this kind paid for, in the flow of calls and attempts:
//! rows T of docs/reliability.md, against a fault server.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::calls::{
    LIMIT, SOON, call, call_of_size, call_with, eventually, in_time, knobs, lazy, socket,
    spawn_call,
};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Gate, Reply, Request};
use futures::{Stream, StreamExt};
use hookwire::{CallOptions, ConnectionState, ErrorKind, PluginHandle, Sent};
use tokio::sync::Mutex;

/// Twice what a Unix socket buffers, in either direction.
const BIG: usize = 1 << 20;

fn spawn_big(handle: &PluginHandle, marker: &'static str) -> tokio::task::JoinHandle<String> {
    let handle = handle.clone();
    tokio::spawn(
        async move { call_of_size(&handle, marker, BIG, CallOptions::new()).await.unwrap() },
    )
}

/// A write that waits for the server must not keep replies from being read: the
/// server may write on until its reply was taken, and read only then.
// Promise: T1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_a_blocked_write_does_not_keep_replies_from_being_read() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = FaultServer::start(move |mut connection| {
        let gate = closed.clone();
        async move {
            let first = connection.hook().await?;
            gate.passed().await;
            connection.answer(&first).await?;
            connection.serve().await
        }
    });
    let handle = lazy(socket(server.path()));
    let calls = ["a", "b", "c"].map(|marker| spawn_big(&handle, marker));
    server.record().wait_for(|seen| seen.hook_calls() == 1).await;
    // All that fits has been written, the rest of it waits.
    let mut sent = 0;
    eventually("the writes are stuck", || {
        let before = std::mem::replace(&mut sent, handle.stats().bytes_sent);
        sent > BIG as u64 && before == sent
    })
    .await;
    gate.open();
    for (call, marker) in calls.into_iter().zip(["a", "b", "c"]) {
        assert_eq!(in_time("no deadlock", call).await.unwrap(), marker);
    }
}

// Promise: T2
#[apply(both)]
async fn trap_every_caller_of_a_server_that_never_reads_ends_by_its_deadline(over: Over) {
    let server = over.deaf();
    let handle = lazy(knobs(&server).max_in_flight(4));
    let started = Instant::now();
    // In flight, stuck in the write, and waiting for a place.
    let calls: Vec<_> = (0..20)
        .map(|i| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let options = CallOptions::new().timeout(SOON);
                call_of_size(&handle, &i.to_string(), BIG, options).await.unwrap_err()
            })
        })
        .collect();
    for call in calls {
        let error = in_time("a call", call).await.unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert!(started.elapsed() < LIMIT / 4, "{:?}", started.elapsed());
}

// Promise: T3
#[apply(both)]
async fn trap_all_calls_queued_and_in_flight_are_answered_when_the_server_is_killed(over: Over) {
    // Over gRPC there is one connection to each server.
    for connections in if over == Over::Socket { vec![1, 4] } else { vec![1] } {
        let mut server = over.start(|mut connection| async move {
            loop {
                connection.hook().await?;
            }
        });
        let busy = knobs(&server).max_connections(connections).max_in_flight(4);
        let handle = lazy(busy);
        let calls: Vec<_> = (0..40).map(|i| spawn_call(&handle, i.to_string())).collect();
        let places = connections * 4;
        eventually("all places are taken", || {
            let stats = handle.stats();
            (stats.in_flight, stats.waiting) == (places, 40 - places)
        })
        .await;
        server.kill().await;
        server.remove_socket();
        let mut sent = 0;
        for call in calls {
            let error = in_time("a call", call).await.unwrap().unwrap_err();
            sent += usize::from(error.sent() != Sent::No);
            let told = matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Unavailable);
            assert!(told, "{error}");
        }
        assert_eq!(sent, places, "what was in flight was sent, nothing else");
        let after = in_time("a call after that", call(&handle, "after")).await.unwrap_err();
        assert_eq!((after.kind(), after.sent()), (ErrorKind::Unavailable, Sent::No));
    }
}

/// The task may end before its callers do: they live on another runtime.
// Promise: T3
#[apply(both)]
fn trap_all_calls_are_answered_when_the_tasks_runtime_is_gone(over: Over) {
    let of_the_task = tokio::runtime::Runtime::new().unwrap();
    let of_the_callers = tokio::runtime::Runtime::new().unwrap();
    let server = of_the_callers.block_on(async {
        over.start(|mut connection| async move {
            if connection.number > 0 {
                return connection.serve().await;
            }
            loop {
                connection.hook().await?;
            }
        })
    });
    let handle = of_the_task.block_on(async { lazy(knobs(&server).max_in_flight(4)) });
    of_the_callers.block_on(async {
        let calls: Vec<_> = (0..12).map(|i| spawn_call(&handle, i.to_string())).collect();
        eventually("4 are in flight, 8 wait", || {
            let stats = handle.stats();
            (stats.in_flight, stats.waiting) == (4, 8)
        })
        .await;
        server.record().wait_for(|seen| seen.hook_calls() == 4).await;
        of_the_task.shutdown_background();
        let mut lost = 0;
        for (i, call) in calls.into_iter().enumerate() {
            match in_time("a call", call).await.unwrap() {
                // Over gRPC one that waits may be given a place on a connection that is gone. It
                // never left, and goes on with tasks of its own runtime.
                Ok(marker) => assert!(over != Over::Socket && marker == i.to_string()),
                Err(error) => {
                    assert_eq!(error.reason(), "task_gone", "{error}");
                    lost += 1;
                }
            }
        }
        assert!(lost >= 4, "{lost} calls failed of 4 that were under way");
        if lost == 12 {
            // The last thing that a task does, after its callers are answered.
            eventually("the end is told", || handle.state() == ConnectionState::Shutdown).await;
        }
        // The next call starts them anew, on its own runtime.
        assert_eq!(in_time("a call after that", call(&handle, "after")).await.unwrap(), "after");
        assert_eq!(handle.state(), ConnectionState::Ready);
        in_time("shutdown", handle.shutdown(SOON)).await;
    });
}

// Promise: T5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_after_half_a_frame_and_an_error_the_next_connection_begins_with_a_whole_one() {
    // What each connection begins with, in whole frames.
    let begun = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&begun);
    let server = FaultServer::start(move |mut connection| {
        let begun = Arc::clone(&seen);
        async move {
            if connection.number == 0 {
                return connection.bytes(100_000).await.map(drop);
            }
            let call = connection.request().await?;
            let is_hook = matches!(call, Request::Hook(_));
            begun.lock().await.push((is_hook, call.marker().to_owned()));
            connection.reply(Reply::to(&call)).await?;
            connection.serve().await
        }
    });
    let handle = lazy(socket(server.path()));
    // Its caller leaves in the middle of the write, too.
    let leaves = {
        let handle = handle.clone();
        tokio::spawn(
            async move { call_of_size(&handle, "half", 4 << 20, CallOptions::new()).await },
        )
    };
    eventually("half is written", || handle.stats().bytes_sent > 0).await;
    leaves.abort();
    assert_eq!(call(&handle, "whole").await.unwrap(), "whole");
    let begun = begun.lock().await;
    assert_eq!(*begun, [(true, "whole".to_owned())]);
}

// Promise: T6
#[apply(both)]
async fn trap_a_server_that_accepts_and_closes_makes_no_busy_loop(over: Over) {
    let server = over.start(|connection| async move {
        drop(connection);
        Ok(())
    });
    let delay = Duration::from_millis(50);
    let handle = lazy(knobs(&server).reconnect_delay(delay).max_backoff(delay));
    let started = Instant::now();
    let mut unavailable = 0;
    while started.elapsed() < Duration::from_millis(500) {
        let error = in_time("a call", call(&handle, "m")).await.unwrap_err();
        unavailable += u32::from(error.kind() == ErrorKind::Unavailable);
        tokio::task::yield_now().await;
    }
    let attempts = server.record().seen().connections();
    // Twenty on average: each wait is anywhere between nothing and the delay.
    assert!(attempts < 60, "{attempts} attempts in half a second");
    assert!(unavailable > 0, "connecting alone is no success: the plugin is down");
}

type StateStream = Pin<Box<dyn Stream<Item = ConnectionState>>>;

/// With a clock that is moved by hand and seeded jitter: what matters is when the
/// attempts are made, not how busy this machine is.
// Promise: T9
#[tokio::test]
async fn trap_100_clients_do_not_come_back_in_lockstep() {
    const CLIENTS: usize = 100;
    const BUCKET: Duration = Duration::from_millis(10);
    let bound = Duration::from_millis(50);
    let mut server = FaultServer::absent(|mut connection| async move { connection.serve().await });
    fastrand::seed(7);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let year = Duration::from_secs(365 * 86_400);
    let patient = socket(server.path()).reconnect_delay(bound).max_backoff(bound);
    let patient = patient.timeout(year).connect_timeout(year);
    let handles: Vec<_> = (0..CLIENTS).map(|_| lazy(patient.clone())).collect();
    let calls: Vec<_> = handles.iter().map(|handle| spawn_call(handle, "m")).collect();
    let down = |handle: &PluginHandle| handle.state() == ConnectionState::TransientFailure;
    while !handles.iter().all(down) {
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed().is_zero(), "all have failed, and none has tried again");
    server.restart();

    let comes_back = |handle: &PluginHandle| {
        let mut states: StateStream = Box::pin(handle.watch_state());
        async move {
            while states.next().await == Some(ConnectionState::TransientFailure) {}
            started.elapsed()
        }
    };
    let mut buckets = std::collections::BTreeMap::<u128, usize>::new();
    for at in futures::future::join_all(handles.iter().map(comes_back)).await {
        // The clock's timers are late by up to a millisecond.
        let at = at.saturating_sub(Duration::from_millis(1));
        assert!(at <= bound, "{at:?}");
        *buckets.entry(at.as_millis() / BUCKET.as_millis()).or_default() += 1;
    }
    let mean = CLIENTS / 5;
    assert!(buckets.values().all(|&count| count <= 2 * mean), "{buckets:?}");
    assert!(buckets.len() >= 5, "{buckets:?}");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

// Promise: T2
#[apply(both)]
async fn trap_a_timeout_while_connecting_leaves_no_call_behind_to_be_sent_later(over: Over) {
    let mut server = over.absent(|mut connection| async move { connection.serve().await });
    let handle = lazy(knobs(&server).reconnect_attempts(100_000));
    let options = CallOptions::new().timeout(SOON);
    let error = call_with(&handle, "late", options).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::No));
    server.restart();
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
    assert_eq!(server.record().seen().executions_of("late"), 0, "it was said not to be sent");
}
