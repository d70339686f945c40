//! Whose reply it is, and what a reply must be to be believed: rows H1, H2, H3, H5,
//! H6 and H13 of docs/reliability.md, against a fault server.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::io;

use common::calls::{
    LIMIT, PLUGIN, SOON, call, call_of_size, call_soon, call_with, config, in_time, knobs, lazy,
    poll_times, socket, spawn_call, spawn_call_with,
};
use common::over::{Over, apply, both, both_on_one_thread};
use fault_server::{Connection, FaultServer, Gate, Reply, Request, config_reply, fields, frame};
use hookwire::{
    CallOptions, ErrorKind, PluginContext, PluginError, PluginHandle, RetryPolicy, Sent,
};
use prost_types::value::Kind;
use serde_json::json;

/// Reads this many calls, waits for the gate, and answers them in their order.
async fn answer_late(connection: &mut Connection, calls: usize, gate: &Gate) -> io::Result<()> {
    let mut read = Vec::new();
    for _ in 0..calls {
        read.push(connection.hook().await?);
    }
    gate.passed().await;
    for request in &read {
        connection.answer(request).await?;
    }
    connection.serve().await
}

fn late_server(over: Over, calls: usize) -> (FaultServer, Gate) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = over.start(move |mut connection| {
        let gate = closed.clone();
        async move { answer_late(&mut connection, calls, &gate).await }
    });
    (server, gate)
}

async fn get_their_own(handle: &PluginHandle, calls: usize) {
    for i in 0..calls {
        let marker = format!("own-{i}");
        assert_eq!(call(handle, &marker).await.unwrap(), marker);
    }
}

// --- H1, H2: a caller that left ---

#[apply(both)]
async fn h1_after_one_timeout_later_callers_still_get_their_own_replies(over: Over) {
    let (server, gate) = late_server(over, 1);
    let handle = lazy(knobs(&server));

    let error = call_soon(&handle, "late").await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.sent(), Sent::Maybe);

    let waiting: Vec<_> = (0..4).map(|i| spawn_call(&handle, format!("waits-{i}"))).collect();
    gate.open();
    for (i, waiting) in waiting.into_iter().enumerate() {
        assert_eq!(waiting.await.unwrap().unwrap(), format!("waits-{i}"));
    }
    get_their_own(&handle, 20).await;
    assert_eq!(server.record().seen().connections(), 1, "the connection was good all the time");
    assert_eq!((handle.stats().timeouts, handle.stats().abandoned), (1, 1));
}

