//! What only gRPC can do wrong: streams that are reset or end with a status, GOAWAY, answers in
//! another order, frames cut in two, and sides that read no more.

#![cfg(feature = "grpc")]
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::io;
use std::time::Duration;

use common::calls::{
    SOON, call, call_of_size, call_soon, eventually, in_time, knobs, lazy, spawn_call,
};
use fault_server::{Connection, FaultServer, Gate, Health, Over, Reply};
use hookwire::{CallOptions, ConnectionState, ErrorKind, PluginError, Sent};

/// Plays `script` with the first connection; the others are served well.
fn first<F>(script: impl Fn(Connection) -> F + Send + Sync + 'static) -> FaultServer
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let script = std::sync::Arc::new(script);
    Over::Grpc.start(move |mut connection| {
        let script = std::sync::Arc::clone(&script);
        async move {
            if connection.number > 0 {
                return connection.serve().await;
            }
            script(connection).await
        }
    })
}

/// How a call ends whose reply `script` spoils, and that the next one is well again.
async fn spoiled<F>(script: impl Fn(Connection) -> F + Send + Sync + 'static) -> PluginError
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let server = first(script);
    let handle = lazy(knobs(&server));
    let error = in_time("a spoiled reply", call(&handle, "spoiled")).await.unwrap_err();
    assert_eq!(in_time("the next call", call(&handle, "next")).await.unwrap(), "next");
    assert_eq!(server.record().seen().executions_of("spoiled"), 1, "it was sent again: {error}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_answers_in_any_order_reach_the_calls_that_they_are_of() {
    let server = Over::Grpc.start(|mut connection| async move {
        let mut calls = Vec::new();
        for _ in 0..8 {
            calls.push(connection.hook().await?);
        }
        while let Some(call) = calls.pop() {
            connection.grpc().bring_forward(calls.len());
            connection.answer(&call).await?;
        }
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    let calls: Vec<_> = (0..8).map(|i| spawn_call(&handle, i.to_string())).collect();
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(in_time("a call", call).await.unwrap().unwrap(), i.to_string());
    }
    assert_eq!(server.record().seen().connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_a_stream_that_is_reset_may_have_run_whatever_the_reason() {
    // NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM. Proxies
    // refuse streams whose requests they have passed on.
    for code in [0, 1, 2, 7, 8, 11] {
        let error = spoiled(move |mut connection| async move {
            connection.hook().await?;
            connection.grpc().reset(code).await?;
            connection.serve().await
        })
        .await;
        assert_eq!(
            (error.kind(), error.sent()),
            (ErrorKind::Disconnected, Sent::Maybe),
            "{code}: {error}"
        );
    }
}

/// A server that had a part of its reply ready has begun the call, whatever it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_a_stream_that_is_refused_within_its_reply_may_have_run() {
    let error = spoiled(|mut connection| async move {
        connection.hook().await?;
        connection.grpc().data(&[0, 0]).await?;
        connection.grpc().reset(7).await?;
        connection.serve().await
    })
    .await;
    assert_eq!(error.sent(), Sent::Maybe, "{error}");
}

/// Two calls, of which the server says that it came to the first alone.
fn passes_one_over() -> FaultServer {
    first(|mut connection| async move {
        let one = connection.hook().await?;
        connection.hook().await?;
        connection.grpc().go_away_behind(0, 0).await?;
        connection.answer(&one).await?;
        connection.client_closed().await
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_what_a_stopping_server_has_passed_over_is_sent_again_by_itself_and_nothing_else_is() {
    let server = passes_one_over();
    let handle = lazy(knobs(&server));
    let one = spawn_call(&handle, "one");
    server.record().wait_for(|seen| seen.executions_of("one") == 1).await;
    let other = in_time("the other", call(&handle, "other")).await;
    assert_eq!(other.unwrap(), "other");
    assert_eq!(in_time("the one", one).await.unwrap().unwrap(), "one");
    let seen = server.record().seen();
    // It counts what it reads, run or not.
    assert_eq!((seen.executions_of("one"), seen.executions_of("other")), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h15_a_server_that_stops_in_good_order_costs_no_call_an_error() {
    let server = Over::Grpc.start(|mut connection| async move {
        for _ in 0..3 {
            let call = connection.hook().await?;
            connection.answer(&call).await?;
        }
        let last = connection.hook().await?;
        connection.grpc().go_away().await?;
        connection.answer(&last).await?;
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    for i in 0..40 {
        assert_eq!(in_time("a call", call(&handle, &i.to_string())).await.unwrap(), i.to_string());
    }
    let seen = server.record().seen();
    assert_eq!(seen.executions.values().max(), Some(&1), "ran twice");
    assert!(seen.connections() >= 10, "{}", seen.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_a_status_is_never_an_allow_whatever_reply_came_before_it() {
    for code in 1..=17 {
        let alone = spoiled(move |mut connection| async move {
            connection.hook().await?;
            connection.grpc().status(code, "as it likes").await?;
            connection.serve().await
        })
        .await;
        let behind = spoiled(move |mut connection| async move {
            let call = connection.hook().await?;
            connection.grpc().data(&[&[0], &*Reply::to(&call).frame()].concat()).await?;
            connection.grpc().status(code, "as it likes").await?;
            connection.serve().await
        })
        .await;
        for error in [alone, behind] {
            assert_eq!(error.sent(), Sent::Maybe, "{error}");
            assert_ne!(error.kind(), ErrorKind::Plugin, "{error}");
            assert!(error.to_string().contains("as it likes") || error.is_timeout(), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h6_what_is_no_reply_of_grpc_fails_its_call() {
    let page = spoiled(|mut connection| async move {
        connection.hook().await?;
        connection.grpc().http(200, "text/html", "<p>hello").await?;
        connection.serve().await
    });
    let unended = spoiled(|mut connection| async move {
        let call = connection.hook().await?;
        connection.grpc().data(&[&[0], &*Reply::to(&call).frame()].concat()).await?;
        connection.grpc().end().await?;
        connection.serve().await
    });
    let twice = spoiled(|mut connection| async move {
        let call = connection.hook().await?;
        let message = [&[0], &*Reply::to(&call).frame()].concat();
        connection.grpc().data(&[message.clone(), message].concat()).await?;
        connection.grpc().status(0, "").await?;
        connection.serve().await
    });
    let compressed = spoiled(|mut connection| async move {
        let call = connection.hook().await?;
        connection.grpc().data(&[&[1], &*Reply::to(&call).frame()].concat()).await?;
        connection.grpc().status(0, "").await?;
        connection.serve().await
    });
    for error in [page.await, unended.await, twice.await, compressed.await] {
        assert_eq!((error.reason(), error.sent()), ("framing", Sent::Maybe), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_frames_that_are_cut_anywhere_are_never_taken_for_a_reply() {
    for cut in 0..200 {
        let server = first(move |mut connection| async move {
            let call = connection.hook().await?;
            connection.grpc().write_at_most(cut);
            connection.answer(&call).await
        });
        let handle = lazy(knobs(&server));
        match in_time("a cut reply", call(&handle, "cut")).await {
            // All but its last frame, without which there is no reply, is longer.
            Ok(_) => assert!(cut > 100, "{cut} bytes are no reply"),
            Err(error) => {
                assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));
            }
        }
        assert_eq!(server.record().seen().executions_of("cut"), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_what_is_no_http_2_closes_the_connection() {
    let error = spoiled(|mut connection| async move {
        connection.hook().await?;
        connection.grpc().bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        connection.client_closed().await
    })
    .await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
}

// Promise: T1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_a_server_that_reads_no_more_is_heard_and_holds_nobody_beyond_the_deadline() {
    let (gate, closed) = (Gate::closed(), Gate::closed());
    let server = first({
        let (gate, closed) = (gate.clone(), closed.clone());
        move |mut connection| {
            let (gate, closed) = (gate.clone(), closed.clone());
            async move {
                let call = connection.hook().await?;
                connection.grpc().read_at_most(0);
                gate.passed().await;
                connection.answer(&call).await?;
                closed.passed().await;
                Ok(())
            }
        }
    });
    let handle = lazy(knobs(&server));
    let waits = spawn_call(&handle, "waits");
    server.record().wait_for(|seen| seen.executions_of("waits") == 1).await;
    let options = CallOptions::new().timeout(SOON * 4);
    let stuck = tokio::spawn({
        let handle = handle.clone();
        async move { call_of_size(&handle, "stuck", 4 << 20, options).await }
    });
    eventually("it is on its way", || handle.stats().in_flight == 2).await;
    gate.open();
    assert_eq!(in_time("a reply", waits).await.unwrap().unwrap(), "waits");
    let error = in_time("a write that is stuck", stuck).await.unwrap().unwrap_err();
    assert_eq!((error.is_timeout(), error.sent()), (true, Sent::Maybe), "{error}");
    closed.open();
}

/// A call that is over takes its request back, and the server hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_the_server_hears_of_a_deadline() {
    let (sender, mut codes) = tokio::sync::mpsc::unbounded_channel();
    let server = Over::Grpc.start(move |mut connection| {
        let sender = sender.clone();
        async move {
            connection.hook().await?;
            let _ = sender.send(connection.grpc().client_reset().await?);
            connection.serve().await
        }
    });
    let handle = lazy(knobs(&server));
    assert!(call_soon(&handle, "late").await.unwrap_err().is_timeout());
    const CANCEL: u32 = 8;
    assert_eq!(in_time("the reset", codes.recv()).await, Some(CANCEL));
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
    assert_eq!(server.record().seen().connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_a_server_that_answers_no_check_any_more_is_replaced_before_a_call_is_made() {
    let server = Over::Grpc.honest();
    let handle = lazy(knobs(&server).keep_alive(Some(SOON)).connect_timeout(SOON * 4));
    assert_eq!(call(&handle, "first").await.unwrap(), "first");
    server.set_health(Health::Silent);
    server.record().wait_for(|seen| seen.ended >= 1).await;
    eventually("it is found out", || handle.state() != ConnectionState::Ready).await;
    server.set_health(Health::Serving);
    eventually("it is back", || handle.state() == ConnectionState::Ready).await;
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_a_server_that_dies_and_comes_back_on_its_port_is_found_again() {
    let mut server = Over::Tcp.honest();
    let handle = lazy(knobs(&server).reconnect_attempts(1).connect_timeout(Duration::from_secs(1)));
    for round in 0..5 {
        assert_eq!(call(&handle, "before").await.unwrap(), "before", "round {round}");
        server.kill().await;
        eventually("the end is noticed", || handle.state() != ConnectionState::Ready).await;
        let error = in_time("a call", call(&handle, "away")).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
        server.restart();
        eventually("it is back", || handle.state() == ConnectionState::Ready).await;
    }
}
