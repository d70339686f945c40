//! Stamps against the reference server: it brings them back by itself, because it
//! returns every context whose metadata is not empty.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::calls::in_time;
use common::knobs::Knobs;
use common::reference::ReferenceServer;
use common::reference::calls::{object, tool};
use futures::future::join_all;
use hookwire::hooks::ToolPreInvoke;
use hookwire::model::{Object, STAMP_KEY};
use hookwire::{ErrorKind, PluginConfig, PluginContext, PluginHandle};
use serde_json::{Value, json};

/// A handle to one of the fixture plugins, called with stamps over one connection.
async fn stamped(server: &ReferenceServer, plugin: &str) -> PluginHandle {
    let socket = Knobs::new(server.socket()).max_connections(1).stamp(true);
    let config = socket.apply(PluginConfig::builder(plugin)).build().unwrap();
    PluginHandle::connect(config).await.expect("the plugin is there")
}

// Promise: S3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_result_brings_its_stamp_back_whatever_the_verdict() {
    let Some(server) = ReferenceServer::shared() else { return };
    for (plugin, allows) in [("Transform", true), ("Annotate", true), ("Deny", false)] {
        let handle = stamped(server, plugin).await;
        let mut context = PluginContext::new("request-1");
        let payload = tool(json!({"text": "hello"}));
        for _ in 0..3 {
            let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap();
            assert_eq!(result.is_allowed(), allows, "{plugin}");
        }
        assert_eq!(context, PluginContext::new("request-1"), "{plugin}");
        let stats = handle.stats();
        assert_eq!((stats.mismatches, stats.connections[0].connects), (0, 1), "{plugin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugins_own_metadata_lives_beside_the_stamp() {
    let Some(server) = ReferenceServer::shared() else { return };
    let handle = stamped(server, "ContextKeeper").await;
    let mut context =
        PluginContext::new("request-1").with_metadata(object(json!({"note": "hello"})));
    for _ in 0..2 {
        assert!(
            handle
                .invoke_hook::<ToolPreInvoke>(&tool(json!({})), &mut context)
                .await
                .unwrap()
                .is_allowed()
        );
    }
    let hooks = json!(["tool_pre_invoke", "tool_pre_invoke"]);
    assert_eq!(Value::Object(context.metadata), json!({"note": "hello", "hooks": hooks}));
    assert_eq!(Value::Object(context.state), json!({"calls": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_side_by_side_get_their_own_results() {
    let Some(server) = ReferenceServer::shared() else { return };
    let handle = stamped(server, "Echo").await;
    let calls = (0..200).map(|i| {
        let handle = handle.clone();
        tokio::spawn(async move {
            // One request: nothing but the stamps tells these calls apart.
            let mut context = PluginContext::new("request-1");
            let payload = tool(json!({"marker": i}));
            let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
            assert_eq!(common::modified(result.unwrap()), Some(payload));
        })
    });
    for call in in_time("200 calls are answered", join_all(calls)).await {
        call.unwrap();
    }
    assert_eq!((handle.stats().ok, handle.stats().mismatches), (200, 0));
}

/// It comes without a context: nothing to prove it by, and nothing that it allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_plugin_comes_without_a_stamp_and_keeps_the_connection() {
    let Some(server) = ReferenceServer::shared() else { return };
    let handle = stamped(server, "Crash").await;
    let mut context = PluginContext::new("request-1");
    for how in ["raise", "plugin_error", "raise"] {
        let payload = tool(json!({"how": how}));
        let error = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    }
    assert_eq!(handle.stats().connections[0].connects, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_clears_its_metadata_cannot_be_called_with_stamps() {
    let Some(server) = ReferenceServer::shared() else { return };
    let handle = stamped(server, "ContextKeeper").await;
    for forget in [json!(["metadata"]), json!(["state", "metadata", "shared"])] {
        let mut context = PluginContext::new("request-1").with_state(object(json!({"mine": 1})));
        let before = context.clone();
        let payload = tool(json!({"forget": forget}));
        let error = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::BadReply, "unproven"), "{error}");
        assert_eq!(context, before);
    }
    let payload = tool(json!({}));
    let mut context = PluginContext::new("request-1");
    assert!(
        handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap().is_allowed()
    );
}

/// Without stamps a context in which nothing is left does not come back, and the
/// caller's stays as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_stamps_a_state_that_was_emptied_always_comes_back() {
    let Some(server) = ReferenceServer::shared() else { return };
    let handle = stamped(server, "ContextKeeper").await;
    let mut context = PluginContext::new("request-1").with_state(object(json!({"mine": 1})));
    let payload = tool(json!({"forget": ["state"]}));
    assert!(
        handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap().is_allowed()
    );
    assert_eq!(context.state, Object::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_uses_the_key_itself_is_refused() {
    let Some(server) = ReferenceServer::shared() else { return };
    let handle = stamped(server, "Echo").await;
    let mut context =
        PluginContext::new("request-1").with_metadata(object(json!({STAMP_KEY: "mine"})));
    let payload = tool(json!({}));
    let error = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}