#[apply(both)]
async fn h1_a_timeout_between_calls_that_were_written_ahead_shifts_no_reply(over: Over) {
    let (server, gate) = late_server(over, 5);
    let handle = lazy(knobs(&server));
    let mut calls = Vec::new();
    for i in 0..5 {
        // The second and the fourth leave, the others stay.
        let options = CallOptions::new().timeout(if i % 2 == 1 { SOON } else { LIMIT });
        calls.push(spawn_call_with(&handle, format!("call-{i}"), options));
        server.record().wait_for(|seen| seen.hook_calls() == i + 1).await;
    }
    assert!(calls.remove(3).await.unwrap().unwrap_err().is_timeout());
    assert!(calls.remove(1).await.unwrap().unwrap_err().is_timeout());
    gate.open();
    for (call, i) in calls.into_iter().zip([0, 2, 4]) {
        assert_eq!(call.await.unwrap().unwrap(), format!("call-{i}"));
    }
    get_their_own(&handle, 20).await;
    assert_eq!(server.record().seen().connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_a_connection_whose_oldest_reply_is_overdue_beyond_the_limit_is_closed() {
    let server = FaultServer::start(|mut connection| async move {
        if connection.number == 0 {
            connection.hook().await?;
            return connection.client_closed().await;
        }
        connection.serve().await
    });
    let handle = lazy(socket(server.path()).stall_limit(SOON));
    assert!(call_soon(&handle, "never").await.unwrap_err().is_timeout());
    // Waits behind the overdue reply, and goes to the new connection.
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
    server.record().wait_for(|seen| seen.ended == 1).await;
    assert_eq!(server.record().seen().executions_of("next"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_a_connection_with_an_overdue_reply_gets_no_new_calls_while_another_can_be_had() {
    let server = FaultServer::start(|mut connection| async move {
        if connection.number == 0 {
            connection.hook().await?;
            return connection.client_closed().await;
        }
        connection.serve().await
    });
    let handle = lazy(socket(server.path()).max_connections(2));
    assert!(call_soon(&handle, "never").await.unwrap_err().is_timeout());
    for i in 0..10 {
        let marker = format!("served-{i}");
        assert_eq!(in_time("a call", call(&handle, &marker)).await.unwrap(), marker);
    }
    assert_eq!(server.record().seen().connections(), 2);
}

#[apply(both_on_one_thread)]
async fn h2_a_call_dropped_at_any_await_point_never_shifts_a_reply(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    // On one thread, so the number of polls decides how far the call gets.
    let mut dropped = 0;
    for polls in 0..60 {
        let leaves = format!("leaves-{polls}");
        let finished = poll_times(call(&handle, &leaves), polls).await;
        match finished {
            Some(marker) => assert_eq!(marker.unwrap(), leaves),
            None => dropped += server.record().seen().executions_of(&leaves),
        }
        let stays = format!("stays-{polls}");
        assert_eq!(call(&handle, &stays).await.unwrap(), stays);
    }
    assert!(dropped > 0, "no call was dropped on its way");
    assert_eq!(server.record().seen().connections(), 1);
}

#[apply(both)]
async fn h2_a_call_dropped_while_the_hook_runs_never_shifts_a_reply(over: Over) {
    let (server, gate) = late_server(over, 3);
    let handle = lazy(knobs(&server));
    let calls: Vec<_> = (0..3).map(|i| spawn_call(&handle, format!("leaves-{i}"))).collect();
    server.record().wait_for(|seen| seen.hook_calls() == 3).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    for call in calls {
        assert!(call.await.unwrap_err().is_cancelled());
    }
    let next = spawn_call(&handle, "next");
    gate.open();
    assert_eq!(next.await.unwrap().unwrap(), "next");
    get_their_own(&handle, 20).await;
    assert_eq!(handle.stats().abandoned, 3);
    assert_eq!(server.record().seen().connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_call_dropped_in_the_middle_of_its_write_is_still_written_whole() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = FaultServer::start(move |mut connection| {
        let gate = closed.clone();
        async move {
            gate.passed().await;
            connection.serve().await
        }
    });
    let handle = lazy(socket(server.path()));
    // Larger than what the kernel takes from us, so it is stuck half-way.
    let leaves = call_of_size(&handle, "leaves", 4 << 20, CallOptions::new());
    let stuck = async {
        let sent = || handle.stats().bytes_sent;
        common::calls::eventually("a part is written", || sent() > 0).await;
    };
    tokio::select! {
        _ = leaves => panic!("nobody reads, so nobody can answer"),
        () = stuck => {}
    }
    let next = spawn_call(&handle, "next");
    gate.open();
    assert_eq!(next.await.unwrap().unwrap(), "next");
    assert_eq!(server.record().seen().executions_of("leaves"), 1);
}

// --- H3, H13: a late configuration reply ---

/// Answers the question for the configuration only when the gate opens, and denies
/// every call.
fn deny_all_server(over: Over) -> (FaultServer, Gate) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = over.start(move |mut connection| {
        let gate = closed.clone();
        async move {
            let Request::Config(name) = connection.request().await? else {
                panic!("a handle asks for the configuration first")
            };
            gate.passed().await;
            connection.raw(&frame(&config_reply(&name, &["tool_pre_invoke"]))).await?;
            loop {
                let call = connection.hook().await?;
                connection.reply(Reply::denial(&call)).await?;
            }
        }
    });
    (server, gate)
}

async fn verdict(handle: &PluginHandle) -> Result<bool, PluginError> {
    let mut context = PluginContext::new("r");
    let payload = json!({"name": "t"});
    let handle = handle.with(CallOptions::new().timeout(LIMIT));
    let result = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await;
    result.map(|result| result.is_allowed())
}

#[apply(both)]
async fn h3_a_slow_config_reply_is_not_read_by_the_first_hook_call(over: Over) {
    let (server, gate) = deny_all_server(over);
    let config = config(knobs(&server).timeout(SOON));
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();

    let first = tokio::spawn({
        let handle = handle.clone();
        async move { verdict(&handle).await }
    });
    gate.open();
    assert!(!first.await.unwrap().unwrap());
    let seen = server.record().seen();
    assert_eq!((seen.connections(), seen.requests), (1, 2), "the reply was read and thrown away");
}

#[apply(both)]
async fn h13_a_late_config_reply_never_allows_a_call_through_a_deny_all_plugin(over: Over) {
    let (server, gate) = deny_all_server(over);
    let config = config(knobs(&server).timeout(SOON));
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
    gate.open();
    for _ in 0..5 {
        assert!(!verdict(&handle).await.unwrap(), "a deny became an allow");
    }
    assert_eq!((handle.stats().violations, handle.stats().ok), (5, 0));
}

// --- H13 and others: replies that are not what was asked for ---

/// What a reply says of those that it is not meant for.
#[derive(PartialEq)]
enum Shows {
    /// That somebody mixes replies up.
    MixedUp,
    /// Over a socket, that no reply behind it can be believed. Over gRPC each has a stream of
    /// its own, so it says nothing of them.
    Broken,
}
use Shows::{Broken, MixedUp};

/// A server that answers its first call with what `spoiled` makes of it and the others right;
/// the error of that first call. Shows too that the client closes the connection, where that
/// is called for, and that the next call goes through.
async fn spoiled(
    over: Over,
    shows: Shows,
    spoiled: fn(&Request) -> Vec<u8>,
) -> (PluginHandle, PluginError) {
    let server = over.start(move |mut connection| async move {
        if connection.number == 0 {
            let call = connection.hook().await?;
            connection.raw(&spoiled(&call)).await?;
        }
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    let error = in_time("a spoiled reply", call(&handle, "spoiled")).await.unwrap_err();
    let closes = over == Over::Socket || shows == MixedUp;
    if closes {
        server.record().wait_for(|seen| seen.ended == 1).await;
    }
    assert_eq!(error.sent(), Sent::Maybe, "{error}");
    assert_eq!(call(&handle, "next").await.unwrap(), "next");
    let seen = server.record().seen();
    assert_eq!(seen.connections(), 1 + usize::from(closes));
    assert_eq!(seen.executions_of("spoiled"), 1, "it was sent again: {error}");
    (handle, error)
}

#[apply(both)]
async fn h13_a_reply_in_the_name_of_another_plugin_fails_the_call(over: Over) {
    let (handle, error) =
        spoiled(over, MixedUp, |call| Reply::to(call).named("Other").frame()).await;
    assert_eq!(error.reason(), "mismatch", "{error}");
    assert_eq!(handle.stats().mismatches, 1);
}

#[apply(both)]
async fn h13_a_reply_without_a_plugin_name_fails_the_call(over: Over) {
    let (_, error) = spoiled(over, MixedUp, |call| Reply::to(call).named("").frame()).await;
    assert_eq!(error.reason(), "mismatch", "{error}");
}

#[apply(both)]
async fn h13_a_config_reply_in_the_place_of_a_result_fails_the_call(over: Over) {
    let (handle, error) =
        spoiled(over, Broken, |_| frame(&config_reply(PLUGIN, &["tool_pre_invoke"]))).await;
    assert_ne!(error.kind(), ErrorKind::Plugin, "{error}");
    assert_eq!(handle.stats().ok, 1, "only the call after it");
}

#[apply(both)]
async fn h13_a_context_of_another_request_fails_the_call(over: Over) {
    let (handle, error) = spoiled(over, MixedUp, |call| {
        Reply::to(call).with_state("request-other", "k", "v").frame()
    })
    .await;
    assert_eq!(error.reason(), "mismatch", "{error}");
    assert_eq!(handle.stats().mismatches, 1);
}

#[apply(both)]
async fn h13_a_context_without_a_request_id_fails_the_call(over: Over) {
    let (_, error) =
        spoiled(over, MixedUp, |call| Reply::to(call).with_state("", "k", "v").frame()).await;
    assert_eq!(error.reason(), "mismatch", "{error}");
}

#[apply(both)]
async fn h13_a_result_without_a_verdict_is_an_error_and_never_an_allow(over: Over) {
    let (_, error) = spoiled(over, Broken, |call| Reply::to(call).with_verdict(None).frame()).await;
    assert_eq!(error.reason(), "undecodable", "{error}");
    assert!(error.to_string().contains("continue_processing"), "{error}");
}

/// A gateway may let a request pass where a plugin fails, so a plugin that refuses must
/// not be heard as one that failed.
#[apply(both)]
async fn h13_a_refusal_that_cannot_be_read_whole_is_still_a_refusal(over: Over) {
    let server = over.start(|mut connection| async move {
        loop {
            let request = connection.hook().await?;
            let mut reply = Reply::denial(&request);
            let headers = fields([("Retry-After", Kind::NumberValue(30.0))]);
            let odd = prost_types::Value { kind: Some(Kind::StructValue(headers)) };
            reply.0.result.get_or_insert_default().fields.insert("http_headers".into(), odd);
            connection.reply(reply).await?;
        }
    });
    let handle = lazy(knobs(&server));
    for _ in 0..2 {
        let mut context = PluginContext::new("request-1");
        let payload = json!({"name": "tool", "args": {}});
        let call = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context);
        let result = in_time("the refusal", call).await.unwrap();
        assert!(!result.is_allowed());
        assert_eq!(result.violation().unwrap().code, "DENIED");
        assert_eq!(result.http_headers(), None);
    }
    assert_eq!((handle.stats().violations, handle.stats().reconnects), (2, 0));
}

#[apply(both)]
async fn h13_a_verdict_that_is_no_boolean_is_an_error_and_never_an_allow(over: Over) {
    for spoil in [
        |call: &Request| Reply::to(call).with_verdict(Some(Kind::NullValue(0))).frame(),
        |call: &Request| Reply::to(call).with_verdict(Some(Kind::NumberValue(1.0))).frame(),
        |call: &Request| {
            Reply::to(call).with_verdict(Some(Kind::StringValue("true".into()))).frame()
        },
    ] {
        let (_, error) = spoiled(over, Broken, spoil).await;
        assert_eq!(error.reason(), "undecodable", "{error}");
    }
}

#[apply(both)]
async fn h13_of_two_swapped_replies_with_contexts_neither_is_delivered(over: Over) {
    let server = over.start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        let (first, second) = (connection.hook().await?, connection.hook().await?);
        for call in [second, first] {
            let request_id = call.request_id().to_owned();
            connection.reply(Reply::to(&call).with_state(&request_id, "k", "v")).await?;
        }
        connection.client_closed().await
    });
    let handle = lazy(knobs(&server));
    let calls = [spawn_call(&handle, "a"), spawn_call(&handle, "b")];
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error.reason(), "mismatch" | "closed_after_fault"), "{error}");
    }
    assert!(handle.stats().mismatches >= 1);
    get_their_own(&handle, 3).await;
}

#[apply(both)]
async fn h13_after_a_reply_that_was_left_out_the_next_one_goes_to_nobody(over: Over) {
    let server = over.start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        let _left_out = connection.hook().await?;
        let second = connection.hook().await?;
        let request_id = second.request_id().to_owned();
        connection.reply(Reply::to(&second).with_state(&request_id, "k", "v")).await?;
        connection.client_closed().await
    });
    let handle = lazy(knobs(&server));
    let calls = [spawn_call(&handle, "a"), spawn_call(&handle, "b")];
    let mut reasons = Vec::new();
    for call in calls {
        reasons.push(in_time("a call", call).await.unwrap().unwrap_err().reason());
    }
    reasons.sort_unstable();
    assert_eq!(reasons, ["closed_after_fault", "mismatch"]);
    get_their_own(&handle, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_a_reply_sent_twice_is_not_taken_for_the_next_one() {
    let server = FaultServer::start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        let call = connection.hook().await?;
        let reply = Reply::to(&call).frame();
        connection.raw(&[reply.clone(), reply].concat()).await?;
        connection.client_closed().await
    });
    let handle = lazy(socket(server.path()));
    assert_eq!(call(&handle, "doubled").await.unwrap(), "doubled");
    server.record().wait_for(|seen| seen.ended == 1).await;
    get_their_own(&handle, 3).await;
}

