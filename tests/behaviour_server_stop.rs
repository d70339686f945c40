//! Row H28 of docs/reliability.md: the embedded server stops in good order, and drops
//! nothing that it has received. A call that is dropped may have run, for all that its
//! gateway can know.
#![cfg(feature = "server")]
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::calls::{LIMIT, call, eventually, in_time, lazy, socket, spawn_call};
use hookwire::PluginResult;
use hookwire::hooks::ToolPreInvoke;
use hookwire::server::{Handlers, PluginServer};
use hookwire::{ErrorKind, Sent};
use tokio::sync::Semaphore;

/// Gives payloads back, each once the gate lets it.
fn gated(gate: &Arc<Semaphore>) -> Handlers {
    let gate = Arc::clone(gate);
    Handlers::new().on::<ToolPreInvoke>(move |payload, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await?.forget();
            Ok(PluginResult::modify(payload))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h28_a_server_that_stops_answers_every_call_that_it_has_received() {
    let (directory, gate) = (tempfile::tempdir().unwrap(), Arc::new(Semaphore::new(0)));
    let path = directory.path().join("plugin.sock");
    for connections in [1, 4] {
        let builder = PluginServer::builder().plugin("Guard", gated(&gate));
        let server = builder.bind(&path).await.unwrap();
        let ahead = socket(&path).max_connections(connections).max_in_flight(16 / connections);
        let handle = lazy(ahead);
        let calls: Vec<_> = (0..16).map(|i| spawn_call(&handle, i.to_string())).collect();
        eventually("all calls are written", || handle.stats().in_flight == 16).await;

        let stopping = tokio::spawn(server.shutdown(LIMIT));
        eventually("it stops", || !path.exists()).await;
        gate.add_permits(16);
        for (i, call) in calls.into_iter().enumerate() {
            let answered = in_time("a call that was received", call).await.unwrap();
            assert_eq!(answered.unwrap(), i.to_string());
        }
        in_time("the stop", stopping).await.unwrap();
        assert_eq!(
            in_time("what comes later", call(&handle, "late")).await.unwrap_err().sent(),
            Sent::No
        );
    }
}

/// The grace bounds all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h28_what_is_not_answered_within_the_grace_is_cancelled() {
    let (directory, gate) = (tempfile::tempdir().unwrap(), Arc::new(Semaphore::new(0)));
    let path = directory.path().join("plugin.sock");
    let builder = PluginServer::builder().plugin("Guard", gated(&gate));
    let server = builder.bind(&path).await.unwrap();
    let handle = lazy(socket(&path));
    let calls: Vec<_> = (0..16).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("all calls are written", || handle.stats().in_flight == 16).await;
    in_time("the stop", server.shutdown(Duration::from_millis(20))).await;
    for call in calls {
        let error = in_time("a call", call).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    }
    assert_eq!(Arc::strong_count(&gate), 1, "the handlers are gone");
}
