//! Connections that break, and servers that are down, busy or idle: rows H4, H7, H8,
//! H15, H16, H18 and H19 of docs/reliability.md.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::calls::{
    LIMIT, SOON, call, call_of_size, call_soon, call_with, eventually, in_time, knobs, lazy,
    socket, spawn_call,
};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Gate, Reply, bind_to_permissions};
use hookwire::{
    CallOptions, ConnectionState, ErrorKind, Overload, PluginError, PluginHandle, RetryPolicy,
    Sent, Stage,
};

fn absent(over: Over) -> FaultServer {
    over.absent(|mut connection| async move { connection.serve().await })
}

fn is_down(handle: &PluginHandle) -> bool {
    handle.state() == ConnectionState::TransientFailure
}

/// Waits until the end of the connection is noticed that so many others were before. Over gRPC
/// the next one is made at once.
async fn end_is_noticed(over: Over, handle: &PluginHandle, before: usize) {
    let connects = || handle.stats().connections.iter().map(|one| one.connects).sum::<u64>();
    let is_noticed = || match over {
        Over::Socket => handle.state() == ConnectionState::Idle,
        _ => connects() as usize > before + 1,
    };
    eventually("the end is noticed", is_noticed).await;
}

// --- H4 ---

/// Runs the hook and dies before the reply, this many times.
fn dies_after_running(over: Over, times: usize) -> FaultServer {
    over.start(move |mut connection| async move {
        if connection.number >= times {
            return connection.serve().await;
        }
        connection.hook().await.map(drop)
    })
}

