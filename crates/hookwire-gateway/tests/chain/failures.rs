//! What a plugin that fails does to the request.

use std::time::Duration;

use fault_server::{FaultServer, Reply};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{ErrorKind, PluginHandle};
use hookwire_gateway::{Chain, Decision, HaltReason, Halted};
use serde_json::{Value, json};

use crate::world::{Act, config, gate, in_time, path, record, run, statuses, world};

/// The modes whose answers are waited for.
const MODES: [&str; 4] = ["sequential", "transform", "audit", "concurrent"];

fn with(mode: &str, on_error: &str) -> Value {
    json!({"mode": mode, "on_error": on_error})
}

fn failure(halted: &Halted) -> &hookwire::PluginError {
    match halted.reason() {
        HaltReason::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_fails_ends_the_chain_in_every_mode_that_is_waited_for() {
    for mode in MODES {
        let world = world([
            ("Broken", Act::Fail, with(mode, "fail")),
            ("Watcher", Act::Allow, json!("fire_and_forget")),
        ])
        .await;
        let halted = run(&world.chain()).await.unwrap_err();
        let error = failure(&halted);
        assert_eq!((error.plugin(), error.kind()), ("Broken", ErrorKind::Plugin), "{mode}");
        let broken = record(halted.report(), "Broken");
        assert_eq!((broken.status.as_str(), broken.requested), ("error", None));
        assert_eq!((broken.effective, broken.applied), (Decision::Deny, true));
        assert_eq!(broken.code.as_deref(), Some("plugin_error"));
        assert_eq!(statuses(halted.report())["Watcher"], "skipped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ignored_failure_lets_the_others_decide() {
    for mode in MODES {
        let entries = || [("Broken", Act::Fail, with(mode, "ignore"))];
        let with_guard = world(entries().into_iter().chain([(
            "Guard",
            Act::Deny,
            json!({"mode": "concurrent"}),
        )]))
        .await;
        let halted = run(&with_guard.chain()).await.unwrap_err();
        assert_eq!(halted.denial().unwrap().plugin(), "Guard");

        let alone = world(entries()).await;
        let chain = alone.chain();
        let ran = run(&chain).await;
        let broken = record(ran.as_ref().unwrap().report(), "Broken");
        assert_eq!((broken.status.as_str(), broken.effective), ("error", Decision::Allow));
        assert!(!broken.applied && broken.requested.is_none());
        assert_eq!(path(ran), "");
        assert!(chain.disabled().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_disabled_by_its_error_is_left_out_until_it_is_reset() {
    for mode in MODES {
        let world = world([("Broken", Act::FailTimes(1), with(mode, "disable"))]).await;
        let chain = world.chain();
        assert_eq!(statuses(run(&chain).await.unwrap().report())["Broken"], "error");
        assert_eq!(chain.disabled(), ["Broken"]);
        let same_chain = chain.clone();
        assert_eq!(statuses(run(&same_chain).await.unwrap().report())["Broken"], "disabled");
        assert_eq!(world.log.all().len(), 1, "{mode}");

        assert!(chain.reset("Broken") && !chain.reset("Nobody"));
        assert_eq!(statuses(run(&chain).await.unwrap().report())["Broken"], "completed");
        assert!(chain.disabled().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_chain_asks_a_disabled_plugin_again() {
    let world = world([("Broken", Act::FailTimes(1), with("sequential", "disable"))]).await;
    assert!(run(&world.chain()).await.is_ok());
    assert_eq!(statuses(run(&world.chain()).await.unwrap().report())["Broken"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_time_a_trial_that_succeeds_takes_a_disabled_plugin_in_again() {
    let world = world([("Broken", Act::FailTimes(2), with("sequential", "disable"))]).await;
    let chain = world.builder().disable_for(Duration::ZERO).build().unwrap();
    let mut statuses_seen = Vec::new();
    in_time("its return", async {
        while statuses_seen.last() != Some(&"completed") {
            statuses_seen.push(statuses(run(&chain).await.unwrap().report())["Broken"]);
        }
    })
    .await;
    statuses_seen.retain(|status| *status != "disabled");
    assert_eq!(statuses_seen, ["error", "error", "completed"]);
    assert!(chain.disabled().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_the_concurrent_phase_drops_the_calls_beside_it() {
    let (key, gate) = gate();
    let world = world([
        ("Slow", Act::Hang, json!("concurrent")),
        ("Broken", Act::When(gate, Box::new(Act::Fail)), json!("concurrent")),
    ])
    .await;
    let chain = world.chain();
    let ran = tokio::spawn(async move { run(&chain).await });
    world.log.wait_for(2).await;
    key.send_replace(true);
    let halted = in_time("the run", ran).await.unwrap().unwrap_err();
    assert_eq!(failure(&halted).plugin(), "Broken");
    assert_eq!(statuses(halted.report())["Slow"], "cancelled");
}

/// Its server is down, so neither side has named a hook: a chain that asked for its hooks
/// would leave the guard out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_whose_hooks_are_not_known_yet_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let socket = json!({"path": dir.path().join("absent.sock"), "reconnect_attempts": 1});
    for (on_error, passes) in [("fail", false), ("ignore", true)] {
        let guard = config("Guard", &socket, json!({ "on_error": on_error }));
        let chain = Chain::builder().plugin(PluginHandle::connect_lazy(guard)).build().unwrap();
        match run(&chain).await {
            Ok(passed) => {
                assert!(passes);
                assert_eq!(statuses(passed.report())["Guard"], "error");
            }
            Err(halted) => {
                assert!(!passes);
                assert_eq!(failure(&halted).kind(), ErrorKind::Unavailable);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_does_not_answer_is_a_timeout() {
    let entry = json!({"on_error": "ignore", "unix_socket": {"timeout": 0.2}});
    let world = world([("Slow", Act::Hang, entry)]).await;
    let passed = run(&world.chain()).await.unwrap();
    let slow = record(passed.report(), "Slow");
    assert_eq!((slow.status.as_str(), slow.code.as_deref()), ("timeout", Some("timeout")));
    assert!(slow.duration >= Duration::from_millis(200));
}

/// Hooks are the server's to tell; one that the entry names and the server does not know is
/// no verdict.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_whose_server_does_not_know_the_hook_ends_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugins.sock");
    let server = PluginServer::builder().plugin("Mute", Handlers::new()).bind(&socket);
    let _server = server.await.unwrap();
    let entry = config("Mute", &json!({ "path": socket }), json!({"hooks": ["tool_pre_invoke"]}));
    let chain = Chain::builder().plugin(PluginHandle::connect_lazy(entry)).build().unwrap();
    assert_eq!(failure(&run(&chain).await.unwrap_err()).kind(), ErrorKind::Plugin);
}

/// A server that answers with an error beside (half of) a result.
fn half_answers(deny: bool) -> FaultServer {
    FaultServer::start(move |mut connection| async move {
        loop {
            let call = connection.hook().await?;
            let mut reply = match deny {
                true => Reply::denial(&call),
                false => Reply::to(&call).with_verdict(None),
            };
            reply.0.error = Reply::error(&call, "it cannot be written").0.error;
            reply.0.context = None;
            connection.reply(reply).await?;
        }
    })
}

fn guard_of(server: &FaultServer, more: Value) -> Chain {
    let entry = config("Guard", &json!({"path": server.path()}), more);
    Chain::builder().plugin(PluginHandle::connect_lazy(entry)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_beside_an_error_is_a_denial_whatever_on_error_says() {
    let server = half_answers(true);
    for mode in ["sequential", "concurrent"] {
        for on_error in ["fail", "ignore", "disable"] {
            let chain = guard_of(&server, with(mode, on_error));
            let halted = run(&chain).await.unwrap_err();
            let violation = halted.denial().unwrap().violation().unwrap();
            assert_eq!(violation.plugin_name.as_deref(), Some("Guard"), "{mode} {on_error}");
            let guard = record(halted.report(), "Guard");
            assert_eq!((guard.status.as_str(), guard.code.as_deref()), ("error", Some("denied")));
            assert_eq!((guard.requested, guard.effective), (Some(Decision::Deny), Decision::Deny));
            assert!(chain.disabled().is_empty(), "it has given its verdict");
        }
    }
    // Where it may not deny, it is an error like any other.
    for mode in ["transform", "audit"] {
        let failed = run(&guard_of(&server, with(mode, "fail"))).await.unwrap_err();
        assert!(failure(&failed).is_denial(), "{mode}");
        assert!(run(&guard_of(&server, with(mode, "ignore"))).await.is_ok(), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_verdict_does_not_allow() {
    let server = half_answers(false);
    for mode in MODES {
        let halted = run(&guard_of(&server, with(mode, "fail"))).await.unwrap_err();
        assert!(!failure(&halted).is_denial(), "{mode}");
    }
}
