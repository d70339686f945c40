//! Many plugins by name: side by side, and none in the way of another.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::calls::{LIMIT, eventually, in_time};
use fault_server::{FaultServer, Gate, config_reply, frame};
use hookwire::config::PluginMode;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{
    ConnectError, ErrorKind, Hooks, OnConnectFailure, PluginConfig, PluginContext, PluginHandle,
    PluginResult, Plugins,
};

/// A server whose plugin `name` answers with its name and `version`.
async fn serve(socket: &Path, name: &str, version: &'static str) -> PluginServer {
    let plugin = Handlers::new().on::<ToolPreInvoke>(move |payload, _context| async move {
        Ok(PluginResult::modify(payload.with_arg("version", version)))
    });
    PluginServer::builder().plugin(name, plugin).bind(socket).await.unwrap()
}

fn config(name: &str, socket: &Path) -> PluginConfig {
    let unix = hookwire::UnixSocketConfig::builder(socket)
        .reconnect_delay(Duration::from_millis(5))
        .max_backoff(Duration::from_millis(20));
    let plugin = PluginConfig::builder(name).unix_socket(unix).timeout(Duration::from_secs(10));
    plugin.build().unwrap()
}

const HASTY: Duration = Duration::from_millis(20);

/// Whoever waits for its `timeout` instead of its `connect_timeout` is found to hang.
fn config_of_one_that_hangs(name: &str, socket: &Path) -> PluginConfig {
    let unix =
        hookwire::UnixSocketConfig::builder(socket).connect_timeout(HASTY).stall_limit(LIMIT);
    PluginConfig::builder(name).unix_socket(unix).timeout(LIMIT * 2).build().unwrap()
}

async fn connect(
    configs: Vec<PluginConfig>,
    on_failure: OnConnectFailure,
) -> Result<(Plugins, Vec<hookwire::PluginReport>), ConnectError> {
    Plugins::builder().plugins(configs).on_failure(on_failure).connect().await
}

