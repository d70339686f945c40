//! With `stamp`, every result is proven to belong to its call, whatever the server does.
//!
//! All calls here are of one request (the same request id) and go to one plugin, so
//! that nothing but the stamp tells their replies apart.
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::io;

use common::calls::{PLUGIN, config, knobs, lazy, socket};
use common::over::{Over, apply, both};
use fault_server::{Connection, FaultServer, Gate, Reply, Request};
use futures::future::join_all;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{PluginContext, PluginError, PluginHandle, Verdict};
use serde_json::json;
use tokio::task::JoinHandle;

type Call = JoinHandle<Result<Option<String>, PluginError>>;

fn stamped(server: &FaultServer) -> PluginHandle {
    lazy(knobs(server).stamp(true))
}

/// A typed call: the marker that came back if it is allowed, nothing if it is denied.
async fn call(handle: &PluginHandle, marker: &str) -> Result<Option<String>, PluginError> {
    let mut context = PluginContext::new("the one request");
    let payload = ToolPreInvokePayload::new("t").with_arg("marker", marker);
    let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await?;
    assert_eq!(context, PluginContext::new("the one request"), "something was left in it");
    Ok(match result.into_verdict() {
        Verdict::Denied(_) => None,
        Verdict::Allowed(payload) => {
            let args = payload.and_then(|payload| payload.args).unwrap();
            Some(args["marker"].as_str().unwrap().to_owned())
        }
    })
}

/// A call that is written behind those before it.
async fn behind(server: &FaultServer, handle: &PluginHandle, marker: &'static str) -> Call {
    let before = server.record().seen().hook_calls();
    let handle = handle.clone();
    let call = tokio::spawn(async move { call(&handle, marker).await });
    server.record().wait_for(|seen| seen.hook_calls() > before).await;
    call
}

/// Plays `script` with the first connection's two calls; later ones are served well.
fn two_calls<F>(over: Over, script: fn(Connection, Request, Request) -> F) -> FaultServer
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    over.start(move |mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        let (first, second) = (connection.hook().await?, connection.hook().await?);
        script(connection, first, second).await
    })
}

/// How the two calls end.
async fn outcomes(server: &FaultServer, handle: &PluginHandle) -> [&'static str; 2] {
    let first = behind(server, handle, "first").await;
    let second = behind(server, handle, "second").await;
    let reasons = [first, second].map(|call| async { call.await.unwrap().unwrap_err().reason() });
    let [first, second] = join_all(reasons).await.try_into().unwrap();
    // The handle heals itself.
    assert_eq!(call(handle, "next").await.unwrap().as_deref(), Some("next"));
    [first, second]
}

#[apply(both)]
async fn s1_of_two_swapped_results_neither_is_delivered(over: Over) {
    let server = two_calls(over, |mut connection, first, second| async move {
        // In one write, so that neither has to wait for the other's fault.
        let replies = [Reply::to(&second), Reply::to(&first)].map(|reply| reply.frame());
        connection.raw(&replies.concat()).await?;
        connection.client_closed().await
    });
    let handle = stamped(&server);
    let [first, second] = outcomes(&server, &handle).await;
    assert_eq!(first, "mismatch");
    // The connection may be closed before the second reply is taken from it.
    assert!(matches!(second, "mismatch" | "closed_after_fault"), "{second}");
    assert!(handle.stats().mismatches >= 1);
}

/// Why there are stamps: the same swap without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_without_stamps_swapped_results_of_one_request_cannot_be_told_apart() {
    let server = two_calls(Over::Socket, |mut connection, first, second| async move {
        let replies = [Reply::to(&second), Reply::to(&first)].map(|reply| reply.frame());
        connection.raw(&replies.concat()).await?;
        connection.client_closed().await
    });
    let handle = lazy(socket(server.path()));
    let first = behind(&server, &handle, "first").await;
    let second = behind(&server, &handle, "second").await;
    assert_eq!(first.await.unwrap().unwrap().as_deref(), Some("second"));
    assert_eq!(second.await.unwrap().unwrap().as_deref(), Some("first"));
}

#[apply(both)]
async fn s1_a_denial_and_an_allowance_that_are_swapped_let_nothing_through(over: Over) {
    let server = two_calls(over, |mut connection, first, second| async move {
        let replies = [Reply::to(&second), Reply::denial(&first)].map(|reply| reply.frame());
        connection.raw(&replies.concat()).await?;
        connection.client_closed().await
    });
    assert_eq!(outcomes(&server, &stamped(&server)).await[0], "mismatch");
}

#[apply(both)]
async fn s1_a_result_that_is_sent_twice_is_not_taken_for_the_next_one(over: Over) {
    let gate = Gate::closed();
    let server = over.start({
        let gate = gate.clone();
        move |mut connection| {
            let gate = gate.clone();
            async move {
                if connection.number > 0 {
                    return connection.serve().await;
                }
                let first = connection.hook().await?;
                connection.reply(Reply::to(&first)).await?;
                connection.hook().await?;
                connection.reply(Reply::to(&first)).await?;
                gate.passed().await;
                Ok(())
            }
        }
    });
    let handle = stamped(&server);
    assert_eq!(call(&handle, "first").await.unwrap().as_deref(), Some("first"));
    let error = call(&handle, "second").await.unwrap_err();
    assert_eq!(error.reason(), "mismatch");
    assert!(error.to_string().contains("stamp differs"), "{error}");
    gate.open();
    assert_eq!(call(&handle, "third").await.unwrap().as_deref(), Some("third"));
}

