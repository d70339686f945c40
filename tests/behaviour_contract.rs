//! What the reference client does well, kept: rows R1 to R7 of docs/reliability.md.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::calls::{
    LIMIT, PLUGIN, SOON, call, call_of_size, call_soon, call_with, config, eventually, in_time,
    knobs, lazy, socket, spawn_call, spawn_call_with,
};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Gate, Reply, config_reply, frame};
use futures::StreamExt;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{
    CallOptions, ConnectError, ConnectionState, ErrorKind, PluginConfig, PluginContext,
    PluginHandle, Plugins, Sent, Stage,
};
use serde_json::json;

// --- R1 ---

#[test]
fn r1_an_unusable_config_is_refused_naming_plugin_field_and_value() {
    let long = format!("/{}", "x".repeat(107));
    for (socket, field, value) in [
        ("{path: ''}", "unix_socket.path", "\"\""),
        ("{path: plugins/a.sock}", "unix_socket.path", "\"plugins/a.sock\""),
        (&*format!("{{path: {long}}}"), "unix_socket.path", &*long),
        ("{path: /a, reconnect_attempts: -1}", "unix_socket.reconnect_attempts", "-1"),
        ("{path: /a, reconnect_delay: 0}", "unix_socket.reconnect_delay", "0"),
        ("{path: /a, reconnect_delay: -0.5}", "unix_socket.reconnect_delay", "-0.5"),
        ("{path: /a, timeout: 0}", "unix_socket.timeout", "0"),
        ("{path: /a, timeout: .nan}", "unix_socket.timeout", ""),
        ("{path: /a, timeout: .inf}", "unix_socket.timeout", ""),
    ] {
        let entry = format!("{{name: MyPlugin, kind: external, unix_socket: {socket}}}");
        let error = serde_norway::from_str::<PluginConfig>(&entry).unwrap_err().to_string();
        for part in ["MyPlugin", field, value] {
            assert!(error.contains(part), "{entry}: {error}");
        }
    }
    let error = PluginConfig::from_value(json!({"name": "MyPlugin"})).unwrap_err().to_string();
    assert!(error.contains("MyPlugin") && error.contains("unix_socket"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_the_longest_path_that_is_accepted_can_be_connected_to() {
    let dir = tempfile::tempdir().unwrap();
    let room = 107 - dir.path().as_os_str().len() - 1;
    let path = dir.path().join("s".repeat(room));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let handle = lazy(socket(&path));
    let calling = spawn_call(&handle, "m");
    in_time("a path of 107 bytes", listener.accept()).await.unwrap();
    calling.abort();
}

// --- R2 ---

#[apply(both)]
async fn r2_connect_fails_where_it_cannot_connect(over: Over) {
    let server = over.absent(|mut connection| async move { connection.serve().await });
    let config = config(knobs(&server));
    let error = in_time("connect", PluginHandle::connect(config)).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
}

/// Nobody is left who would make it.
#[apply(both)]
async fn r2_a_connect_that_fails_promises_no_next_attempt(over: Over) {
    let server = over.absent(|mut connection| async move { connection.serve().await });
    let config = config(knobs(&server));
    let alone = in_time("connect", PluginHandle::connect(config.clone())).await.unwrap_err();
    let plugins = Plugins::builder().plugin(config);
    let Err(ConnectError::Failed(reports)) = in_time("connect", plugins.connect()).await else {
        panic!("nobody is there");
    };
    for error in [&alone, reports[0].outcome.as_ref().unwrap_err()] {
        assert!(!error.to_string().contains("next attempt"), "{error}");
        assert!(error.to_string().contains("is the plugin's server running?"), "{error}");
        assert_eq!(error.retry_after(), None);
    }
}

/// Linux refuses it in the words of a socket that nobody listens on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_a_path_that_is_no_socket_is_told_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plugins.sock");
    std::fs::write(&file, "").unwrap();
    for (path, kind) in [(dir.path(), "a directory"), (&file, "a file")] {
        let config = config(socket(path));
        let error = in_time("connect", PluginHandle::connect(config)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let told = format!("the path is {kind}, not a socket");
        assert!(error.to_string().contains(&told), "{error}");
    }
}

#[apply(both)]
async fn r2_connect_merges_the_config_that_the_server_has(over: Over) {
    let server = over.start(|mut connection| async move {
        connection.request().await?;
        connection.raw(&frame(&config_reply(PLUGIN, &["prompt_pre_fetch"]))).await?;
        connection.serve().await
    });
    let local = knobs(&server).apply(PluginConfig::builder(PLUGIN)).build().unwrap();
    let handle = PluginHandle::connect(local).await.unwrap();
    assert_eq!(handle.hooks(), ["prompt_pre_fetch"]);
}

#[apply(both)]
async fn r2_connect_goes_on_when_the_config_cannot_be_had(over: Over) {
    // Garbage; a closed connection; and "not found", which is an empty frame.
    let answers = [Some(frame(&[0xff; 9])), None, Some(frame(b""))];
    for answer in answers {
        let server = over.start(move |mut connection| {
            let answer = answer.clone();
            async move {
                if connection.number > 0 {
                    return connection.serve().await;
                }
                connection.request().await?;
                let Some(answer) = answer else { return Ok(()) };
                connection.raw(&answer).await?;
                connection.serve().await
            }
        });
        let config = config(knobs(&server));
        let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
        assert_eq!(call(&handle, "m").await.unwrap(), "m");
    }
}

#[apply(both)]
async fn r2_a_plugin_that_is_left_without_hooks_is_an_error_unless_allowed(over: Over) {
    let server = over.start(|mut connection| async move {
        connection.request().await?;
        connection.raw(&frame(&config_reply(PLUGIN, &[]))).await?;
        connection.serve().await
    });
    let local = knobs(&server).apply(PluginConfig::builder(PLUGIN)).build().unwrap();
    let error = PluginHandle::connect(local.clone()).await.unwrap_err();
    assert_eq!(error.reason(), "no_hooks", "{error}");
    assert!(!error.to_string().contains("the hook"), "no hook was called: {error}");
    let handle = PluginHandle::builder(local).allow_no_hooks().connect().await.unwrap();
    assert_eq!(call(&handle, "m").await.unwrap(), "m");
}

// --- R3 ---

#[apply(both)]
async fn r3_the_state_can_be_read_and_watched(over: Over) {
    let mut server = over.honest();
    let slow = Duration::from_secs(2);
    let handle = lazy(knobs(&server).reconnect_delay(slow).max_backoff(slow));
    let mut states = handle.watch_state();
    assert_eq!(handle.state(), ConnectionState::Idle);
    assert_eq!(states.next().await, Some(ConnectionState::Idle));

    call(&handle, "m").await.unwrap();
    assert_eq!(handle.state(), ConnectionState::Ready);
    let watched =
        states.by_ref().take_while(|state| std::future::ready(*state != ConnectionState::Ready));
    assert!(watched.collect::<Vec<_>>().await.len() <= 1, "Connecting at most");

    server.kill().await;
    let next = states.next().await;
    if over == Over::Socket {
        assert_eq!(next, Some(ConnectionState::Idle), "nothing was lost");
    } else {
        // A connection is kept to every server, although nobody needs it.
        let tries = [ConnectionState::Connecting, ConnectionState::TransientFailure];
        assert!(tries.map(Some).contains(&next), "{next:?}");
    }
    call_soon(&handle, "m").await.unwrap_err();
    assert_eq!(handle.state(), ConnectionState::TransientFailure);

    handle.shutdown(Duration::ZERO).await;
    assert_eq!(handle.state(), ConnectionState::Shutdown);
    let last = states.collect::<Vec<_>>().await;
    assert_eq!(last.last(), Some(&ConnectionState::Shutdown), "and then the stream ends");
}

// --- R4 ---

#[apply(both)]
async fn r4_an_unregistered_hook_is_refused_before_anything_is_sent(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    let mut context = PluginContext::new("r");
    let payload = json!({"name": "t"});
    let call = handle.invoke_hook_json("tool_pre_invok", &payload, &mut context).await;
    let error = call.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("unregistered_hook", Sent::No));
    assert_eq!(server.record().seen().connections(), 0);
}

#[apply(both)]
async fn r4_a_result_comes_back_typed_and_updates_the_context(over: Over) {
    let server = over.start(|mut connection| async move {
        let call = connection.hook().await?;
        let request_id = call.request_id().to_owned();
        connection.reply(Reply::to(&call).with_state(&request_id, "seen", "yes")).await?;
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    let mut context = PluginContext::new("request-9");
    let payload = ToolPreInvokePayload::new("search").with_arg("page", 2);
    let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap();
    assert_eq!(common::modified(result), Some(payload));
    assert_eq!(context.state["seen"], "yes");
}

#[apply(both)]
async fn r4_an_error_of_the_plugin_wins_over_a_result_and_leaves_the_context(over: Over) {
    let server = over.start(|mut connection| async move {
        let call = connection.hook().await?;
        let mut reply = Reply::to(&call).with_state("r", "seen", "yes");
        reply.0.error = Reply::error(&call, "boom").0.error;
        connection.reply(reply).await?;
        connection.serve().await
    });
    let handle = lazy(knobs(&server));
    let mut context = PluginContext::new("r");
    let payload = json!({"name": "t"});
    let call = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await;
    let error = call.unwrap_err();
    assert_eq!(error.plugin_fault().map(|fault| fault.mcp_error_code), Some(-32603), "{error}");
    assert!(context.state.is_empty());
}

// --- R5 ---

#[apply(both)]
async fn r5_a_call_that_was_not_sent_waits_for_the_server_to_come_back(over: Over) {
    let mut server = over.absent(|mut connection| async move { connection.serve().await });
    let handle = lazy(knobs(&server).reconnect_attempts(100_000));
    let calls: Vec<_> = (0..20).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("it is being tried", || handle.state() == ConnectionState::TransientFailure).await;
    server.restart();
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), i.to_string());
        assert_eq!(server.record().seen().executions_of(&i.to_string()), 1);
    }
}

#[apply(both)]
async fn r5_all_callers_share_one_cycle_of_attempts(over: Over) {
    let server = over.absent(|mut connection| async move { connection.serve().await });
    for connections in [1, 8] {
        let shared = knobs(&server).max_connections(connections).reconnect_attempts(4);
        let handle = lazy(shared);
        let calls: Vec<_> = (0..50).map(|i| spawn_call(&handle, i.to_string())).collect();
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert_eq!(error.reason(), "unavailable", "{error}");
            // A caller that comes late may see one more of the background attempts.
            assert!(
                error.attempts().is_some_and(|attempts| (4..10).contains(&attempts)),
                "{error}"
            );
        }
    }
}