#[apply(both)]
async fn h4_a_call_that_was_sent_is_not_sent_again_when_the_server_dies(over: Over) {
    let server = dies_after_running(over, 1);
    let handle = lazy(knobs(&server));
    let error = call(&handle, "once").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
    assert!(error.to_string().contains("the hook may have run"), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
    assert_eq!(server.record().seen().executions_of("once"), 1, "the hook ran twice");
}

#[apply(both)]
async fn h4_a_plugin_configured_to_resend_is_sent_the_call_again(over: Over) {
    let server = dies_after_running(over, 2);
    let handle = lazy(knobs(&server).retry(RetryPolicy::Resend));
    assert_eq!(call(&handle, "again").await.unwrap(), "again");
    assert_eq!(server.record().seen().executions_of("again"), 3);
    assert_eq!(handle.stats().retries, 2);
}

#[apply(both)]
async fn h4_a_single_call_can_choose_to_be_sent_again_or_not(over: Over) {
    let server = dies_after_running(over, 1);
    let handle = lazy(knobs(&server));
    let resend = CallOptions::new().retry(RetryPolicy::Resend);
    assert_eq!(call_with(&handle, "again", resend).await.unwrap(), "again");

    let server = dies_after_running(over, 1);
    let handle = lazy(knobs(&server).retry(RetryPolicy::Resend));
    let unsent = CallOptions::new().retry(RetryPolicy::Unsent);
    assert_eq!(call_with(&handle, "once", unsent).await.unwrap_err().sent(), Sent::Maybe);
    assert_eq!(server.record().seen().executions_of("once"), 1);
}

#[apply(both)]
async fn h4_resending_ends_after_the_configured_attempts(over: Over) {
    let server = dies_after_running(over, usize::MAX);
    let resending = knobs(&server).retry(RetryPolicy::Resend).reconnect_attempts(3);
    let handle = lazy(resending);
    let error = in_time("a hopeless call", call(&handle, "m")).await.unwrap_err();
    assert_eq!(error.sent(), Sent::Maybe, "{error}");
    let executions = server.record().seen().executions_of("m");
    assert!((1..=4).contains(&executions), "the first and three more, not {executions}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_request_of_which_a_byte_was_read_is_never_sent_again() {
    // Connections that were sent a request: a lost one is replaced before the next call.
    let cut = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start({
        let cut = Arc::clone(&cut);
        move |mut connection| {
            let cut = Arc::clone(&cut);
            async move {
                connection.bytes(connection.number + 1).await?;
                cut.fetch_add(1, SeqCst);
                Ok(())
            }
        }
    });
    let wait = Duration::from_millis(1);
    let quick = socket(server.path()).reconnect_delay(wait).max_backoff(wait);
    let handle = lazy(quick.reconnect_attempts(10_000));
    for bytes in 1..=100 {
        let calling = call_of_size(&handle, "m", 200, CallOptions::new());
        let error = in_time("a cut request", calling).await.unwrap_err();
        assert_eq!(error.sent(), Sent::Maybe, "{error}");
        assert_eq!(cut.load(SeqCst), bytes, "sent again after {bytes} bytes");
    }
}

/// A call stuck in the middle of its write, and one behind it, when the server dies.
async fn dies_in_the_middle_of(size: usize) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = FaultServer::start(move |mut connection| {
        let gate = closed.clone();
        async move {
            if connection.number > 0 {
                return connection.serve().await;
            }
            gate.passed().await;
            Ok(())
        }
    });
    let handle = lazy(socket(server.path()));
    let big = tokio::spawn({
        let handle = handle.clone();
        async move { call_of_size(&handle, "big", size, CallOptions::new()).await }
    });
    eventually("a part of it is written", || handle.stats().bytes_sent > 0).await;
    let behind = spawn_call(&handle, "behind");
    let waiting = || handle.stats().in_flight + handle.stats().queued;
    eventually("the other is behind it", || waiting() == 2).await;
    gate.open();
    assert_eq!(big.await.unwrap().unwrap_err().sent(), Sent::Maybe);
    assert_eq!(behind.await.unwrap().unwrap(), "behind", "none of its bytes had left");
    assert_eq!(server.record().seen().executions_of("behind"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_call_of_which_nothing_was_written_waits_for_the_next_connection() {
    // More than the kernel takes, and little enough to queue more behind it.
    dies_in_the_middle_of(240 * 1024).await;
    dies_in_the_middle_of(8 << 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_half_closed_connection_is_replaced_and_its_call_not_repeated() {
    let server = FaultServer::start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        connection.hook().await?;
        connection.half_close().await?;
        connection.client_closed().await
    });
    let handle = lazy(socket(server.path()));
    let error = call(&handle, "once").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
    server.record().wait_for(|seen| seen.ended == 1).await;
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
    assert_eq!(server.record().seen().executions_of("once"), 1);
}

#[apply(both)]
async fn h4_a_reply_that_came_before_the_end_still_counts(over: Over) {
    let server = over.start(|mut connection| async move {
        let call = connection.hook().await?;
        // And closes.
        connection.reply(Reply::to(&call)).await
    });
    let handle = lazy(knobs(&server));
    for i in 0..100 {
        assert_eq!(call(&handle, &i.to_string()).await.unwrap(), i.to_string());
        // A call that meets the end on its way may have run: that is another story.
        end_is_noticed(over, &handle, i).await;
    }
    assert_eq!(server.record().seen().hook_calls(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_restarts_under_load_run_no_hook_twice_and_mix_up_no_replies() {
    restarts_under_load(Over::Socket).await;
}

#[cfg(feature = "grpc")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_restarts_under_load_over_grpc_run_no_hook_twice_and_mix_up_no_replies() {
    restarts_under_load(Over::Grpc).await;
}

async fn restarts_under_load(over: Over) {
    for connections in [1, 4] {
        let mut server = over.honest();
        let busy = knobs(&server).max_connections(connections);
        let handle = lazy(busy.reconnect_attempts(100_000));
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    let (mut own, mut lost) = (0, 0);
                    for i in 0.. {
                        let marker = format!("{caller}-{i}");
                        match call(&handle, &marker).await {
                            Ok(back) => {
                                assert_eq!(back, marker);
                                own += 1;
                            }
                            Err(error) if error.reason() == "shutdown" => break,
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
                                assert_ne!(error.sent(), Sent::No, "{error}");
                                lost += 1;
                            }
                        }
                    }
                    (own, lost)
                })
            })
            .collect();
        for _ in 0..20 {
            let served = server.record().seen().requests;
            server.record().wait_for(|seen| seen.requests >= served + 20).await;
            server.kill().await;
            server.restart();
        }
        handle.shutdown(LIMIT).await;
        let (mut own, mut lost) = (0, 0);
        for caller in callers {
            let (ours, theirs) = in_time("a caller", caller).await.unwrap();
            own += ours;
            lost += theirs;
        }
        assert!(own >= 300, "{own} answered, {lost} lost");
        let seen = server.record().seen();
        let twice = seen.executions.iter().find(|(_, times)| **times > 1);
        assert_eq!(twice, None, "ran twice");
        assert!(seen.hook_calls() >= own && seen.hook_calls() <= own + lost);
    }
}

// --- H7 ---

#[apply(both)]
async fn h7_all_callers_of_a_dead_server_fail_at_the_same_time(over: Over) {
    let server = absent(over);
    let delay = Duration::from_millis(100);
    for connections in [1, 8] {
        let slow = knobs(&server).reconnect_delay(delay).max_backoff(delay);
        let handle = lazy(slow.max_connections(connections).reconnect_attempts(3));
        let calls: Vec<_> = (0..5)
            .map(|i| {
                let calling = spawn_call(&handle, i.to_string());
                tokio::spawn(async move { (calling.await.unwrap(), Instant::now()) })
            })
            .collect();
        let mut ended = Vec::new();
        for call in calls {
            let (outcome, at) = call.await.unwrap();
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
            ended.push(at);
        }
        let first = *ended.iter().min().unwrap();
        let last = *ended.iter().max().unwrap();
        // One after the other, they would be a delay apart from each other.
        assert!(last - first < delay, "apart by {:?}", last - first);
    }
}

#[apply(both)]
async fn h7_while_the_plugin_is_down_calls_fail_at_once_with_the_reason(over: Over) {
    let server = absent(over);
    let delay = Duration::from_secs(3600);
    let slow = knobs(&server).reconnect_delay(delay).max_backoff(delay);
    let handle = lazy(slow.reconnect_attempts(1));
    call(&handle, "first").await.unwrap_err();
    for i in 0..100 {
        // None of them waits for the attempt in an hour.
        let error = in_time("failing fast", call(&handle, &i.to_string())).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No));
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}

