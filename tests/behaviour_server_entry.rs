//! The server acts on its own entry first: row H29 of docs/reliability.md.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{call, in_time};
use common::entries::{EntryServer, Told, entry, here};
use common::log::Log;
use hookwire::config::{OnError, PluginConfigBuilder, PluginMode};
use hookwire::{
    CallPolicy, Difference, ErrorKind, HookRegistry, PluginConfig, PluginHandle, Sent, ServerEntry,
    Verify,
};
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing_subscriber::filter::LevelFilter;

const SECRET: &str = "hunter2";

/// The lines at `level` that `work` has logged, in paused time.
fn logged(level: &str, work: impl Future<Output = ()>) -> Vec<String> {
    let (log, logging) = Log::start(LevelFilter::DEBUG);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work);
    drop((runtime, logging));
    let text = log.text();
    assert!(!text.contains(SECRET), "{text}");
    log.lines_with(&format!(" {level} "))
}

fn weak() -> Value {
    entry(json!({"mode": "audit", "on_error": "ignore", "config": {"key": SECRET}}))
}

fn guard() -> PluginConfigBuilder {
    here().mode(PluginMode::Sequential).on_error(OnError::Fail).hook("tool_pre_invoke")
}

async fn restarted(server: &EntryServer, handle: &PluginHandle, told: Told) {
    server.restart(told);
    let answers = handle.stats().config_answers;
    let asked = async {
        while handle.stats().config_answers == answers {
            let _ = call(handle, "m").await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    in_time("it is asked again", asked).await;
}

#[test]
fn h29_a_server_that_is_weaker_is_warned_of_once_with_both_values_and_what_follows() {
    let warnings = logged("WARN", async {
        let server = EntryServer::new(Told::Entry(weak()));
        let handle = server.builder(guard().build().unwrap()).connect().await.unwrap();
        call(&handle, "m").await.unwrap();
        restarted(&server, &handle, Told::Entry(weak())).await;
    });
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    for (line, parts) in warnings.iter().zip([
        ["`mode` is `sequential` here and `audit` on the server", "never lets it deny"],
        ["`on_error` is `fail` here and `ignore` on the server", "errors into results that allow"],
    ]) {
        for part in parts.into_iter().chain(["plugin=Guard", "socket=/run/guard.sock"]) {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
    }
}

#[test]
fn h29_a_server_that_becomes_weaker_is_warned_of_and_the_change_is_named_without_values() {
    let work = async {
        let server = EntryServer::new(Told::Entry(entry(json!({}))));
        let handle = server.builder(guard().build().unwrap()).connect().await.unwrap();
        call(&handle, "m").await.unwrap();
        restarted(&server, &handle, Told::Entry(weak())).await;
    };
    let lines = logged("INFO", work);
    let changes: Vec<_> = lines.iter().filter(|line| line.contains("has changed")).collect();
    assert_eq!(changes.len(), 1, "{lines:#?}");
    assert!(changes[0].contains("changed=\"config, mode, on_error\""), "{}", changes[0]);
}

#[tokio::test(start_paused = true)]
async fn h29_the_servers_own_entry_is_on_the_handle_beside_the_merged_one() {
    let server = EntryServer::new(Told::Entry(weak()));
    let handle = server.builder(guard().build().unwrap()).connect().await.unwrap();
    let config = handle.config();
    assert_eq!((config.mode(), config.on_error()), (PluginMode::Sequential, OnError::Fail));
    let own = handle.server_config().unwrap();
    assert_eq!((own.mode(), own.on_error()), (Some(PluginMode::Audit), Some(OnError::Ignore)));
    assert_eq!(own.hooks().unwrap(), ["tool_pre_invoke"]);
    assert_eq!(own.as_object()["config"]["key"], SECRET);
    assert!(!format!("{config:?} {own:?}").contains(SECRET));
    assert_eq!(config.differences().len(), 2);
    assert!(config.differences().iter().all(Difference::is_weaker));
}

#[tokio::test(start_paused = true)]
async fn h29_a_strict_entry_refuses_a_weaker_server_until_it_is_not_any_more() {
    let strict = CallPolicy::builder().verify(Verify::Strict);
    let config = guard().policy(strict).build().unwrap();
    let hook = json!({"hooks": ["tool_post_invoke"]});
    for weak in [weak(), entry(json!({"mode": "disabled"})), entry(hook)] {
        let server = EntryServer::new(Told::Entry(weak.clone()));
        let error = server.builder(config.clone()).connect().await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Config, "weaker_server"), "{error}");
        assert!(error.to_string().contains("on the server") || error.to_string().contains("list"));

        // As a gateway has it that keeps trying: a handle that others hold already.
        let handle = server.builder(config.clone()).connect_lazy();
        assert!(handle.verify().await.is_err());
        let error = call(&handle, "m").await.unwrap_err();
        assert_eq!((error.reason(), error.sent()), ("weaker_server", Sent::No));
        assert_eq!(server.hooks(), 0);
        server.restart(Told::Entry(entry(json!({}))));
        let enabled = async {
            while call(&handle, "m").await.is_err() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        in_time("it is asked again", enabled).await;

        restarted(&server, &handle, Told::Entry(weak)).await;
        assert_eq!(call(&handle, "m").await.unwrap_err().reason(), "weaker_server");
    }
    for unknown in [Told::NotFound, Told::Entry(entry(json!({"mode": "of tomorrow"})))] {
        let server = EntryServer::new(unknown);
        let error = server.builder(config.clone()).connect().await.unwrap_err();
        assert_eq!(error.reason(), "weaker_server", "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn h29_a_strict_entry_lets_no_call_through_before_the_server_has_told() {
    let strict = CallPolicy::builder().verify(Verify::Strict);
    let config = guard().policy(strict).build().unwrap();
    let server = EntryServer::new(Told::HangUp);
    assert!(server.builder(config.clone()).connect().await.is_err());
    let handle = server.builder(config).connect_lazy();
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Unavailable, "unchecked"), "{error}");
    assert!(error.is_retryable());
    server.tell(Told::Entry(entry(json!({}))));
    handle.verify().await.unwrap();
    call(&handle, "m").await.unwrap();
    assert_eq!(server.hooks(), 1);
}

/// What is told of these two entries.
fn differences(here: PluginConfigBuilder, keys: Value, registry: &HookRegistry) -> Vec<String> {
    let here: PluginConfig = here.build().unwrap();
    let Value::Object(server) = entry(keys) else { panic!("an object") };
    let found = Difference::between(&here, &ServerEntry::from(server), registry);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn h29_hooks_that_the_server_does_not_list_are_told_and_the_nearest_unless_registered() {
    let registry = HookRegistry::builtin();
    let told = |hook: &str, registry: &HookRegistry| {
        differences(here().hook(hook), json!({"hooks": ["tool_pre_invoke", "own"]}), registry)
    };
    assert_eq!(told("tool_pre_invoke", &registry), [""; 0]);
    assert_eq!(told("own", &registry), [""; 0], "the server lists it, so it is not misspelt");
    for (hook, part) in [
        ("tool_pre_invok", "(did you mean `tool_pre_invoke`?): calls of it are likely to fail"),
        ("tool_post_invoke", "does not list it: calls of it are likely to fail"),
        ("something_else", "does not list it: calls of it are likely to fail"),
    ] {
        let told = told(hook, &registry);
        assert!(told.len() == 1 && told[0].contains(part), "{told:?}");
    }
    let registry = registry.register("tool_pre_invok");
    assert!(!told("tool_pre_invok", &registry)[0].contains("did you mean"), "it is meant");
}

#[test]
fn h29_a_misspelt_hook_is_told_where_the_server_is_not_asked() {
    let warnings = logged("WARN", async {
        let server = EntryServer::new(Told::NotFound);
        let off = CallPolicy::builder().verify(Verify::Off);
        let config = here().hook("tool_pre_invok").policy(off).build().unwrap();
        server.builder(config).connect().await.unwrap();
    });
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("did you mean `tool_pre_invoke`?"), "{}", warnings[0]);
}

#[test]
fn h29_which_modes_and_values_are_weaker() {
    let registry = HookRegistry::builtin();
    let denies = ["sequential", "concurrent", "fire_and_forget", "enforce"];
    let never = ["audit", "transform", "permissive"];
    for here_mode in [PluginMode::Sequential, PluginMode::Concurrent] {
        let told =
            |mode: &str| differences(here().mode(here_mode), json!({"mode": mode}), &registry);
        assert!(denies.into_iter().all(|mode| told(mode).is_empty()));
        for mode in never {
            let told = told(mode);
            assert!(told.len() == 1 && told[0].contains("never lets it deny"), "{told:?}");
        }
        assert!(told("disabled")[0].contains("every call fails"));
    }
    for here_mode in [PluginMode::Audit, PluginMode::Transform, PluginMode::FireAndForget] {
        let told = |mode| differences(here().mode(here_mode), json!({"mode": mode}), &registry);
        assert!(denies.into_iter().chain(never).all(|mode| told(mode).is_empty()));
    }
    let on_errors = [OnError::Ignore, OnError::Disable, OnError::Fail];
    for (strength, here_value) in on_errors.into_iter().enumerate() {
        for (other, server) in on_errors.into_iter().enumerate() {
            // A plugin that cannot deny, so that only this is told.
            let entry = here().mode(PluginMode::Audit).on_error(here_value);
            let told = differences(entry, json!({"on_error": server.as_str()}), &registry);
            assert_eq!(told.len(), usize::from(other < strength), "{told:?}");
        }
    }
    // What the entry leaves open is taken over, so the gateway knows it.
    assert_eq!(
        differences(here(), json!({"mode": "audit", "on_error": "ignore"}), &registry),
        [""; 0]
    );
}

#[test]
fn h29_a_guard_whose_errors_pass_is_told_of_wherever_that_is_set() {
    let registry = HookRegistry::builtin();
    for (entry, keys) in [
        (here().on_error(OnError::Ignore), json!({"on_error": "ignore"})),
        (here(), json!({"on_error": "ignore"})),
        (
            here().on_error(OnError::Disable).mode(PluginMode::Concurrent),
            json!({"on_error": "disable"}),
        ),
    ] {
        let told = differences(entry, keys, &registry);
        assert!(told.len() == 1 && told[0].contains("requests pass when it fails"), "{told:?}");
    }
    let audit = here().mode(PluginMode::Audit).on_error(OnError::Ignore);
    assert_eq!(differences(audit, json!({}), &registry), [""; 0]);
}

#[test]
fn h29_control_characters_of_a_hook_reach_no_log() {
    let told = differences(here().hook("tool\u{1b}[31m"), json!({}), &HookRegistry::builtin());
    assert!(told[0].contains("tool\\u{1b}") && !told[0].contains('\u{1b}'), "{told:?}");
}