// --- R6 ---

/// A call that ends by its deadline: at which stage, and whether it was sent.
async fn ends_by_its_deadline(
    handle: &PluginHandle,
    size: usize,
    connecting: &str,
) -> (Stage, Sent) {
    let started = Instant::now();
    let options = CallOptions::new().timeout(SOON);
    let call = call_of_size(handle, "m", size, options);
    let error = in_time(connecting, call).await.unwrap_err();
    assert_eq!(error.timeout(), Some(SOON), "{error}");
    assert!(started.elapsed() >= SOON, "too early: {error}");
    assert!(started.elapsed() < LIMIT / 4, "too late: {error}");
    (error.stage().unwrap(), error.sent())
}

#[apply(both)]
async fn r6_the_deadline_covers_the_wait_for_a_place(over: Over) {
    let server = over.deaf();
    let handle = lazy(knobs(&server).max_in_flight(1));
    let holder = spawn_call(&handle, "holder");
    eventually("the place is taken", || handle.stats().in_flight == 1).await;
    let end = ends_by_its_deadline(&handle, 0, "waiting for a place").await;
    assert_eq!(end, (Stage::Admission, Sent::No));
    holder.abort();
}

#[apply(both)]
async fn r6_the_deadline_covers_connecting(over: Over) {
    let server = over.absent(|mut connection| async move { connection.serve().await });
    let handle = lazy(knobs(&server).reconnect_attempts(100_000));
    let end = ends_by_its_deadline(&handle, 0, "connecting").await;
    assert_eq!(end, (Stage::Queued, Sent::No));
}

