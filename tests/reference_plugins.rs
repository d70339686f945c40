//! Which plugins the reference server has, how they are configured, and several at once.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::reference::ReferenceServer;
use common::reference::calls::{call, config, connect};
use hookwire::config::PluginMode;
use hookwire::{
    CallPolicy, ConnectError, ErrorKind, OnConnectFailure, PluginConfig, PluginHandle, Plugins,
    Sent,
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_tells_the_configuration_of_a_plugin_and_of_all() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;
    let own = plugin.plugin_config().await.unwrap().unwrap();
    assert_eq!(own["name"], "Transform");
    assert_eq!(own["kind"], "fixture_plugins.Transform");
    assert_eq!(own["config"], json!({"greeting": "hello", "limit": 5}));
    assert_eq!(own["hooks"].as_array().map(Vec::len), Some(23));
    assert_eq!((&own["priority"], &own["max_content_size"]), (&json!(10), &json!(10_000_000)));

    let all = plugin.plugin_configs().await.unwrap();
    let names: Vec<_> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let expected = [
        "Transform",
        "Deny",
        "Annotate",
        "ContextKeeper",
        "Slow",
        "Busy",
        "Crash",
        "Echo",
        "Counter",
        "Odd",
    ];
    assert_eq!(names, expected);
    assert!(all[0] == own);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_fills_what_the_local_configuration_leaves_open() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;
    let merged = plugin.config();
    assert_eq!(merged.description(), Some("capitals on every hook"));
    assert_eq!((merged.version(), merged.tags()), (Some("1.0"), &["fixture".to_owned()][..]));
    assert_eq!((merged.mode(), merged.priority()), (PluginMode::Sequential, 10));
    assert_eq!(plugin.hooks().known().map(<[String]>::len), Some(23));
    let config = merged.plugin_settings().cloned().map(Value::Object);
    assert_eq!(config, Some(json!({"greeting": "hello", "limit": 5})));
    assert_eq!(merged.kind(), "external", "how it is reached is a local matter");
    assert_eq!(merged.endpoint().path(), Some(server.socket().as_path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_locally_wins() {
    let Some(server) = ReferenceServer::shared() else { return };
    let config = PluginConfig::builder("Transform")
        .socket(server.socket())
        .hook("tool_pre_invoke")
        .mode(PluginMode::Audit)
        .priority(7)
        .build()
        .unwrap();
    let plugin = PluginHandle::connect(config).await.unwrap();
    assert_eq!(plugin.hooks(), ["tool_pre_invoke"]);
    assert_eq!((plugin.config().mode(), plugin.config().priority()), (PluginMode::Audit, 7));
    assert_eq!(plugin.config().version(), Some("1.0"));
}

/// Fault H17 of the reference: its client starts with such a name, and every call fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_another_case_is_refused_with_both_spellings() {
    let Some(server) = ReferenceServer::shared() else { return };
    let error = PluginHandle::connect(config(server, "tRANSFORM")).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("name_mismatch", Sent::No));
    let text = error.to_string();
    assert!(text.contains("`Transform`") && text.contains("`tRANSFORM`"), "{text}");

    // Why: the server finds its configuration all the same, and no hook of it.
    let policy = CallPolicy::builder().verify(false);
    let config = PluginConfig::builder("tRANSFORM").socket(server.socket()).policy(policy);
    let config = config.hook("tool_pre_invoke").build().unwrap();
    let unverified = PluginHandle::connect(config).await.unwrap();
    assert!(unverified.plugin_config().await.unwrap().is_some());
    assert_eq!(call(&unverified, json!({})).await.unwrap_err().kind(), ErrorKind::Plugin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_on_one_socket_are_called_side_by_side() {
    let Some(server) = ReferenceServer::shared() else { return };
    let configs = ["Echo", "Deny"].map(|name| config(server, name));
    let (plugins, reports) = Plugins::builder().plugins(configs).connect().await.unwrap();
    assert!(reports.iter().all(|report| report.outcome.is_ok()));
    assert_eq!(plugins.names(), ["Echo", "Deny"]);

    let (echo, deny) = (plugins.get("Echo").unwrap(), plugins.get("Deny").unwrap());
    for i in 0..50 {
        let args = json!({"i": i});
        let (echoed, denied) = tokio::join!(call(&echo, args.clone()), call(&deny, args.clone()));
        let echoed = common::modified(echoed.unwrap()).unwrap().args;
        assert_eq!(echoed.map(Value::Object), Some(args));
        assert!(!denied.unwrap().is_allowed());
    }

    assert!(plugins.add(config(server, "Annotate")).await.unwrap().outcome.is_ok());
    let added = plugins.get("Annotate").unwrap();
    assert_eq!(
        call(&added, json!({})).await.unwrap().retry_delay(),
        Some(Duration::from_millis(250))
    );
    drop(plugins.remove("Deny"));
    assert_eq!(plugins.names(), ["Echo", "Annotate"]);
    assert!(!call(&deny, json!({})).await.unwrap().is_allowed());

    plugins.shutdown(Duration::from_secs(5)).await;
    assert_eq!(call(&echo, json!({})).await.unwrap_err().reason(), "shutdown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_with_a_wrong_name_holds_up_no_other() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugins = Plugins::builder().plugins(["Echo", "deny"].map(|name| config(server, name)));
    let all = plugins.clone().connect().await;
    let Err(ConnectError::Failed(reports)) = all else { panic!("one plugin cannot be used") };
    assert_eq!(reports.iter().filter(|report| report.outcome.is_err()).count(), 1);

    let plugins = plugins.on_failure(OnConnectFailure::KeepRetrying);
    let (plugins, _) = plugins.connect().await.unwrap();
    assert!(call(&plugins.get("Echo").unwrap(), json!({})).await.unwrap().is_allowed());
    let error = call(&plugins.get("deny").unwrap(), json!({})).await.unwrap_err();
    assert_eq!(error.reason(), "name_mismatch");
}
