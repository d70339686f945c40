//! Whether what is known of a plugin is the new server's once another one has taken its path
//! over: row H30 of docs/reliability.md, in paused time.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use common::calls::{call, config, eventually, socket, spawn_call};
use common::entries::{EntryServer, Hook, Told, entry};
use hookwire::{PluginConfig, PluginHandle, PluginHandleBuilder};
use serde_json::json;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn version(version: &str) -> Told {
    Told::Entry(entry(json!({"version": version})))
}

/// A plugin whose path leads to the old server in generation 1, and else to the new one. It
/// takes 100 ms to connect to the old one, and 200 ms to the new one.
fn of_two(
    old: &EntryServer,
    new: &EntryServer,
    generation: &Arc<AtomicU64>,
    local: PluginConfig,
) -> PluginHandleBuilder {
    let (old, new, leads_to) = (old.clone(), new.clone(), Arc::clone(generation));
    let generation = Arc::clone(generation);
    PluginHandle::builder(local)
        .connector(move || {
            let (server, takes) = match leads_to.load(SeqCst) {
                1 => (old.clone(), SECOND / 10),
                _ => (new.clone(), SECOND / 5),
            };
            async move {
                sleep(takes).await;
                server.accept()
            }
        })
        .connector_generation(move || generation.load(SeqCst))
}

/// It is open when the first connection to the new server is, so that one does not look like
/// the first.
#[tokio::test(start_paused = true)]
async fn h30_a_server_is_asked_though_a_late_connection_leads_to_the_one_before() {
    let (old, new) = (EntryServer::new(version("1")), EntryServer::new(version("2")));
    let generation = Arc::new(AtomicU64::new(1));
    let local = config(socket("/run/guard.sock").max_connections(4));
    let handle = of_two(&old, &new, &generation, local).connect().await.unwrap();
    old.answer_hooks(Hook::Takes(SECOND));
    let mut calls = vec![spawn_call(&handle, "on the open one")];
    eventually("it is busy", || old.hooks() == 1).await;
    calls.push(spawn_call(&handle, "opens a late one"));
    tokio::task::yield_now().await;
    generation.store(2, SeqCst);
    calls.push(spawn_call(&handle, "opens one to the new server"));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((old.accepted(), new.accepted()), (2, 1));
    call(&handle, "m").await.unwrap();
    sleep(SECOND).await;
    assert_eq!(handle.config().version(), Some("2"));
    assert!(handle.is_checked());
}

/// It had been asked before the switch, by an application that looks at its plugins.
#[tokio::test(start_paused = true)]
async fn h30_what_the_old_server_tells_last_is_not_what_is_known() {
    let (old, new) = (EntryServer::new(version("1")), EntryServer::new(version("2")));
    let generation = Arc::new(AtomicU64::new(1));
    let local = config(socket("/run/guard.sock").max_connections(2));
    let handle = of_two(&old, &new, &generation, local).connect().await.unwrap();
    old.tell(Told::Late(5 * SECOND, entry(json!({"version": "1"}))));
    let verified = tokio::spawn({
        let handle = handle.clone();
        async move { handle.verify().await }
    });
    eventually("it is asked", || old.questions() == 2).await;
    generation.store(2, SeqCst);
    sleep(SECOND).await;
    call(&handle, "m").await.unwrap();
    eventually("the new server has answered", || handle.config().version() == Some("2")).await;
    verified.await.unwrap().unwrap();
    sleep(SECOND).await;
    assert_eq!(handle.config().version(), Some("2"));
    assert!(handle.is_checked());
}
