//! Traps that other clients of this kind paid for: what is left behind. See the second
//! table of docs/reliability.md.
//!
//! A process of its own, and one test at a time: they count the process's sockets and
//! memory, and each has a runtime of its own to count the tasks of.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::calls::{
    LIMIT, SOON, call, call_of_size, call_soon, call_with, eventually, lazy, poll_times, socket,
    spawn_call_with,
};
use fault_server::FaultServer;
use hookwire::{CallOptions, ConnectionState, Overload, PluginHandle, RetryPolicy};
use peak_alloc::PeakAlloc;
use tokio::runtime::{Handle, Runtime};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a test alone in the process. The runtime has files open too, so it is made
/// when the test's turn has come.
fn alone(runtime: fn() -> Runtime, test: impl Future<Output = ()>) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    runtime().block_on(test);
}

fn threads() -> Runtime {
    Runtime::new().unwrap()
}

fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The sockets, files and pipes that this process has open.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// What a process has that it could lose.
#[derive(Debug, Clone, Copy)]
struct Held {
    bytes: usize,
    files: usize,
    tasks: usize,
}

impl Held {
    fn now() -> Self {
        Self { bytes: ALLOCATED.current_usage(), files: open_files(), tasks: tasks() }
    }

    /// Waits until no more is held than this, but for buffers that are kept for the next
    /// use: 32 bytes lost with each reconnect, or with each reply to nobody, are too much.
    async fn is_all_that_is_left(self) {
        let grew = || {
            let now = Self::now();
            let bytes = now.bytes.saturating_sub(self.bytes);
            bytes >= 32 * 1024 || now.files > self.files || now.tasks > self.tasks
        };
        let deadline = tokio::time::Instant::now() + LIMIT;
        while grew() {
            let now = Self::now();
            assert!(tokio::time::Instant::now() < deadline, "from {self:?} to {now:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn is_empty(handle: &PluginHandle) -> bool {
    let stats = handle.stats();
    (stats.in_flight, stats.queued, stats.waiting) == (0, 0, 0)
}

/// Calls that are dropped on their way, each after another number of turns.
async fn drop_calls(handle: &PluginHandle, count: usize) {
    let refuse = CallOptions::new().overload(Overload::Refuse);
    for i in 0..count {
        // 4 KiB each, so that what leaks shows.
        let _ = poll_times(call_of_size(handle, "leaves", 4096, refuse), i % 12).await;
    }
    eventually("nothing is left of them", || is_empty(handle)).await;
}

// Promise: T4
#[test]
fn trap_10_000_dropped_calls_leave_nothing_behind() {
    alone(one_thread, async {
        let server = FaultServer::honest();
        let handle = lazy(socket(server.path()).max_in_flight(64));
        drop_calls(&handle, 2_000).await;
        let before = Held::now();
        drop_calls(&handle, 10_000).await;
        before.is_all_that_is_left().await;
        assert!(handle.stats().abandoned > 1_000, "{:?}", handle.stats());
        assert_eq!(server.record().seen().connections(), 1);

        // Every one of the 64 places is free again.
        let refuse = CallOptions::new().overload(Overload::Refuse);
        let calls = (0..64).map(|i| spawn_call_with(&handle, i.to_string(), refuse));
        for (i, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap().unwrap(), i.to_string());
        }
    });
}

// Promise: T4
#[test]
fn trap_calls_dropped_while_the_server_hangs_leave_nothing_behind_either() {
    alone(one_thread, async {
        let server = FaultServer::start(|mut connection| async move {
            if connection.number == 0 { connection.stall().await } else { connection.serve().await }
        });
        let brief = socket(server.path()).max_in_flight(64).timeout(SOON).stall_limit(SOON);
        let handle = lazy(brief);
        let refuse = CallOptions::new().overload(Overload::Refuse);
        for i in 0..2_000 {
            let _ = poll_times(call_with(&handle, "leaves", refuse), i % 12).await;
        }
        eventually("nothing is left of them", || is_empty(&handle)).await;
        let calls: Vec<_> =
            (0..64).map(|i| spawn_call_with(&handle, i.to_string(), refuse)).collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
}

// Promise: T8
#[test]
fn trap_when_the_last_handle_is_dropped_the_task_and_the_socket_are_gone() {
    alone(threads, async {
        let server = FaultServer::honest();
        let (files, idle_tasks) = (open_files(), tasks());
        for connections in [1, 4] {
            let handle = lazy(socket(server.path()).max_connections(connections));
            let clones: Vec<_> = (0..10).map(|_| handle.clone()).collect();
            let markers = ["a", "b", "c", "d"];
            let calls = clones.iter().zip(markers).map(|(clone, marker)| call(clone, marker));
            futures::future::join_all(calls).await;
            assert!(tasks() > idle_tasks && open_files() > files);
            drop((handle, clones));
            eventually("the tasks are gone", || tasks() == idle_tasks).await;
            eventually("the sockets are closed", || open_files() == files).await;
        }
    });
}

// Promise: T8
#[test]
fn trap_dropped_and_shut_down_handles_of_absent_servers_leave_nothing_behind() {
    alone(threads, async {
        let server = FaultServer::absent(|mut connection| async move { connection.serve().await });
        let (files, idle_tasks) = (open_files(), tasks());
        for i in 0..200 {
            let handle = lazy(socket(server.path()).reconnect_attempts(1));
            call_soon(&handle, "m").await.unwrap_err();
            if i % 2 == 0 {
                handle.shutdown(Duration::ZERO).await;
            }
        }
        eventually("the tasks are gone", || tasks() == idle_tasks).await;
        eventually("nothing is open", || open_files() == files).await;
    });
}

// Promise: T8
#[test]
fn trap_1_000_reconnects_leave_nothing_behind() {
    alone(threads, async {
        let server = FaultServer::absent(|mut connection| async move {
            let call = connection.hook().await?;
            // And closes.
            connection.answer(&call).await
        });
        let mut server = server.without_history();
        server.restart();
        let handle = lazy(socket(server.path()));
        call(&handle, "first").await.unwrap();
        eventually("it is closed", || handle.state() == ConnectionState::Idle).await;
        let before = Held::now();
        let resend = CallOptions::new().retry(RetryPolicy::Resend);
        for i in 0..1_000 {
            // A call may meet the end of the connection before; that is H4's matter.
            assert_eq!(call_with(&handle, &i.to_string(), resend).await.unwrap(), i.to_string());
        }
        assert!(server.record().seen().connections() >= 1_000);
        before.is_all_that_is_left().await;
        assert!(is_empty(&handle));
    });
}

/// Time is moved by hand: what wakes the thread is counted, not how long it took.
// Promise: T7
#[test]
fn trap_an_idle_connection_wakes_nobody() {
    alone(one_thread, async {
        let server = FaultServer::honest();
        let long = Duration::from_secs(240);
        let handle = lazy(socket(server.path()).max_connections(4).idle_timeout(long));
        let calls = ["a", "b", "c", "d"].map(|marker| call(&handle, marker));
        futures::future::join_all(calls).await;

        tokio::time::pause();
        // Past the deadlines of those calls, and past giving memory back.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(handle.state(), ConnectionState::Ready);
        let parks = || Handle::current().metrics().worker_park_count(0);
        let before = parks();
        tokio::time::sleep(Duration::from_secs(120)).await;
        let woken = parks() - before;
        // The sleep itself, and the steps of the clock's timer wheel.
        assert!(woken <= 10, "woken {woken} times in two idle minutes");
        assert_eq!(handle.state(), ConnectionState::Ready);
    });
}

// Promise: T8
#[test]
fn trap_a_handle_that_was_never_called_costs_no_task_and_no_socket() {
    alone(one_thread, async {
        let server = FaultServer::honest();
        let (files, idle_tasks) = (open_files(), tasks());
        let handles: Vec<_> = (0..1_000).map(|_| lazy(socket(server.path()))).collect();
        assert_eq!((open_files(), tasks()), (files, idle_tasks));
        drop(handles);
    });
}