#[apply(both)]
async fn r6_the_deadline_covers_writing(over: Over) {
    let server = over.deaf();
    let handle = lazy(knobs(&server));
    // More than the kernel takes, and than a window of HTTP/2 lets through.
    let end = ends_by_its_deadline(&handle, 1 << 20, "writing").await;
    assert_eq!(end, (Stage::InFlight, Sent::Maybe));
}

#[apply(both)]
async fn r6_the_deadline_covers_waiting_for_the_reply(over: Over) {
    let server = over.start(|mut connection| async move {
        connection.hook().await?;
        connection.stall().await
    });
    let handle = lazy(knobs(&server));
    let end = ends_by_its_deadline(&handle, 0, "waiting for the reply").await;
    assert_eq!(end, (Stage::InFlight, Sent::Maybe));
}

#[apply(both)]
async fn r6_the_deadline_covers_a_reply_that_trickles(over: Over) {
    let server = over.start(|mut connection| async move {
        let call = connection.hook().await?;
        let reply = Reply::to(&call).frame();
        // Never the last byte; each one is news, none of them is an answer.
        for byte in &reply[..reply.len() - 1] {
            connection.raw(std::slice::from_ref(byte)).await?;
            tokio::task::yield_now().await;
        }
        connection.stall().await
    });
    let handle = lazy(knobs(&server));
    let end = ends_by_its_deadline(&handle, 0, "a trickling reply").await;
    assert_eq!(end, (Stage::InFlight, Sent::Maybe));
}

/// Its hook would run for a caller who is told that it did not answer.
#[apply(both)]
async fn r6_a_call_whose_time_is_over_before_it_begins_is_not_sent(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    call(&handle, "first").await.unwrap();
    let over = CallOptions::new().deadline(tokio::time::Instant::now());
    let error = in_time("a call", call_with(&handle, "late", over)).await.unwrap_err();
    assert_eq!((error.stage(), error.sent()), (Some(Stage::Queued), Sent::No), "{error}");
    call(&handle, "next").await.unwrap();
    assert_eq!(server.record().seen().executions_of("late"), 0);
}