// --- H8 ---

#[apply(both)]
async fn h8_a_plugin_that_is_down_is_tried_in_the_background_and_found_again(over: Over) {
    let mut server = absent(over);
    let handle = lazy(knobs(&server).reconnect_attempts(1));
    let failures = |error: &PluginError| {
        assert_eq!(error.reason(), "unavailable", "{error}");
        error.attempts().unwrap()
    };
    // By far more than could fit the time if the wait had no cap.
    while failures(&call(&handle, "m").await.unwrap_err()) < 30 {
        tokio::task::yield_now().await;
    }
    server.restart();
    // No call is needed for it.
    eventually("it is back", || handle.state() == ConnectionState::Ready).await;
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
}

#[apply(both)]
async fn h8_whatever_takes_the_sockets_place_the_plugin_is_found_again(over: Over) {
    let mut server = over.honest();
    let handle = lazy(knobs(&server).reconnect_attempts(1));
    let faults: [fn(&FaultServer); 3] = [
        FaultServer::remove_socket,
        FaultServer::replace_with_file,
        FaultServer::replace_with_directory,
    ];
    for (i, fault) in faults.into_iter().enumerate() {
        assert_eq!(call(&handle, "before").await.unwrap(), "before");
        server.kill().await;
        fault(&server);
        eventually("the end is noticed", || handle.state() != ConnectionState::Ready).await;
        let error = in_time("a call", call(&handle, &i.to_string())).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
        server.restart();
        eventually("it is back", || handle.state() == ConnectionState::Ready).await;
    }
    assert_eq!(call(&handle, "after").await.unwrap(), "after");
}

/// All in one thread, because it is the thread that is bound; in one of its own, because
/// the test's own may run other tests afterwards.
#[apply(both)]
fn h8_a_socket_without_permission_is_told_and_found_again_once_there_is_one(over: Over) {
    let bound = std::thread::spawn(move || {
        bind_to_permissions();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(a_socket_without_permission_is_told_and_found_again(over));
    });
    bound.join().unwrap();
}

