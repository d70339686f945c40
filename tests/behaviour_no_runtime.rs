//! Callers on no runtime: where nobody can connect for them they get an error, and neither
//! a panic nor nothing at all (row R2 of docs/reliability.md).

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::calls::{LIMIT, at, call, config, knobs, lazy};
use common::over::{Over, apply, both};
use futures::executor::block_on;
use hookwire::{OnConnectFailure, PluginHandle, Plugins, Sent};
use tokio::runtime::Runtime;

/// Runs `work` on a thread of its own, in bounded time and without a panic.
fn orderly(caller: &'static str, work: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(catch_unwind(AssertUnwindSafe(work)).is_ok());
    });
    match receiver.recv_timeout(LIMIT) {
        Ok(orderly) => assert!(orderly, "{caller}: a panic"),
        Err(why) => panic!("{caller}: {why}"),
    }
}

#[apply(both)]
fn r2_a_start_and_a_call_without_a_runtime_fail_and_do_not_panic(over: Over) {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(async { over.honest() });
    let path = server.path();
    orderly("on no runtime", move || {
        block_on(async {
            let error = PluginHandle::connect(config(at(over, &path))).await.unwrap_err();
            assert_eq!(error.sent(), Sent::No, "{error}");
            let handle = lazy(at(over, &path));
            let error = call(&handle, "nobody").await.unwrap_err();
            assert_eq!(error.sent(), Sent::No, "{error}");
            handle.shutdown(Duration::from_millis(20)).await;
        });
    });
    assert_eq!(server.record().seen().hook_calls(), 0);
}

#[apply(both)]
fn r2_a_manager_without_a_runtime_fails_or_reports_and_does_not_panic(over: Over) {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(async { over.honest() });
    for on_failure in [OnConnectFailure::FailAll, OnConnectFailure::KeepRetrying] {
        let configs = vec![config(knobs(&server))];
        orderly("on no runtime", move || {
            let connecting = Plugins::builder().plugins(configs).on_failure(on_failure).connect();
            if let Ok((_, reports)) = block_on(connecting) {
                assert!(reports[0].outcome.is_err(), "nobody can have connected");
            }
        });
    }
}

/// A handle that has a runtime can be called from anywhere.
#[apply(both)]
fn r2_a_handle_that_has_a_runtime_is_called_without_one(over: Over) {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(async { over.honest() });
    let handle = servers.block_on(async { lazy(knobs(&server)) });
    let caller = handle.clone();
    orderly("on no runtime", move || {
        assert_eq!(block_on(call(&caller, "one")).unwrap(), "one");
    });
    orderly("on a runtime without timers and sockets", move || {
        let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(bare.block_on(call(&handle, "two")).unwrap(), "two");
    });
}