// --- H5, H6: bytes that are no frames, frames that are no replies ---

#[apply(both)]
async fn h5_an_oversize_length_closes_the_connection(over: Over) {
    let oversize = [
        |_: &Request| (16 * 1024 * 1024 + 1_u32).to_be_bytes().to_vec(),
        |_: &Request| u32::MAX.to_be_bytes().to_vec(),
        |_: &Request| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
    ];
    for spoil in oversize {
        let (_, error) = spoiled(over, Broken, spoil).await;
        assert_eq!(error.reason(), "framing", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_a_reply_cut_off_at_any_byte_is_never_taken_for_a_reply() {
    let server = FaultServer::start(|mut connection| async move {
        let call = connection.hook().await?;
        let reply = Reply::to(&call).frame();
        if let Some(cut) = reply.get(..connection.number).filter(|cut| cut.len() < reply.len()) {
            return connection.raw(cut).await;
        }
        connection.answer(&call).await?;
        connection.serve().await
    });
    let wait = std::time::Duration::from_millis(1);
    let quick = socket(server.path()).reconnect_delay(wait).max_backoff(wait);
    let handle = lazy(quick.reconnect_attempts(10_000));
    let mut cut = 0;
    let marker = loop {
        match in_time("a cut reply", call(&handle, &format!("cut-{cut}"))).await {
            Ok(marker) => break marker,
            Err(error) => {
                let reason = if cut == 0 { "disconnected" } else { "framing" };
                assert_eq!((error.reason(), error.sent()), (reason, Sent::Maybe), "{cut}: {error}");
            }
        }
        assert_eq!(server.record().seen().executions_of(&format!("cut-{cut}")), 1);
        cut += 1;
    };
    assert_eq!(marker, format!("cut-{cut}"));
    assert!(cut > 50, "a reply is longer than {cut} bytes");
}

// Promise: T7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_bytes_that_nobody_asked_for_close_an_idle_connection() {
    for stray in [&b"\0"[..], &[0, 0, 0, 9], &[0, 0, 0, 9, 1], &[0, 0, 0, 0]] {
        let stray = stray.to_vec();
        let server = FaultServer::start(move |mut connection| {
            let stray = stray.clone();
            async move {
                if connection.number > 0 {
                    return connection.serve().await;
                }
                let call = connection.hook().await?;
                connection.raw(&[Reply::to(&call).frame(), stray].concat()).await?;
                connection.client_closed().await
            }
        });
        let handle = lazy(socket(server.path()));
        assert_eq!(call(&handle, "first").await.unwrap(), "first");
        // Before the next call could take them for the beginning of its reply.
        server.record().wait_for(|seen| seen.ended == 1).await;
        get_their_own(&handle, 3).await;
    }
}

#[apply(both)]
async fn h6_an_undecodable_reply_closes_the_connection_and_fails_its_call(over: Over) {
    for spoil in [
        |_: &Request| frame(&[0xff; 20]),
        |_: &Request| frame(b"\x12\x7f"),
        // The plugin's name is not UTF-8.
        |_: &Request| frame(b"\x0a\x02\xff\xfe\x12\x00"),
    ] {
        let (_, error) = spoiled(over, Broken, spoil).await;
        assert_eq!(error.reason(), "undecodable", "{error}");
    }
}

#[apply(both)]
async fn h6_neither_a_result_nor_an_error_closes_the_connection_and_fails_its_call(over: Over) {
    for spoil in [|call: &Request| Reply::empty(call).frame(), |_: &Request| frame(b"")] {
        let (_, error) = spoiled(over, Broken, spoil).await;
        assert_eq!(error.reason(), "empty_reply", "{error}");
    }
}

/// Over a socket: garbage for the first of two calls that are on their way together.
fn garbage_for_the_first() -> FaultServer {
    FaultServer::start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        connection.hook().await?;
        connection.hook().await?;
        connection.raw(&frame(&[0xff; 20])).await?;
        connection.client_closed().await
    })
}