async fn version(plugin: &PluginHandle) -> Result<String, &'static str> {
    let payload = ToolPreInvokePayload::new("search");
    let mut context = PluginContext::new("request-1");
    let result = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
    let payload = common::modified(result.map_err(|error| error.reason())?).unwrap();
    Ok(payload.args.unwrap()["version"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_plugins_are_connected_and_reported_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a.sock", "b.sock"].map(|file| dir.path().join(file));
    let _servers = (serve(&a, "A", "1").await, serve(&b, "B", "1").await);
    let configs = vec![config("B", &b), config("A", &a)];
    let (plugins, reports) = connect(configs, OnConnectFailure::FailAll).await.unwrap();
    assert_eq!(plugins.names(), ["B", "A"], "in their order");
    assert!(reports.iter().all(|report| report.outcome.is_ok()));
    assert_eq!(version(&plugins.get("A").unwrap()).await.unwrap(), "1");
    assert!(plugins.get("C").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_reached_fails_all_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let server = serve(&socket, "A", "1").await;
    let configs = vec![config("A", &socket), config("Gone", &dir.path().join("gone.sock"))];
    let error = connect(configs, OnConnectFailure::FailAll).await.unwrap_err();
    let ConnectError::Failed(reports) = &error else { panic!("{error}") };
    assert_eq!(reports.iter().filter(|report| report.outcome.is_err()).count(), 1);
    assert!(error.to_string().contains("1 of 2") && error.to_string().contains("gone.sock"));
    eventually("the other one is closed again", || server.stats().open_connections == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_comes_later_is_taken_in_checked_and_usable_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let [early, late] = ["early.sock", "late.sock"].map(|file| dir.path().join(file));
    let _early = serve(&early, "Early", "1").await;
    let configs = vec![config("Early", &early), config("Late", &late)];
    let (plugins, reports) = connect(configs, OnConnectFailure::KeepRetrying).await.unwrap();
    assert!(reports[0].outcome.is_ok() && reports[1].outcome.is_err());
    assert_eq!(version(&plugins.get("Early").unwrap()).await.unwrap(), "1");
    let plugin = plugins.get("Late").unwrap();
    assert_eq!(version(&plugin).await, Err("unavailable"));
    assert_eq!(plugin.hooks(), Hooks::Unknown);

    let _late = serve(&late, "Late", "1").await;
    // The server's configuration is merged once it can be asked.
    eventually("the check is made up for", || plugin.hooks() == ["tool_pre_invoke"]).await;
    assert_eq!(version(&plugin).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_comes_later_under_another_spelling_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("late.sock");
    let configs = vec![config("late", &socket)];
    let (plugins, _) = connect(configs, OnConnectFailure::KeepRetrying).await.unwrap();
    let plugin = plugins.get("late").unwrap();
    let _server = serve(&socket, "Late", "1").await;
    let refused = async {
        while version(&plugin).await != Err("name_mismatch") {
            tokio::task::yield_now().await;
        }
    };
    in_time("the refusal", refused).await;
}

/// A plugin that hangs is as much "there" as one that starts slowly. It used to hold up
/// the whole gateway for its `timeout`, once for connecting and once for its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_holds_the_start_up_for_its_connect_timeout_only() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let _server = serve(&socket, "A", "1").await;
    let (answers, questions) = (Gate::closed(), Arc::new(AtomicUsize::new(0)));
    let (gate, asked) = (answers.clone(), Arc::clone(&questions));
    let slow = FaultServer::start(move |mut connection| {
        let (gate, asked) = (gate.clone(), Arc::clone(&asked));
        async move {
            loop {
                let _question = connection.request().await?;
                asked.fetch_add(1, SeqCst);
                gate.passed().await;
                connection.raw(&frame(&config_reply("Slow", &["tool_pre_invoke"]))).await?;
            }
        }
    });
    let configs = vec![config("A", &socket), config_of_one_that_hangs("Slow", &slow.path())];
    let connected = connect(configs, OnConnectFailure::KeepRetrying);
    let (plugins, reports) = in_time("the start", connected).await.unwrap();
    assert!(reports[0].outcome.is_ok() && !reports[0].pending);
    assert_eq!(reports[1].outcome.as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(reports[1].pending);
    assert_eq!(version(&plugins.get("A").unwrap()).await.unwrap(), "1");

    let plugin = plugins.get("Slow").unwrap();
    assert_eq!(plugin.hooks(), Hooks::Unknown);
    answers.open();
    eventually("the check is finished", || plugin.hooks() == ["tool_pre_invoke"]).await;
    assert_eq!(questions.load(SeqCst), 1, "it was not asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_start_leaves_no_check_behind() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let server = serve(&socket, "A", "1").await;
    let open = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&open);
    let hangs = FaultServer::start(move |mut connection| {
        let opened = Arc::clone(&opened);
        async move {
            opened.fetch_add(1, SeqCst);
            let closed = connection.client_closed().await;
            opened.fetch_sub(1, SeqCst);
            closed
        }
    });
    let patient = hookwire::UnixSocketConfig::builder(hangs.path()).connect_timeout(LIMIT * 2);
    let patient = PluginConfig::builder("Patient").unix_socket(patient).timeout(LIMIT * 2);
    let patient = patient.build().unwrap();
    let hasty = config_of_one_that_hangs("Hasty", &hangs.path());
    let configs = vec![config("A", &socket), hasty, patient];
    let mut connected = Box::pin(connect(configs, OnConnectFailure::KeepRetrying));
    let all_open = || server.stats().open_connections == 1 && open.load(SeqCst) == 2;
    tokio::select! {
        _ = &mut connected => panic!("the patient one is not waited for"),
        () = eventually("all are connected", all_open) => {}
    }
    // The hasty one is given up by now, and its check would go on after the start.
    assert!(tokio::time::timeout(HASTY * 2, &mut connected).await.is_err());
    drop(connected);
    let all_closed = || server.stats().open_connections == 0 && open.load(SeqCst) == 0;
    eventually("all are closed", all_closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_refused_at_the_start_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let _server = serve(&socket, "A", "1").await;
    let configs = vec![config("a", &socket)];
    let (_plugins, reports) = connect(configs, OnConnectFailure::KeepRetrying).await.unwrap();
    assert_eq!(reports[0].outcome.as_ref().unwrap_err().reason(), "name_mismatch");
    assert!(!reports[0].pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_made_elsewhere_is_taken_in_while_its_plugin_is_down() {
    let dir = tempfile::tempdir().unwrap();
    let [a, late] = ["a.sock", "late.sock"].map(|file| dir.path().join(file));
    let _a = serve(&a, "A", "1").await;
    let (plugins, _) = connect(vec![], OnConnectFailure::FailAll).await.unwrap();

    plugins.insert(PluginHandle::connect_lazy(config("Late", &late))).unwrap();
    let plugin = plugins.get("Late").unwrap();
    assert_eq!(version(&plugin).await, Err("unavailable"));
    let _late = serve(&late, "Late", "1").await;
    let answered = async {
        while version(&plugin).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    in_time("a call after the plugin has come", answered).await;

    let again = plugins.insert(PluginHandle::connect_lazy(config("Late", &a))).unwrap_err();
    assert!(matches!(again, ConnectError::Duplicate(name) if name == "Late"));
    assert_eq!(version(&plugins.get("Late").unwrap()).await.unwrap(), "1", "the first one stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_replaced_by_one_that_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old.sock", "new.sock"].map(|file| dir.path().join(file));
    let _old = serve(&old, "A", "1").await;
    let (plugins, _) = connect(vec![config("A", &old)], OnConnectFailure::FailAll).await.unwrap();

    let next = PluginHandle::connect_lazy(config("A", &new));
    let replaced = plugins.replace_with(next).unwrap();
    assert_eq!(version(&replaced).await.unwrap(), "1");
    assert_eq!(version(&plugins.get("A").unwrap()).await, Err("unavailable"));

    let unknown = plugins.replace_with(PluginHandle::connect_lazy(config("B", &new))).unwrap_err();
    assert!(matches!(unknown, ConnectError::Unknown(name) if name == "B"));
    assert_eq!(plugins.names(), ["A"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_plugins_of_one_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let _server = serve(&socket, "A", "1").await;
    let twice = vec![config("A", &socket), config("A", &socket)];
    let error = connect(twice, OnConnectFailure::KeepRetrying).await.unwrap_err();
    assert!(matches!(error, ConnectError::Duplicate(name) if name == "A"));

    let configs = vec![config("A", &socket)];
    let (plugins, _) = connect(configs, OnConnectFailure::FailAll).await.unwrap();
    let error = plugins.add(config("A", &socket)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Duplicate(name) if name == "A"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_are_added_replaced_and_removed_while_others_are_called() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b1, b2] = ["a.sock", "b1.sock", "b2.sock"].map(|file| dir.path().join(file));
    let _servers =
        (serve(&a, "A", "1").await, serve(&b1, "B", "1").await, serve(&b2, "B", "2").await);
    let configs = vec![config("A", &a)];
    let (plugins, _) = connect(configs, OnConnectFailure::FailAll).await.unwrap();

    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (plugin, stopped) = (plugins.get("A").unwrap(), std::sync::Arc::clone(&stop));
    let calls = tokio::spawn(async move {
        let mut calls = 0;
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            assert_eq!(version(&plugin).await.unwrap(), "1");
            calls += 1;
        }
        calls
    });

    let report = plugins.add(config("B", &b1)).await.unwrap();
    assert!(report.outcome.is_ok() && report.plugin == "B");
    assert_eq!(version(&plugins.get("B").unwrap()).await.unwrap(), "1");
    let (old, report) = plugins.replace(config("B", &b2)).await.unwrap();
    assert!(report.outcome.is_ok() && !report.pending);
    assert_eq!(version(&plugins.get("B").unwrap()).await.unwrap(), "2");
    assert_eq!(version(&old).await.unwrap(), "1", "the old one works for who still holds it");

    let error = plugins.replace(config("B", &dir.path().join("gone.sock"))).await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed(_)), "{error}");
    assert_eq!(version(&plugins.get("B").unwrap()).await.unwrap(), "2", "the old one stays");
    let error = plugins.replace(config("C", &a)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unknown(name) if name == "C"));

    assert!(plugins.remove("B").is_some() && plugins.remove("B").is_none());
    assert_eq!(plugins.names(), ["A"]);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(calls.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_drains_all_plugins_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a.sock", "b.sock"].map(|file| dir.path().join(file));
    let servers = (serve(&a, "A", "1").await, serve(&b, "B", "1").await);
    let configs = vec![config("A", &a), config("B", &b)];
    let (plugins, _) = connect(configs, OnConnectFailure::FailAll).await.unwrap();
    let handles = [plugins.get("A").unwrap(), plugins.get("B").unwrap()];
    plugins.clone().shutdown(Duration::from_secs(10)).await;
    assert!(plugins.names().is_empty());
    for plugin in handles {
        assert_eq!(version(&plugin).await, Err("shutdown"));
    }
    eventually("all connections are closed", || {
        servers.0.stats().open_connections + servers.1.stats().open_connections == 0
    })
    .await;
}

/// Keeps retrying, with plugin A on this socket.
async fn patient(socket: &Path) -> Plugins {
    let (plugins, _) =
        connect(vec![config("A", socket)], OnConnectFailure::KeepRetrying).await.unwrap();
    plugins
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_down_is_added_and_checked_once_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let [a, late] = ["a.sock", "late.sock"].map(|file| dir.path().join(file));
    let _a = serve(&a, "A", "1").await;
    let plugins = patient(&a).await;
    let report = plugins.add(config("Late", &late)).await.unwrap();
    assert!(report.pending && report.outcome.is_err());
    let plugin = plugins.get("Late").unwrap();
    assert!(!plugin.is_checked() && plugin.hooks() == Hooks::Unknown);
    let _late = serve(&late, "Late", "1").await;
    eventually("it is checked", || plugin.is_checked()).await;
    assert_eq!(plugin.hooks(), ["tool_pre_invoke"]);
    assert_eq!(version(&plugin).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_down_replaces_another_in_its_place_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, late] = ["a.sock", "b.sock", "late.sock"].map(|file| dir.path().join(file));
    let _servers = (serve(&a, "A", "1").await, serve(&b, "B", "1").await);
    let plugins = patient(&a).await;
    assert!(plugins.add(config("B", &b)).await.unwrap().outcome.is_ok());
    let (old, report) = plugins.replace(config("A", &late)).await.unwrap();
    assert!(report.pending);
    assert_eq!(version(&old).await.unwrap(), "1", "its calls finish");
    assert_eq!(plugins.names(), ["A", "B"], "it keeps its place");
    let order: Vec<_> = plugins.handles().iter().map(|plugin| plugin.name().to_owned()).collect();
    assert_eq!(order, ["A", "B"]);
    let _late = serve(&late, "A", "2").await;
    let plugin = plugins.get("A").unwrap();
    eventually("it is checked", || plugin.is_checked()).await;
    assert_eq!(version(&plugin).await.unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_can_never_be_used_neither_joins_nor_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a.sock", "b.sock"].map(|file| dir.path().join(file));
    let _servers = (serve(&a, "A", "1").await, serve(&b, "B", "1").await);
    let plugins = patient(&a).await;
    for refused in [
        plugins.add(config("b", &b)).await.map(drop),
        plugins.replace(config("A", &b)).await.map(drop),
    ] {
        let Err(ConnectError::Failed(reports)) = refused else { panic!("it was taken in") };
        let error = reports[0].outcome.as_ref().unwrap_err();
        assert!(matches!(error.reason(), "name_mismatch" | "no_hooks"), "{error}");
    }
    assert_eq!(plugins.names(), ["A"]);
    assert_eq!(version(&plugins.get("A").unwrap()).await.unwrap(), "1");
}

/// It used to be connected to, and one that was down kept the gateway from starting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_disabled_is_listed_and_neither_connected_to_nor_called() {
    let dir = tempfile::tempdir().unwrap();
    let [a, gone] = ["a.sock", "gone.sock"].map(|file| dir.path().join(file));
    let server = serve(&a, "A", "1").await;
    let disabled = |name: &str, socket: &Path| {
        let config = PluginConfig::builder(name).socket(socket).hook("tool_pre_invoke");
        config.mode(PluginMode::Disabled).build().unwrap()
    };
    let configs = vec![disabled("Gone", &gone), disabled("A", &a)];
    let (plugins, reports) = connect(configs, OnConnectFailure::FailAll).await.unwrap();
    assert!(reports.iter().all(|report| report.outcome.is_ok() && !report.pending));
    assert_eq!(plugins.names(), ["Gone", "A"]);
    for plugin in plugins.handles() {
        assert_eq!(version(&plugin).await, Err("disabled"));
        assert_eq!(plugin.stats().refused, 1);
    }
    assert_eq!(server.stats().open_connections, 0);
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn a_runtime_that_is_named_is_enough_to_connect_from_outside_of_any() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [a, late] = ["a.sock", "late.sock"].map(|file| dir.path().join(file));
    let _a = runtime.block_on(serve(&a, "A", "1"));
    let builder = Plugins::builder()
        .plugins([config("A", &a), config("Late", &late)])
        .on_failure(OnConnectFailure::KeepRetrying);
    let nowhere = futures::executor::block_on(builder.clone().connect());
    assert!(matches!(nowhere, Err(ConnectError::NoRuntime)));

    let connecting = builder.runtime(runtime.handle().clone()).connect();
    let (plugins, reports) = futures::executor::block_on(connecting).unwrap();
    assert!(reports[0].outcome.is_ok() && reports[1].pending);
    runtime.block_on(async {
        let _late = serve(&late, "Late", "1").await;
        let plugin = plugins.get("Late").unwrap();
        eventually("it is checked", || plugin.is_checked()).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_handle_is_verified_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let plugin = PluginHandle::connect_lazy(config("A", &socket));
    assert_eq!(plugin.verify().await.unwrap_err().reason(), "unavailable");
    assert!(!plugin.is_checked());
    let _a = serve(&socket, "A", "1").await;
    let verified = async {
        while plugin.verify().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    in_time("it answers", verified).await;
    assert!(plugin.is_checked());
    assert_eq!(plugin.hooks(), ["tool_pre_invoke"]);
}
