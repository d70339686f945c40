//! The test harness itself: the reference server and client can be run as peers.

mod common;

use common::reference::{ReferenceServer, run_client};
use serde_json::{Value, json};

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn invoke(hook: &str, payload: Value) -> Value {
    json!({"do": "invoke", "hook": hook, "payload": payload})
}

#[test]
fn an_empty_frame_asks_the_reference_server_for_all_its_plugins() {
    let Some(server) = ReferenceServer::start(&[]) else { return };
    let reply = server.exchange(b"");
    for plugin in ["Transform", "Deny", "ContextKeeper", "Counter"] {
        assert!(contains(&reply, plugin), "{plugin} is missing");
    }
}

#[test]
fn the_reference_client_calls_the_reference_server() {
    let Some(server) = ReferenceServer::start(&[]) else { return };
    let setup = json!({"socket": server.socket(), "plugin": "Transform"});
    let answers = run_client(
        &setup,
        &[
            json!({"do": "initialize"}),
            invoke("tool_pre_invoke", json!({"name": "t", "args": {"a": "x", "b": [1, "y"]}})),
            invoke("no_such_hook", json!({})),
            json!({"do": "shutdown"}),
        ],
    )
    .expect("the server runs, so the package is there");

    assert_eq!(answers[0]["connected"], true);
    assert_eq!(
        answers[1]["result"]["modified_payload"]["args"],
        json!({"a": "X", "b": [1.0, "Y"]})
    );
    assert_eq!(answers[2]["ok"], false);
    assert_eq!(answers[3]["connected"], false);
}

#[test]
fn executions_are_counted_over_a_crash_and_a_restart_on_the_same_socket() {
    let Some(mut server) = ReferenceServer::start(&[]) else { return };
    let setup = json!({"socket": server.socket(), "plugin": "Counter", "reconnect_attempts": 0});
    let once = invoke("tool_pre_invoke", json!({"name": "t", "args": {"marker": "m"}}));
    let last =
        invoke("tool_pre_invoke", json!({"name": "t", "args": {"marker": "m", "exit": true}}));

    let connect = json!({"do": "initialize"});
    let steps = [connect.clone(), once.clone(), last];
    let answers = run_client(&setup, &steps).expect("the package is there");
    assert_eq!(answers[1]["result"]["metadata"]["count"], 1.0);
    assert_eq!(answers[2]["ok"], false, "the server died while the hook ran: {}", answers[2]);
    assert_eq!(server.executions("m"), 2);

    server.restart();
    let answers = run_client(&setup, &[connect, once]).expect("the package is there");
    assert_eq!(answers[1]["result"]["metadata"]["count"], 1.0, "a new server counts from one");
    assert_eq!(server.executions("m"), 3);
    assert_eq!(server.executions("another"), 0);
}

#[test]
fn the_reference_client_hands_a_late_reply_to_the_next_caller() {
    // Fault H1 of the reference: after a timeout every reply belongs to the call before.
    let Some(server) = ReferenceServer::start(&[]) else { return };
    let call = |name: &str, delay_ms: u32| {
        invoke("tool_pre_invoke", json!({"name": name, "args": {"delay_ms": delay_ms}}))
    };
    let mut late = call("first", 1000);
    late["timeout"] = json!(0.2);
    let mut next = call("second", 0);
    next["timeout"] = json!(30);
    let setup = json!({"socket": server.socket(), "plugin": "Slow"});
    let answers = run_client(&setup, &[json!({"do": "initialize"}), late, next])
        .expect("the package is there");

    assert_eq!(answers[1]["ok"], false);
    assert_eq!(answers[2]["result"]["modified_payload"]["name"], "first");
    assert_eq!(answers[2]["connected"], true);
}