async fn two_calls(server: &FaultServer, retry: RetryPolicy) -> [Result<String, PluginError>; 2] {
    let handle = lazy(knobs(server).retry(retry));
    let first = spawn_call(&handle, "first");
    // The order of the two on the wire is that of the test.
    common::calls::eventually("the first is sent", || handle.stats().bytes_sent > 0).await;
    let second = spawn_call(&handle, "second");
    [first.await.unwrap(), second.await.unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h6_a_call_behind_an_undecodable_reply_is_not_sent_again_by_default() {
    let server = garbage_for_the_first();
    let [first, second] = two_calls(&server, RetryPolicy::Unsent).await;
    assert_eq!(first.unwrap_err().reason(), "undecodable");
    let error = second.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
    assert_eq!(server.record().seen().executions_of("second"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h6_a_call_behind_an_undecodable_reply_is_sent_again_where_that_is_allowed() {
    let server = garbage_for_the_first();
    let [first, second] = two_calls(&server, RetryPolicy::Resend).await;
    assert_eq!(first.unwrap_err().reason(), "undecodable", "it has its reply");
    assert_eq!(second.unwrap(), "second");
    let seen = server.record().seen();
    assert_eq!((seen.executions_of("first"), seen.executions_of("second")), (1, 2));
}

#[apply(both)]
async fn h6_a_plugins_own_error_is_a_reply_and_keeps_the_connection(over: Over) {
    let server = over.start(|mut connection| async move {
        let call = connection.hook().await?;
        connection.reply(Reply::error(&call, "boom")).await?;
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    let error = call_with(&handle, "fails", CallOptions::new()).await.unwrap_err();
    assert_eq!(error.plugin_fault().map(|fault| &*fault.message), Some("boom"));
    assert_eq!(error.plugin_fault().map(|fault| &*fault.plugin_name), Some(PLUGIN));
    get_their_own(&handle, 3).await;
    assert_eq!(server.record().seen().connections(), 1);
}
