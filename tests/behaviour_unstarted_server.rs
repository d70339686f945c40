//! Row H26 of docs/reliability.md, the embedded server's part: it works in order, and begins
//! nothing behind a reply that it could not write. What a client has given up and sent again
//! would run twice.
#![cfg(feature = "server")]
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::calls::{call_soon, eventually, in_time, lazy, socket, spawn_call};
use hookwire::hooks::ToolPreInvoke;
use hookwire::server::{Handlers, PluginServer};
use hookwire::{PluginResult, RetryPolicy, Sent};
use tokio::sync::Semaphore;

/// How often each call's hook was begun, by its marker.
type Begun = Arc<Mutex<BTreeMap<String, usize>>>;

/// Allows at once, but for the calls `first` and `stuck`, which wait for their gate.
fn counting(begun: &Begun, gates: &[Arc<Semaphore>; 2]) -> Handlers {
    let (begun, gates) = (Arc::clone(begun), gates.clone());
    Handlers::new().on::<ToolPreInvoke>(move |payload, _| {
        let (begun, [first, stuck]) = (Arc::clone(&begun), gates.clone());
        async move {
            let args = payload.args.as_ref().unwrap();
            let marker = args["marker"].as_str().unwrap().to_owned();
            *begun.lock().unwrap().entry(marker.clone()).or_default() += 1;
            match &*marker {
                "first" => first.acquire().await?.forget(),
                "stuck" => stuck.acquire().await?.forget(),
                _ => {}
            }
            Ok(PluginResult::modify(payload))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_the_embedded_server_begins_nothing_behind_a_reply_that_it_could_not_write() {
    let begun = Begun::default();
    let gates = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plugin.sock");
    let builder = PluginServer::builder().plugin("Guard", counting(&begun, &gates));
    let server = builder.bind(&path).await.unwrap();
    let overdue = socket(&path).stall_limit(Duration::from_millis(200));
    let handle = lazy(overdue.retry(RetryPolicy::Unstarted));
    let times = |marker: &str| begun.lock().unwrap().get(marker).copied().unwrap_or(0);

    // So that the server reads all others at once.
    let first = spawn_call(&handle, "first");
    eventually("the first runs", || times("first") == 1).await;
    let stuck = tokio::spawn({
        let handle = handle.clone();
        async move { call_soon(&handle, "stuck").await }
    });
    eventually("it is written", || handle.stats().in_flight == 2).await;
    let behind: Vec<_> = (0..8).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("all are written", || handle.stats().in_flight == 10).await;
    gates[0].add_permits(1);
    assert_eq!(in_time("the first", first).await.unwrap().unwrap(), "first");
    let error = in_time("the head", stuck).await.unwrap().unwrap_err();
    assert_eq!(error.sent(), Sent::Maybe, "{error}");
    for (i, call) in behind.into_iter().enumerate() {
        assert_eq!(in_time("a call behind it", call).await.unwrap().unwrap(), i.to_string());
    }
    // The server gets on with the connection that its client has given up.
    gates[1].add_permits(1);
    eventually("that connection ends", || server.stats().open_connections == 1).await;
    let twice: Vec<_> = (0..8).filter(|i| times(&i.to_string()) != 1).collect();
    assert!(twice.is_empty(), "these ran again: {twice:?}");
}
