//! Nobody has to believe the scenarios: the reference client goes through those of H1,
//! H4 and H13 and fails; ours goes through the same and does not.
//!
//! The reference needs Python; without it these tests say so and show our half only.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::calls::{
    LIMIT, PLUGIN, SOON, call, call_soon, call_with, config, in_time, lazy, socket,
};
use common::reference::ReferenceClient;
use fault_server::{FaultServer, Gate, Reply, Request, config_reply, frame};
use hookwire::{CallOptions, PluginHandle, Sent};
use serde_json::{Value, json};

/// Runs steps of the reference client, which blocks; `None` where there is no Python.
async fn reference<T: Send + 'static>(
    server: &FaultServer,
    timeout: f64,
    steps: impl FnOnce(&mut ReferenceClient) -> T + Send + 'static,
) -> Option<T> {
    let setup = json!({
        "socket": server.path(), "plugin": PLUGIN, "timeout": timeout, "reconnect_delay": 0.01,
    });
    let steps = move || {
        let mut client = ReferenceClient::start(&setup)?;
        client.step(&json!({"do": "initialize"}));
        Some(steps(&mut client))
    };
    tokio::task::spawn_blocking(steps).await.unwrap()
}

fn invoke(marker: &str) -> Value {
    let payload = json!({"name": "t", "args": {"marker": marker}});
    json!({"do": "invoke", "hook": "tool_pre_invoke", "payload": payload})
}

fn marker(answer: &Value) -> &Value {
    &answer["result"]["modified_payload"]["args"]["marker"]
}

// --- H1 ---

/// The first call of each connection is answered when the gate opens, the others at once.
fn slow_at_first() -> (FaultServer, Gate) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = FaultServer::start(move |mut connection| {
        let gate = closed.clone();
        async move {
            let call = connection.hook().await?;
            gate.passed().await;
            connection.answer(&call).await?;
            connection.serve().await
        }
    });
    (server, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_a_late_reply_goes_to_the_next_caller_of_the_reference_and_to_nobody_here() {
    let (server, gate) = slow_at_first();
    let handle = lazy(socket(server.path()));
    assert!(call_soon(&handle, "first").await.unwrap_err().is_timeout());
    gate.open();
    for marker in ["second", "third"] {
        assert_eq!(call(&handle, marker).await.unwrap(), marker);
    }

    let (server, gate) = slow_at_first();
    let answers = reference(&server, 0.2, move |client| {
        let first = client.step(&invoke("first"));
        gate.open();
        let mut second = invoke("second");
        second["timeout"] = json!(30);
        [first, client.step(&second), client.step(&invoke("third"))]
    });
    let Some([first, second, third]) = answers.await else { return };
    assert_eq!(first["ok"], false, "{first}");
    assert_eq!(*marker(&second), "first", "{second}");
    assert_eq!(*marker(&third), "second", "{third}");
    assert_eq!(third["connected"], true);
}

// --- H4 ---

/// Runs each hook and dies before the reply.
fn dies_after_each() -> FaultServer {
    FaultServer::start(|mut connection| async move { connection.hook().await.map(drop) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_the_reference_runs_a_hook_four_times_and_ours_once() {
    let server = dies_after_each();
    let handle = PluginHandle::connect(config(socket(server.path()))).await.unwrap();
    let error = in_time("a call", call(&handle, "m")).await.unwrap_err();
    assert_eq!(error.sent(), Sent::Maybe, "{error}");
    assert_eq!(server.record().seen().executions_of("m"), 1);

    let server = dies_after_each();
    let answer = reference(&server, 30.0, |client| client.step(&invoke("m")));
    let Some(answer) = answer.await else { return };
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(server.record().seen().executions_of("m"), 4, "{answer}");
}

// --- H13 ---

/// Denies everything, and answers the question for the configuration late.
fn denies_everything() -> (FaultServer, Gate) {
    let gate = Gate::closed();
    let closed = gate.clone();
    let server = FaultServer::start(move |mut connection| {
        let gate = closed.clone();
        async move {
            loop {
                match connection.request().await? {
                    Request::Config(name) => {
                        gate.passed().await;
                        connection.raw(&frame(&config_reply(&name, &["tool_pre_invoke"]))).await?;
                    }
                    call => connection.reply(Reply::denial(&call)).await?,
                }
            }
        }
    });
    (server, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_a_late_config_reply_allows_a_call_of_the_reference_and_none_here() {
    let (server, gate) = denies_everything();
    let brief = socket(server.path()).timeout(SOON);
    let handle = in_time("connect", PluginHandle::connect(config(brief))).await.unwrap();
    gate.open();
    let options = CallOptions::new().timeout(LIMIT);
    for _ in 0..3 {
        // A denial has no payload to take a marker from.
        assert_eq!(call_with(&handle, "m", options).await.unwrap(), "nothing");
    }
    assert_eq!((handle.stats().violations, handle.stats().ok), (3, 0));

    let (server, gate) = denies_everything();
    let answers = reference(&server, 0.2, move |client| {
        gate.open();
        let mut first = invoke("first");
        first["timeout"] = json!(30);
        [client.step(&first), client.step(&invoke("second"))]
    });
    let Some([first, second]) = answers.await else { return };
    assert_eq!(first["result"]["continue_processing"], true, "{first}");
    assert_eq!(second["result"]["continue_processing"], false, "{second}");
}
