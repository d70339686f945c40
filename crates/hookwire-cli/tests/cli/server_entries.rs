//! What a server's own entries do to a plugin, told before a gateway relies on it.

use hookwire::PluginResult;
use hookwire::config::PluginMode;
use hookwire::server::{Handlers, PluginInfo, PluginServer};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Run, hookwire, text};

/// A server whose `Guard` is never let deny, and whose `Fine` is.
async fn server() -> (TempDir, PluginServer) {
    let dir = tempfile::tempdir().unwrap();
    let plugin =
        || Handlers::new().on_json("tool_pre_invoke", |_, _| async { Ok(PluginResult::allow()) });
    let server = PluginServer::builder()
        .plugin(PluginInfo::new("Guard").with_mode(PluginMode::Audit), plugin())
        .plugin("Fine", plugin())
        .bind(dir.path().join("p.sock"))
        .await
        .unwrap();
    (dir, server)
}

async fn run(arguments: &[&str]) -> Run {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = tokio::task::spawn_blocking(move || {
        hookwire(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "")
    });
    run.await.unwrap()
}

fn entry(dir: &TempDir, name: &str, hook: &str) -> String {
    let path = dir.path().join("p.sock");
    json!({
        "name": name, "kind": "external", "mode": "sequential", "hooks": [hook],
        "unix_socket": {"path": text(&path)},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configs_warns_of_a_plugin_whose_server_never_lets_it_deny() {
    let (dir, _server) = server().await;
    let path = dir.path().join("p.sock");
    let ran = run(&["configs", "--socket", text(&path)]).await;
    assert_eq!(ran.result().as_array().unwrap().len(), 2);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    for part in ["plugin `Guard`", "`audit`", "its server never lets it deny"] {
        assert!(ran.stderr.contains(part), "{ran:?}");
    }
    let ran = run(&["configs", "--socket", text(&path), "--plugin", "Guard", "--json"]).await;
    let warning: Value = serde_json::from_str(ran.stderr.trim()).unwrap();
    assert!(warning["warning"].as_str().unwrap().contains("never lets it deny"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_where_a_gateways_entry_and_its_servers_contradict_each_other() {
    let (dir, _server) = server().await;
    let ran = run(&["check", &entry(&dir, "Guard", "tool_pre_invoke")]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.json();
    let [difference] = &report["differences"].as_array().unwrap()[..] else { panic!("{ran:?}") };
    assert_eq!(difference["weaker"], true);
    let message = difference["message"].as_str().unwrap();
    assert!(message.contains("its server never lets it deny"), "{message}");

    let ran = run(&["check", &entry(&dir, "Fine", "tool_pre_invok")]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("tool_pre_invoke"), "the nearest name: {ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_finds_nothing_where_both_sides_agree() {
    let (dir, _server) = server().await;
    let report = run(&["check", &entry(&dir, "Fine", "tool_pre_invoke")]).await.result();
    assert_eq!(report["differences"], json!([]));
    assert_eq!([&report["plugin"], &report["mode"]], ["Fine", "sequential"]);
    assert_eq!(report["hooks"], json!(["tool_pre_invoke"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_refuses_a_name_of_another_case_and_an_entry_that_cannot_be_used() {
    let (dir, _server) = server().await;
    let ran = run(&["check", &entry(&dir, "fine", "tool_pre_invoke")]).await;
    assert!(ran.failure(1).contains("the server knows this plugin as `Fine`"), "{ran:?}");
    let ran = run(&["check", r#"{"name": "P", "unix_socket": {"path": "p.sock"}}"#]).await;
    assert!(ran.failure(2).contains("must be absolute"), "{ran:?}");
    let ran = run(&["check", "entry.json"]).await;
    assert!(ran.failure(2).contains("not valid JSON"), "{ran:?}");
}