// --- R7 ---

fn gated_server(over: Over) -> (FaultServer, Gate) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = over.start(move |mut connection| {
        let gate = closed.clone();
        async move {
            loop {
                let call = connection.hook().await?;
                gate.passed().await;
                connection.answer(&call).await?;
            }
        }
    });
    (server, gate)
}

#[apply(both)]
async fn r7_shutdown_takes_no_new_calls_and_lets_those_under_way_finish(over: Over) {
    let (server, gate) = gated_server(over);
    let handle = lazy(knobs(&server));
    let under_way: Vec<_> = (0..3).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("all are sent", || handle.stats().in_flight == 3).await;

    let clone = handle.clone();
    let draining = tokio::spawn(async move { clone.shutdown(LIMIT).await });
    let refused = async {
        loop {
            // Until the shutdown has begun, a call is taken; it leaves soon.
            match call_soon(&handle, "new").await {
                Err(error) if error.reason() == "shutdown" => return error,
                Err(error) => assert!(error.is_timeout(), "{error}"),
                Ok(_) => panic!("the gate is closed"),
            }
        }
    };
    assert_eq!(in_time("refusing", refused).await.sent(), Sent::No);
    gate.open();
    for (i, call) in under_way.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), i.to_string());
    }
    in_time("draining", draining).await.unwrap();
    server.record().wait_for(|seen| seen.ended == 1).await;
}

#[apply(both)]
async fn r7_what_does_not_finish_by_the_shutdowns_deadline_is_answered_and_closed(over: Over) {
    let (server, gate) = gated_server(over);
    let handle = lazy(knobs(&server));
    let under_way: Vec<_> = (0..3).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("all are sent", || handle.stats().in_flight == 3).await;
    in_time("shutdown", handle.shutdown(SOON)).await;
    for call in under_way {
        let error = in_time("a call", call).await.unwrap().unwrap_err();
        assert_eq!((error.reason(), error.sent()), ("shutdown", Sent::Maybe), "{error}");
    }
    gate.open();
    server.record().wait_for(|seen| seen.ended == 1).await;
    assert_eq!((handle.stats().in_flight, handle.stats().queued), (0, 0));
}

#[apply(both)]
async fn r7_shutdown_may_be_called_often_and_from_any_clone(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    call(&handle, "m").await.unwrap();
    let clones: Vec<_> = (0..10).map(|_| handle.clone()).collect();
    let shutdowns = clones.iter().map(|clone| clone.shutdown(LIMIT));
    in_time("all of them", futures::future::join_all(shutdowns)).await;
    in_time("once more", handle.shutdown(LIMIT)).await;
    let started = Instant::now();
    assert_eq!(call(&handle, "m").await.unwrap_err().reason(), "shutdown");
    assert!(started.elapsed() < LIMIT / 4);
}

#[apply(both)]
async fn r7_shutdown_answers_those_who_wait_for_a_connection_or_a_place(over: Over) {
    let server = over.absent(|mut connection| async move { connection.serve().await });
    let patient = knobs(&server).max_in_flight(2).reconnect_attempts(100_000);
    let handle = lazy(patient);
    let calls: Vec<_> = (0..5).map(|i| spawn_call(&handle, i.to_string())).collect();
    eventually("all wait", || handle.stats().queued == 2 && handle.stats().waiting == 3).await;
    in_time("shutdown", handle.shutdown(SOON)).await;
    for call in calls {
        let error = in_time("a call", call).await.unwrap().unwrap_err();
        assert_eq!((error.reason(), error.sent()), ("shutdown", Sent::No), "{error}");
    }
}

#[apply(both)]
async fn r7_dropping_the_last_handle_closes_the_connection(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server));
    let clone = handle.clone();
    call(&handle, "m").await.unwrap();
    drop(handle);
    assert_eq!(call(&clone, "n").await.unwrap(), "n", "a clone is left");
    drop(clone);
    server.record().wait_for(|seen| seen.ended == 1).await;
}

#[apply(both)]
async fn r7_dropping_the_last_handle_does_not_wait_for_a_server_that_hangs(over: Over) {
    let server = over.start(|mut connection| async move {
        connection.hook().await?;
        connection.client_closed().await
    });
    let handle = lazy(knobs(&server));
    let options = CallOptions::new().timeout(SOON);
    let call = spawn_call_with(&handle, "never", options);
    assert!(call.await.unwrap().unwrap_err().is_timeout());
    assert!(call_with(&handle, "behind", options).await.unwrap_err().is_timeout());
    drop(handle);
    server.record().wait_for(|seen| seen.ended == 1).await;
}