async fn a_socket_without_permission_is_told_and_found_again(over: Over) {
    let mut server = absent(over);
    assert!(server.restart_forbidden(), "this user may connect to a socket of mode 000");
    let handle = lazy(knobs(&server).reconnect_attempts(1));
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
    assert!(error.to_string().contains("ermission denied"), "{error}");
    server.restart();
    eventually("it is back", || handle.state() == ConnectionState::Ready).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_failures_are_forgotten_after_a_good_reply_even_if_the_connection_idled_out() {
    let mut server = absent(Over::Socket);
    // Long waits, so that the server is back before the attempts are used up.
    let (base, cap) = (Duration::from_millis(200), Duration::from_secs(2));
    let patient = socket(server.path()).reconnect_delay(base).max_backoff(cap);
    let handle = lazy(patient.reconnect_attempts(6).idle_timeout(SOON));
    for round in 0..6 {
        let waiting = spawn_call(&handle, "waits");
        eventually("an attempt failed", || is_down(&handle)).await;
        server.restart();
        // If failures added up over the rounds, the sixth would be one too many.
        assert_eq!(waiting.await.unwrap().unwrap(), "waits", "round {round}");
        eventually("it idled out", || handle.state() == ConnectionState::Idle).await;
        server.kill().await;
    }
}

// --- H15 ---

#[apply(both)]
async fn h15_an_idle_connection_that_the_server_closes_costs_no_call_an_error(over: Over) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = over.start(move |mut connection| {
        let gate = closed.clone();
        async move {
            let call = connection.hook().await?;
            connection.answer(&call).await?;
            gate.passed().await;
            Ok(())
        }
    });
    let handle = lazy(knobs(&server));
    for i in 0..20 {
        assert_eq!(call(&handle, &i.to_string()).await.unwrap(), i.to_string());
        gate.admit(1);
        end_is_noticed(over, &handle, i).await;
        if over == Over::Socket {
            let connections = server.record().seen().connections();
            assert_eq!(connections, i + 1, "nobody needs a connection now");
        }
    }
    assert_eq!((handle.stats().ok, handle.stats().other_failures), (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h15_an_unused_connection_is_closed_before_the_server_does_it() {
    let server = FaultServer::honest();
    let handle = lazy(socket(server.path()).idle_timeout(SOON));
    assert_eq!(call(&handle, "m").await.unwrap(), "m");
    server.record().wait_for(|seen| seen.ended == 1).await;
    assert_eq!(call(&handle, "n").await.unwrap(), "n");
}

// --- H16, H18 ---

#[apply(both)]
async fn h16_calls_that_wait_for_a_place_are_bounded(over: Over) {
    let server = over.deaf();
    let handle = lazy(knobs(&server).max_in_flight(2).queue_capacity(3));
    let waiting: Vec<_> = (0..5).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("all places are taken", || handle.stats().waiting == 3).await;
    let error = in_time("one too many", call(&handle, "m")).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Overloaded, Sent::No), "{error}");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[apply(both)]
async fn h16_a_call_can_refuse_to_wait_for_a_place(over: Over) {
    let server = over.deaf();
    let handle = lazy(knobs(&server).max_in_flight(1));
    let holder = spawn_call(&handle, "holder");
    eventually("the place is taken", || handle.stats().in_flight == 1).await;
    let refuse = CallOptions::new().overload(Overload::Refuse);
    let error = in_time("refusing", call_with(&handle, "m", refuse)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
    holder.abort();
}

#[apply(both)]
async fn h16_a_server_that_never_answers_holds_nobody_beyond_the_deadline(over: Over) {
    let server = over.deaf();
    let several = knobs(&server).max_connections(2).max_in_flight(4).stall_limit(SOON);
    let handle = lazy(several.timeout(SOON));
    for _ in 0..3 {
        let calls: Vec<_> = (0..40).map(|i| spawn_call(&handle, i.to_string())).collect();
        for call in calls {
            let error = in_time("a call", call).await.unwrap().unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Disconnected)
                    || error.kind() == ErrorKind::Unavailable,
                "{error}"
            );
        }
    }
    eventually("nothing is left", || {
        let stats = handle.stats();
        (stats.in_flight, stats.queued, stats.waiting) == (0, 0, 0)
    })
    .await;
}

#[apply(both)]
async fn h18_a_full_backlog_is_waited_out_within_the_deadline(over: Over) {
    let mut server = absent(over);
    let backlog = server.fill_backlog().await;
    // It would fail at once if a busy server counted as one that is down.
    let handle = lazy(knobs(&server).reconnect_attempts(1));
    let calls: Vec<_> = (0..5).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("it is being tried", || is_down(&handle)).await;
    let error = call_soon(&handle, "impatient").await.unwrap_err();
    assert_eq!((error.stage(), error.sent()), (Some(Stage::Queued), Sent::No), "{error}");
    assert!(error.to_string().contains("its backlog of connections is full"), "{error}");
    backlog.drain(&mut server).await;
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), i.to_string());
    }
}

// --- H19 ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h19_a_hook_runs_on_after_its_caller_left_and_its_reply_is_thrown_away() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = FaultServer::start(move |mut connection| {
        let gate = closed.clone();
        async move {
            let call = connection.hook().await?;
            gate.passed().await;
            connection.answer(&call).await?;
            connection.serve().await
        }
    });
    let handle = lazy(socket(server.path()));
    let leaves = spawn_call(&handle, "leaves");
    server.record().wait_for(|seen| seen.executions_of("leaves") == 1).await;
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    gate.open();
    let ended = || (handle.stats().abandoned, handle.stats().in_flight) == (1, 0);
    eventually("the reply was thrown away", ended).await;
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
}
