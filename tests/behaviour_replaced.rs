//! Two servers on one path, as in a rolling restart.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::calls::{LIMIT, call, in_time, lazy, socket, spawn_call};
use fault_server::{Connection, FaultServer, Gate};
use hookwire::PluginHandle;

/// Calls until this server has one of the calls.
async fn call_until(plugin: &PluginHandle, reaches: &FaultServer) {
    let deadline = Instant::now() + LIMIT;
    while reaches.record().seen().hook_calls() == 0 {
        assert!(Instant::now() < deadline, "no call has come to the server");
        assert_eq!(call(plugin, "m").await.unwrap(), "m");
    }
}

async fn honest(mut connection: Connection) -> std::io::Result<()> {
    connection.serve().await
}

#[tokio::test]
async fn h31_a_handle_in_use_follows_its_path_to_another_server_and_never_goes_back() {
    let first = FaultServer::honest();
    let plugin = lazy(socket(first.path()).max_connections(4));
    call(&plugin, "first").await.unwrap();
    let second = first.succeeded_by(honest);
    call_until(&plugin, &second).await;
    let before = first.record().seen().hook_calls();
    for _ in 0..20 {
        let calls: Vec<_> = (0..8).map(|i| spawn_call(&plugin, i.to_string())).collect();
        for call in calls {
            in_time("a call", call).await.unwrap().unwrap();
        }
    }
    assert_eq!(first.record().seen().hook_calls(), before, "not one more");
    // So the old one can end: nobody holds it.
    first.record().wait_for(|seen| seen.ended == seen.connections()).await;
}

#[tokio::test]
async fn h31_calls_under_way_on_the_old_server_are_answered_by_it() {
    let gate = Gate::closed();
    let held = gate.clone();
    let first = FaultServer::start(move |mut connection| {
        let held = held.clone();
        async move {
            let request = connection.hook().await?;
            held.passed().await;
            connection.answer(&request).await
        }
    });
    let plugin = lazy(socket(first.path()).max_connections(2));
    let under_way = spawn_call(&plugin, "under way");
    first.record().wait_for(|seen| seen.hook_calls() == 1).await;
    let second = first.succeeded_by(honest);
    call_until(&plugin, &second).await;
    gate.open();
    assert_eq!(in_time("the call", under_way).await.unwrap().unwrap(), "under way");
    assert_eq!(first.record().seen().connections(), 1);
}

#[tokio::test]
async fn h31_a_path_that_is_gone_ends_no_connection() {
    let server = FaultServer::honest();
    let plugin = lazy(socket(server.path()));
    call(&plugin, "first").await.unwrap();
    server.remove_socket();
    let removed = Instant::now();
    // For longer than it takes to notice that it is another's.
    while removed.elapsed() < Duration::from_millis(1_200) {
        assert_eq!(call(&plugin, "m").await.unwrap(), "m");
    }
    assert_eq!(plugin.stats().reconnects, 0);
    // A directory in its place is no server either.
    server.replace_with_directory();
    assert_eq!(call(&plugin, "m").await.unwrap(), "m");
}

#[tokio::test]
async fn h31_a_link_that_leads_to_another_socket_is_followed() {
    let (first, second) = (FaultServer::honest(), FaultServer::honest());
    let dir = tempfile::tempdir().unwrap();
    let (link, next) = (dir.path().join("plugin.sock"), dir.path().join("next"));
    std::os::unix::fs::symlink(first.path(), &link).unwrap();
    let plugin = lazy(socket(&link));
    call(&plugin, "first").await.unwrap();
    std::os::unix::fs::symlink(second.path(), &next).unwrap();
    fs::rename(&next, &link).unwrap();
    call_until(&plugin, &second).await;
}
