//! Row H27 of docs/reliability.md: a handle outlives the runtime on which it was made.
//! Engines make their plugins on a runtime that they throw away, and call from others.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::future::pending;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::calls::{LIMIT, call, config, eventually, in_time, knobs, lazy, socket, spawn_call};
use common::log::Log;
use common::over::{Over, apply, both};
use futures::StreamExt;
use futures::executor::block_on;
use hookwire::{BreakerState, ConnectionState, PluginHandle, Sent};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::LevelFilter;

/// One thread for itself, as engines have it that start plugins and throw it away.
fn small() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn large() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What `work` comes to on a thread of its own, which must not take for ever.
fn in_time_on_a_thread<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(LIMIT).unwrap_or_else(|why| panic!("{what}: {why}"))
}

#[apply(both)]
fn h27_a_handle_outlives_the_runtime_on_which_it_was_connected(over: Over) {
    for made_on in [small(), large()] {
        let callers = large();
        let server = callers.block_on(async { over.honest() });
        let config = config(knobs(&server));
        let handle = made_on.block_on(in_time("connect", PluginHandle::connect(config))).unwrap();
        drop(made_on);
        for marker in ["next", "and after that"] {
            let answer = callers.block_on(in_time("a call", call(&handle, marker)));
            assert_eq!(answer.unwrap(), marker);
        }
        assert!(handle.state().is_ready());
        assert_eq!(server.record().seen().hook_calls(), 2);
    }
}

#[apply(both)]
fn h27_the_plugins_tasks_move_as_often_as_their_runtime_ends(over: Over) {
    let servers = large();
    let server = servers.block_on(async { over.honest() });
    let handle = small().block_on(async { lazy(knobs(&server).max_connections(2)) });
    for round in 0..20 {
        let runtime = if round % 2 == 0 { small() } else { large() };
        let calls = runtime.block_on(async {
            let calls: Vec<_> = (0..8).map(|i| spawn_call(&handle, i.to_string())).collect();
            in_time("the calls", futures::future::join_all(calls)).await
        });
        for (i, call) in calls.into_iter().enumerate() {
            assert_eq!(call.unwrap().unwrap(), i.to_string());
        }
    }
    assert_eq!(server.record().seen().hook_calls(), 20 * 8);
}

/// What is under way when the runtime ends is answered, by an error; what comes next is
/// not the worse for it.
#[apply(both)]
fn h27_calls_under_way_fail_with_their_runtime_and_the_next_ones_do_not(over: Over) {
    let (made_on, callers) = (large(), large());
    let server = callers.block_on(async {
        over.start(|mut connection| async move {
            loop {
                let call = connection.hook().await?;
                if call.marker() != "lost" {
                    connection.answer(&call).await?;
                }
            }
        })
    });
    let handle = made_on.block_on(async { lazy(knobs(&server)) });
    // The first call is made where the tasks are to be.
    assert_eq!(made_on.block_on(call(&handle, "first")).unwrap(), "first");
    callers.block_on(async {
        let lost = spawn_call(&handle, "lost");
        server.record().wait_for(|seen| seen.executions_of("lost") == 1).await;
        made_on.shutdown_background();
        let error = in_time("a call under way", lost).await.unwrap().unwrap_err();
        assert_eq!(error.sent(), Sent::Maybe, "{error}");
        assert_eq!(in_time("the next", call(&handle, "next")).await.unwrap(), "next");
    });
    assert_eq!(server.record().seen().executions_of("lost"), 1);
}

/// Nothing can drive the plugin: that is told, and nobody waits for it.
#[apply(both)]
fn h27_without_any_runtime_the_plugin_is_shut_down_and_a_call_fails_at_once(over: Over) {
    let (made_on, servers) = (small(), large());
    let server = servers.block_on(async { over.honest() });
    let handle = made_on.block_on(async { lazy(knobs(&server)) });
    let (states, breakers) = (handle.watch_state(), handle.watch_breaker());
    assert_eq!(made_on.block_on(call(&handle, "first")).unwrap(), "first");
    drop(made_on);
    assert_eq!(handle.state(), ConnectionState::Shutdown);
    in_time_on_a_thread("the watchers end", move || {
        block_on(async { (states.count().await, breakers.count().await) })
    });
    let caller = handle.clone();
    let outcome = in_time_on_a_thread("a call ends", move || block_on(call(&caller, "nobody")));
    assert_eq!(outcome.unwrap_err().sent(), Sent::No);

    // It is back with the next runtime.
    let answer = servers.block_on(in_time("a call", call(&handle, "back")));
    assert_eq!(answer.unwrap(), "back");
    assert_eq!(handle.state(), ConnectionState::Ready);
    assert_eq!(server.record().seen().hook_calls(), 2);
}

/// The log tells of plugins; that a runtime has ended is no news of one.
#[test]
fn h27_a_plugin_that_is_down_is_not_told_to_be_back_when_a_runtime_ends() {
    let (log, _logging) = Log::start(LevelFilter::INFO);
    let made_on = small();
    let nowhere = tempfile::tempdir().unwrap();
    let absent = socket(nowhere.path().join("plugin.sock")).reconnect_attempts(1);
    let handle = made_on.block_on(async {
        let handle = lazy(absent);
        in_time("a call", call(&handle, "nobody")).await.unwrap_err();
        eventually("the breaker opens", || handle.breaker() == BreakerState::Open).await;
        handle
    });
    drop(made_on);
    drop(handle);
    let told = log.text();
    assert!(told.contains("breaker opened"), "{told}");
    assert!(!told.contains("plugin is back"), "{told}");
    assert!(!told.contains("breaker closed"), "{told}");
}

/// Shuts its plugin down, and waits for it, when it is dropped.
struct Owner(PluginHandle, mpsc::Sender<()>);

impl Drop for Owner {
    fn drop(&mut self) {
        block_on(self.0.shutdown(Duration::from_millis(100)));
        let _ = self.1.send(());
    }
}

/// A runtime that is dropped drives no timer any more, nor the tasks that are left: the
/// plugin's own may be dropped before the one that shuts it down, or after it.
#[apply(both)]
fn r7_a_shutdown_that_is_waited_for_inside_a_runtime_that_is_dropped_ends_by_its_deadline(
    over: Over,
) {
    let servers = large();
    let server = servers.block_on(async {
        over.start(|mut connection| async move {
            loop {
                connection.hook().await?;
            }
        })
    });
    for (runtime, owner_first) in
        [(small(), false), (small(), true), (large(), false), (large(), true)]
    {
        let (told, ended) = mpsc::channel();
        let marker = format!("{owner_first}-{:?}", runtime.handle().runtime_flavor());
        runtime.block_on(async {
            let (hand_over, owned) = tokio::sync::oneshot::channel();
            let (begin, begun) = tokio::sync::oneshot::channel();
            let own = async move {
                let _owner: Owner = owned.await.unwrap();
                begin.send(()).unwrap();
                pending::<()>().await;
            };
            let mut own = Some(own);
            if owner_first {
                own.take().map(tokio::spawn);
            }
            let handle = lazy(knobs(&server));
            // Something to wait for.
            drop(spawn_call(&handle, &marker));
            server.record().wait_for(|seen| seen.executions_of(&marker) == 1).await;
            assert!(hand_over.send(Owner(handle, told)).is_ok());
            own.take().map(tokio::spawn);
            in_time("it is owned", begun).await.unwrap();
        });
        in_time_on_a_thread("the runtime can be dropped", move || drop(runtime));
        ended.recv_timeout(LIMIT).expect("the shutdown ends");
    }
}
