//! How a context goes through the hooks of a request: the reference server's
//! `ContextKeeper` counts its visits in it, and says in the result's metadata what it saw.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::calls::in_time;
use common::reference::ReferenceServer;
use common::reference::calls::{call, connect, context, object, tool};
use futures::future::join_all;
use hookwire::hooks::{
    ResourcePreFetch, ResourcePreFetchPayload, ToolPostInvoke, ToolPostInvokePayload, ToolPreInvoke,
};
use hookwire::model::{Object, User};
use hookwire::{GlobalContext, PluginContext, PluginHandle};
use serde_json::{Value, json};

/// One visit with these orders: what the plugin saw.
async fn visit(plugin: &PluginHandle, args: Value, context: &mut PluginContext) -> Value {
    let result = plugin.invoke_hook::<ToolPreInvoke>(&tool(args), context).await.unwrap();
    Value::Object(result.metadata().clone())
}

fn rich_context() -> PluginContext {
    let global = GlobalContext::new("request-7")
        .with_server_id("tools-eu")
        .with_tenant_id("acme")
        .with_user("ada")
        .with_metadata(object(json!({"route": "/mcp", "hops": 2})))
        .with_state(object(json!({"quota": 10})));
    PluginContext::from(global)
        .with_state(object(json!({"mine": [1, null]})))
        .with_metadata(object(json!({"note": "hello"})))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_carries_values_from_hook_to_hook_of_a_request() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let mut context = rich_context();

    let seen = visit(&plugin, json!({}), &mut context).await;
    assert_eq!(
        seen,
        json!({
            "calls": 1, "hooks": ["tool_pre_invoke"], "total": 1,
            "request_id": "request-7", "server_id": "tools-eu", "tenant_id": "acme", "user": "ada",
            "global_metadata": {"route": "/mcp", "hops": 2},
        })
    );
    let payload = ToolPostInvokePayload::new("tool", "result");
    assert!(
        plugin.invoke_hook::<ToolPostInvoke>(&payload, &mut context).await.unwrap().is_allowed()
    );
    let payload = ResourcePreFetchPayload::new("file:///motd");
    let result = plugin.invoke_hook::<ResourcePreFetch>(&payload, &mut context).await.unwrap();

    let hooks = json!(["tool_pre_invoke", "tool_post_invoke", "resource_pre_fetch"]);
    assert_eq!((&result.metadata()["calls"], &result.metadata()["hooks"]), (&json!(3), &hooks));
    let mut expected = rich_context()
        .with_state(object(json!({"mine": [1, null], "calls": 3})))
        .with_metadata(object(json!({"note": "hello", "hooks": hooks})));
    expected.global_context.state = object(json!({"quota": 10, "total": 3}));
    assert_eq!(json!(context), json!(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_may_be_an_object() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let details = object(json!({"email": "ada@example.org", "teams": ["blue"], "level": 3}));
    let mut context = context().with_user(details.clone());
    let seen = visit(&plugin, json!({}), &mut context).await;
    assert_eq!(seen["user"], Value::Object(details.clone()));
    assert!(context.global_context.user == Some(User::Details(details)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_set_is_absent_for_the_plugin() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let seen = visit(&plugin, json!({}), &mut context().with_tenant_id("")).await;
    for key in ["server_id", "tenant_id", "user"] {
        assert_eq!(seen[key], Value::Null, "{key}");
    }
    assert_eq!(seen["global_metadata"], json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_and_metadata_are_replaced_even_by_empty_ones() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;

    let mut context = rich_context();
    visit(&plugin, json!({"forget": ["state"]}), &mut context).await;
    assert_eq!(context.state, Object::new());
    assert_eq!(Value::Object(context.metadata), json!({"note": "hello"}));

    let mut context = rich_context();
    visit(&plugin, json!({"forget": ["metadata"]}), &mut context).await;
    assert_eq!(context.metadata, Object::new());
    assert_eq!(Value::Object(context.state), json!({"mine": [1, null]}));
}

/// Row H12: the wire cannot tell an emptied global state from an unchanged one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_cannot_clear_the_global_state() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let mut context = rich_context();
    visit(&plugin, json!({"forget": ["shared"]}), &mut context).await;
    assert_eq!(json!(context), json!(rich_context()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_without_a_context_leaves_the_callers_as_it_was() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let mut context = rich_context();
    let all = json!({"forget": ["state", "metadata", "shared"]});
    let seen = visit(&plugin, all, &mut context).await;
    assert_eq!((&seen["calls"], &seen["total"]), (&json!(0), &json!(0)), "the plugin forgot");
    assert_eq!(json!(context), json!(rich_context()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_must_not_change_stays() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let mut context = rich_context();
    let seen = visit(&plugin, json!({"meddle": true}), &mut context).await;
    assert_eq!((&seen["user"], &seen["tenant_id"]), (&json!("mallory"), &json!("evil")));
    assert_eq!(context.state["calls"], 1, "the reply's context came");
    let mut expected = rich_context().global_context;
    expected.state.insert("total".into(), json!(1));
    assert_eq!(json!(context.global_context), json!(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_leaves_the_context_as_it_was() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Crash").await;
    let mut context = rich_context();
    let payload = tool(json!({"how": "raise"}));
    let failed = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
    assert!(failed.is_err());
    assert_eq!(json!(context), json!(rich_context()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_id_gets_its_context_back() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let mut context = PluginContext::new("");
    visit(&plugin, json!({}), &mut context).await;
    assert_eq!(context.state["calls"], 1);
    assert_eq!(context.global_context.request_id, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_share_a_handle_do_not_share_a_context() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "ContextKeeper").await;
    let requests = (0..100).map(|i| {
        let plugin = plugin.clone();
        tokio::spawn(async move {
            let mut context = PluginContext::new(format!("request-{i}"));
            context.state.insert("calls".into(), json!(i));
            let seen = visit(&plugin, json!({}), &mut context).await;
            assert_eq!(seen["request_id"], format!("request-{i}"));
            assert_eq!(context.state["calls"], i + 1);
        })
    });
    for request in in_time("100 requests are answered", join_all(requests)).await {
        request.unwrap();
    }
    assert_eq!((plugin.stats().ok, plugin.stats().mismatches), (100, 0));
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
}