#[apply(both)]
async fn s1_after_a_result_that_was_left_out_the_next_one_goes_to_nobody(over: Over) {
    let server = two_calls(over, |mut connection, _, second| async move {
        connection.reply(Reply::to(&second)).await?;
        connection.client_closed().await
    });
    let reasons = outcomes(&server, &stamped(&server)).await;
    assert_eq!(reasons, ["mismatch", "closed_after_fault"]);
}

#[apply(both)]
async fn s1_a_result_that_the_server_made_up_is_not_delivered(over: Over) {
    for made_up in [
        |call: &Request| Reply::to(call).without_context(),
        |call: &Request| Reply::to(call).with_state("the one request", "k", "v"),
        |call: &Request| {
            let mut reply = Reply::to(call);
            for value in reply.metadata().fields.values_mut() {
                *value = prost_types::Value::default();
            }
            reply
        },
    ] {
        let server = over.start(move |mut connection| async move {
            let call = connection.hook().await?;
            connection.reply(made_up(&call)).await?;
            connection.client_closed().await
        });
        let error = call(&stamped(&server), "mine").await.unwrap_err();
        assert_eq!(error.reason(), "unproven");
        assert!(error.to_string().contains("does not bring back the stamp"), "{error}");
        server.record().wait_for(|seen| seen.ended == 1).await;
    }
}

/// Two plugins of one server: a reply that strays from one's connection to the other's
/// names the right plugin here, and is found out by its stamp all the same.
#[apply(both)]
async fn s1_a_result_of_another_handle_is_foreign(over: Over) {
    let (sender, strays) = tokio::sync::watch::channel(None);
    let server = over.start(move |mut connection| {
        let (sender, mut strays) = (sender.clone(), strays.clone());
        async move {
            let call = connection.hook().await?;
            if connection.number == 0 {
                sender.send_replace(Some(Reply::to(&call)));
            } else {
                let stray = strays.wait_for(Option::is_some).await.ok();
                let stray = stray.and_then(|stray| stray.clone()).expect("the first call came");
                connection.reply(stray).await?;
            }
            connection.client_closed().await
        }
    });
    let (one, other) = (stamped(&server), stamped(&server));
    let call_of_one = behind(&server, &one, "one").await;
    assert_eq!(call(&other, "other").await.unwrap_err().reason(), "mismatch");
    call_of_one.abort();
}

/// What no stamp can show: an error brings no context. It allows nothing, and the result
/// that it took the place of is found out.
#[apply(both)]
async fn s2_an_error_that_changed_places_with_a_result_lets_nothing_through(over: Over) {
    let server = two_calls(over, |mut connection, first, second| async move {
        // The first call's plugin failed, the second one's allowed.
        let replies = [Reply::to(&second), Reply::error(&first, "broken")];
        connection.raw(&replies.map(|reply| reply.frame()).concat()).await?;
        connection.client_closed().await
    });
    let [first, second] = outcomes(&server, &stamped(&server)).await;
    assert_eq!(first, "mismatch");
    assert!(matches!(second, "plugin_error" | "closed_after_fault"), "{second}");
}

#[apply(both)]
async fn s2_an_error_that_is_sent_twice_fails_calls_and_allows_none(over: Over) {
    let server = two_calls(over, |mut connection, first, _| async move {
        for _ in 0..2 {
            connection.reply(Reply::error(&first, "broken")).await?;
        }
        connection.serve().await
    });
    let reasons = outcomes(&server, &stamped(&server)).await;
    assert_eq!(reasons, ["plugin_error", "plugin_error"]);
}

#[apply(both)]
async fn s3_stamps_stay_out_of_sight_of_callers_typed_and_by_name(over: Over) {
    let server = over.honest();
    let handle = PluginHandle::connect(config(knobs(&server).stamp(true))).await.unwrap();
    assert_eq!(handle.name(), PLUGIN);
    for i in 0..20 {
        let marker = format!("typed-{i}");
        assert_eq!(call(&handle, &marker).await.unwrap(), Some(marker));
    }
    let note = json!({"note": {"seen": [1, 2]}}).as_object().cloned().unwrap();
    let before = PluginContext::new("").with_metadata(note);
    let mut context = before.clone();
    let payload = json!({"name": "t", "args": {}});
    let result = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await.unwrap();
    assert_eq!(common::modified(result), Some(payload));
    assert_eq!(context, before);
    assert_eq!((handle.stats().ok, handle.stats().mismatches), (21, 0));
    assert_eq!(server.record().seen().connections(), 1);
}

#[cfg(feature = "server")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_the_embedded_server_brings_stamps_back() {
    use hookwire::hooks::{ToolPostInvoke, ToolPostInvokePayload};
    use hookwire::server::{Handlers, PluginServer};
    use hookwire::{PluginResult, PluginViolation};

    let dir = tempfile::tempdir().unwrap();
    let plugin = Handlers::new()
        .on::<ToolPreInvoke>(|_, _| async {
            Ok(PluginResult::deny(
                PluginViolation::new("NO").with_reason("no").with_description("never"),
            ))
        })
        .on::<ToolPostInvoke>(|_, mut context| async move {
            context.metadata.insert("seen".to_owned(), json!(true));
            Ok((PluginResult::allow(), context))
        });
    let path = dir.path().join("plugin.sock");
    let server = PluginServer::builder().plugin(PLUGIN, plugin).bind(&path).await.unwrap();
    let handle = lazy(socket(&path).stamp(true));
    assert_eq!(call(&handle, "x").await.unwrap(), None);
    let mut context = PluginContext::new("request-1");
    let payload = ToolPostInvokePayload::new("t", "r");
    assert!(
        handle.invoke_hook::<ToolPostInvoke>(&payload, &mut context).await.unwrap().is_allowed()
    );
    assert_eq!(json!(context.metadata), json!({"seen": true}));
    drop(server);
}
