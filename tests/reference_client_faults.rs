//! The reference client and our embedded server when something is wrong: unknown names,
//! plugins that fail, a server that goes away.
#![cfg(feature = "server")]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::eventually;
use common::reference::ReferenceClient;
use common::reference::served::Served;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(300);

fn client(served: &Served, plugin: &str) -> Option<ReferenceClient> {
    let setup = json!({"socket": served.socket(), "plugin": plugin, "timeout": 30});
    let mut client = ReferenceClient::start(&setup)?;
    // It connects even to a plugin that is not there, and only warns.
    assert_eq!(client.step(&json!({"do": "initialize"}))["connected"], true);
    Some(client)
}

fn tool(args: Value) -> Value {
    json!({"do": "invoke", "hook": "tool_pre_invoke", "payload": {"name": "tool", "args": args}})
}

/// The error of a step that must have one, as the client tells it.
fn error(answer: &Value) -> &Value {
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(answer["connected"], true, "an error is a reply: {answer}");
    &answer["error"]
}

fn not_found(hook: &str, plugin: &str) -> String {
    format!("Unable to find {hook} for plugin {plugin}.  Make sure the plugin is registered.")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_plugins_and_hooks_are_told_in_the_words_of_the_reference() {
    let served = Served::start(LONG).await;
    // The name in the wrong case is found at the start, and by no call (fault H17).
    for plugin in ["Nobody", "eCHO"] {
        let Some(mut client) = client(&served, plugin) else { return };
        let answer = client.step(&tool(json!({})));
        let error = error(&answer);
        assert_eq!(error["message"], not_found("tool_pre_invoke", plugin));
        assert_eq!((&error["plugin_name"], &error["code"]), (&json!(plugin), &json!("")));
        assert_eq!(error["mcp_error_code"], -32603);
    }
    let Some(mut client) = client(&served, "Deny") else { return };
    let prompt = json!({"do": "invoke", "hook": "prompt_pre_fetch", "payload": {"prompt_id": "p"}});
    let answer = client.step(&prompt);
    assert_eq!(error(&answer)["message"], not_found("prompt_pre_fetch", "Deny"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_fails_is_an_error_and_the_connection_goes_on() {
    let served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Fail") else { return };

    let answer = client.step(&tool(json!({"how": "error"})));
    let told = error(&answer);
    assert_eq!(told["message"], "the fixture says no");
    assert_eq!((&told["plugin_name"], &told["code"]), (&json!("inner"), &json!("FIXTURE")));
    assert_eq!(told["mcp_error_code"], -32050);
    assert_eq!(told["details"], json!({"hint": [1.0, "two"]}), "its own server sends none");

    let answer = client.step(&tool(json!({"how": "panic"})));
    assert_eq!(error(&answer)["code"], "INTERNAL_ERROR");

    let answer = client.step(&tool(json!({"how": "unsayable"})));
    let unsayable = error(&answer);
    assert!(unsayable["message"].as_str().unwrap_or_default().contains("2^53"), "{unsayable}");
    assert_eq!(unsayable["plugin_name"], "Fail");

    let mut no_name = tool(json!({}));
    no_name["typed"] = json!(false);
    no_name["payload"] = json!({"args": {}});
    let answer = client.step(&no_name);
    let invalid = error(&answer)["message"].as_str().unwrap_or_default();
    assert!(invalid.contains("`tool_pre_invoke` cannot be read"), "{invalid}");
    assert!(invalid.contains("`name`"), "{invalid}");

    let connections = served.server.as_ref().map(|server| server.stats().connections);
    assert_eq!(connections, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_two_plugins_share_a_socket() {
    let served = Served::start(LONG).await;
    let Some(mut echo) = client(&served, "Echo") else { return };
    let Some(mut deny) = client(&served, "Deny") else { return };
    let mut many = tool(json!({"marker": "{i}"}));
    (many["do"], many["n"]) = (json!("concurrent"), json!(100));
    echo.send(&many);
    deny.send(&many);
    let (echoed, denied) = (echo.answer(), deny.answer());
    for i in 0..100 {
        let payload = &echoed["calls"][i]["result"]["modified_payload"];
        assert_eq!(payload["args"]["marker"], i.to_string());
        assert_eq!(denied["calls"][i]["result"]["continue_processing"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_comes_back_to_a_server_that_was_killed_and_started_again() {
    let mut served = Served::start(LONG).await;
    let Some(mut client) = client(&served, "Counter") else { return };
    assert_eq!(client.step(&tool(json!({"marker": "before"})))["ok"], true);
    served.restart().await;
    assert_eq!(client.step(&tool(json!({"marker": "after"})))["ok"], true);

    // Killed while the hook runs: the client sends the call again (fault H4), so it runs twice.
    client.send(&tool(json!({"marker": "held", "delay_ms": 500})));
    eventually("the hook runs", || served.executions("held") == 1).await;
    served.restart().await;
    assert_eq!(client.answer()["ok"], true);
    let executions = ["before", "after", "held"].map(|marker| served.executions(marker));
    assert_eq!(executions, [1, 1, 2]);

    served.kill().await;
    let answer = client.step(&tool(json!({"marker": "nobody"})));
    assert_eq!((&answer["ok"], &answer["connected"]), (&json!(false), &json!(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_idle_too_long_is_disconnected_and_may_come_back() {
    let served = Served::start(Duration::from_millis(300)).await;
    let Some(mut client) = client(&served, "Echo") else { return };
    let stats = || served.server.as_ref().map(|server| server.stats()).unwrap_or_default();
    eventually("the server closes the connection", || stats().open_connections == 0).await;
    assert_eq!(client.step(&tool(json!({})))["ok"], true);
    assert_eq!(stats().connections, 2);
}
