//! Whether what is known of a plugin is what its server tells now: rows H30, H33 and H37 of
//! docs/reliability.md, in paused time.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{LIMIT, call, config, in_time, socket, spawn_call};
use common::entries::{EntryServer, Hook, Told, entry, here, reported};
use fault_server::{FaultServer, Request, frame};
use futures::StreamExt;
use hookwire::config::PluginMode;
use hookwire::{
    BreakerState, CallPolicy, Difference, ErrorKind, Hooks, PluginHandle, Sent, UnixSocketConfig,
    Verify,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Waits until `holds`; time is paused, so this waits for no clock.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    // In paused time: what never comes true is found at once.
    assert!(tokio::time::timeout(600 * SECOND, waiting).await.is_ok(), "never came true: {what}");
}

fn version(version: &str) -> Told {
    Told::Entry(entry(json!({"version": version})))
}

async fn connected(server: &EntryServer) -> PluginHandle {
    server.builder(here().build().unwrap()).connect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn h30_a_server_that_was_restarted_is_asked_again_and_the_change_is_published() {
    let server = EntryServer::new(version("1"));
    let handle = connected(&server).await;
    let mut configs = handle.watch_config();
    assert_eq!(configs.next().await.unwrap().version(), Some("1"));
    assert!(handle.is_checked());

    let changed = json!({"version": "2", "mode": "concurrent", "hooks": ["prompt_pre_fetch"]});
    server.restart(Told::Entry(entry(changed)));
    until("it is noticed", || !handle.is_checked()).await;
    assert_eq!(handle.config().version(), Some("1"), "the last that is known");
    call(&handle, "m").await.unwrap();

    let config = in_time("the change", configs.next()).await.unwrap();
    assert_eq!((config.version(), config.mode()), (Some("2"), PluginMode::Concurrent));
    assert_eq!(config.hooks(), ["prompt_pre_fetch"]);
    assert!(handle.is_checked());
    assert_eq!(handle.hooks(), ["prompt_pre_fetch"]);
    let stats = handle.stats();
    assert_eq!((stats.config_answers, stats.config_changes), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn h30_a_server_that_is_the_same_after_a_restart_changes_nothing() {
    let server = EntryServer::new(version("1"));
    let handle = connected(&server).await;
    let mut configs = handle.watch_config();
    configs.next().await.unwrap();
    server.restart(version("1"));
    call(&handle, "m").await.unwrap();
    until("it is checked", || handle.is_checked()).await;
    assert_eq!(server.questions(), 2);
    assert_eq!(handle.stats().config_changes, 0);
    assert!(tokio::time::timeout(SECOND, configs.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn h30_connections_beside_others_and_calls_ask_nothing() {
    let server = EntryServer::new(version("1"));
    let handle = connected(&server).await;
    server.answer_hooks(Hook::Takes(SECOND));
    let calls: Vec<_> = (0..64).map(|i| spawn_call(&handle, i.to_string())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(server.accepted() > 1);
    assert_eq!(server.questions(), 1);
}

#[tokio::test(start_paused = true)]
async fn h30_a_call_after_a_restart_needs_no_connection_more_for_the_question() {
    let server = EntryServer::new(version("1"));
    let handle = connected(&server).await;
    server.restart(version("2"));
    until("it is noticed", || !handle.is_checked()).await;
    call(&handle, "m").await.unwrap();
    until("it is checked", || handle.is_checked()).await;
    assert_eq!(server.accepted(), 2);
}

/// Each answer but the last would have been the last one that was asked for.
#[tokio::test(start_paused = true)]
async fn h30_it_is_asked_until_it_answers() {
    for no_answer in [Told::Silence, Told::Garbage, Told::HangUp] {
        let server = EntryServer::new(no_answer.clone());
        let config = here().hook("tool_pre_invoke").build().unwrap();
        let handle = server.builder(config).connect().await.unwrap();
        assert!(!handle.is_checked(), "{no_answer:?}");
        assert_eq!(handle.config().version(), None);
        server.tell(version("1"));
        let checked = async {
            while !handle.is_checked() {
                // What asks needs a connection, and that is for calls.
                let _ = call(&handle, "m").await;
                sleep(SECOND).await;
            }
        };
        in_time("it is checked", checked).await;
        assert_eq!(handle.config().version(), Some("1"), "{no_answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn h30_until_it_is_checked_a_plugin_without_hooks_counts_for_every_hook() {
    let server = EntryServer::new(version("1"));
    let handle = server.builder(here().build().unwrap()).connect_lazy();
    assert_eq!(handle.hooks(), Hooks::Unknown);
    assert!(handle.hooks().includes("tool_pre_invoke") && !handle.is_checked());
    handle.verify().await.unwrap();
    assert!(handle.hooks() == ["tool_pre_invoke"] && handle.is_checked());
    assert!(!handle.hooks().includes("tool_post_invoke"));

    let named = here().hook("evaluate").build().unwrap();
    let handle = server.builder(named).connect_lazy();
    assert_eq!(handle.hooks(), ["evaluate"], "the entry's own are known");
}

#[tokio::test(start_paused = true)]
async fn h30_where_nothing_was_asked_nothing_is_asked_again() {
    let server = EntryServer::new(version("1"));
    let off = CallPolicy::builder().verify(Verify::Off);
    let off = here().hook("tool_pre_invoke").policy(off).build().unwrap();
    let handles = [
        server.builder(here().build().unwrap()).connect_lazy(),
        server.builder(off).connect().await.unwrap(),
    ];
    for handle in &handles {
        call(handle, "m").await.unwrap();
    }
    server.restart(version("2"));
    for handle in &handles {
        sleep(SECOND).await;
        call(handle, "m").await.unwrap();
        assert!(!handle.is_checked());
    }
    assert_eq!(server.questions(), 0);
}

/// Answers to questions used to be all that a socket needed to be found in order.
#[tokio::test(start_paused = true)]
async fn h30_answers_to_the_plugins_own_questions_say_nothing_of_its_health() {
    let server = EntryServer::new(version("1"));
    let handle = connected(&server).await;
    call(&handle, "m").await.unwrap();
    server.restart(version("1"));
    server.answer_hooks(Hook::HangsUp);
    for _ in 0..20 {
        assert!(call(&handle, "m").await.is_err());
        sleep(SECOND / 10).await;
    }
    assert!(server.questions() > 1, "it answers questions");
    assert_ne!(handle.breaker(), BreakerState::Closed);
}

/// Each question costs its connection, and with it the calls on it.
#[tokio::test(start_paused = true)]
async fn h30_a_server_that_hangs_up_on_questions_is_asked_ever_more_rarely() {
    let server = EntryServer::new(Told::HangUp);
    let config = here().hook("tool_pre_invoke").build().unwrap();
    let handle = server.builder(config).connect().await.unwrap();
    let mut lost = 0;
    for _ in 0..600 {
        lost += usize::from(call(&handle, "m").await.is_err());
        sleep(SECOND).await;
    }
    assert!(lost <= 60, "{lost} of 600 calls, one in a second");
    assert!(server.questions() <= 60, "{} questions", server.questions());
}

/// A rolling restart: the first server goes on, and none of its connections is lost.
#[tokio::test]
async fn h30_a_server_that_takes_the_path_over_is_asked_too() {
    let first = FaultServer::honest();
    let local = config(socket(first.path()).max_connections(4));
    let handle = PluginHandle::connect(local).await.unwrap();
    call(&handle, "m").await.unwrap();
    assert_eq!((handle.is_checked(), handle.config().version()), (true, None));
    let second = first.succeeded_by(|mut connection| async move {
        loop {
            let request = connection.request().await?;
            match request {
                Request::Config(_) => {
                    let told = reported(true, &entry(json!({"version": "2"})));
                    connection.raw(&frame(&told)).await?;
                }
                _ => connection.answer(&request).await?,
            }
        }
    });
    let followed = async {
        while handle.config().version() != Some("2") {
            call(&handle, "m").await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time("the second server is asked", followed).await;
    assert!(second.record().seen().hook_calls() > 0);
}

/// The promise of H30 in numbers, at the worst: all connections are busy with hooks that
/// take long, and the server is restarted under them.
#[tokio::test(start_paused = true)]
async fn h30_no_call_a_second_after_a_restart_is_judged_by_the_configuration_before() {
    let server = EntryServer::new(version("0"));
    let handle = connected(&server).await;
    server.answer_hooks(Hook::Takes(SECOND / 2));
    let callers: Vec<_> = (0..64)
        .map(|i| {
            let handle = handle.clone();
            tokio::spawn(async move {
                while call(&handle, &i.to_string()).await.map_err(|error| error.reason())
                    != Err("shutdown")
                {}
            })
        })
        .collect();
    for restart in 1..100 {
        sleep(2 * SECOND).await;
        server.restart(version(&restart.to_string()));
        sleep(SECOND).await;
        assert_eq!(handle.config().version(), Some(&*restart.to_string()));
        assert!(handle.is_checked());
    }
    handle.shutdown(10 * SECOND).await;
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(server.hooks() > 1_000);
    assert!(server.questions() < 100 * 10, "{} questions", server.questions());
}

#[tokio::test(start_paused = true)]
async fn h30_a_shutdown_and_a_last_drop_wait_for_no_answer() {
    for shut_down in [true, false] {
        let server = EntryServer::new(version("1"));
        let handle = connected(&server).await;
        call(&handle, "m").await.unwrap();
        server.restart(Told::Silence);
        let waits = spawn_call(&handle, "m");
        until("it is asked", || server.questions() == 2).await;
        waits.abort();
        let _ = waits.await;
        let started = Instant::now();
        let mut states = handle.watch_state();
        if shut_down {
            handle.shutdown(60 * SECOND).await;
        }
        drop(handle);
        while states.next().await.is_some() {}
        assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    }
}

/// A timer for a question that is not asked any more must not keep a stopping plugin busy: in
/// a runtime that is never idle, paused time does not pass.
#[test]
fn h30_a_plugin_that_stops_rests_when_the_time_for_another_question_comes() {
    let (ended, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let paused = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        paused.block_on(async {
            let server = EntryServer::new(version("1"));
            let config = config(socket("/run/guard.sock").max_connections(2).timeout(999 * SECOND));
            let handle = server.builder(config).connect().await.unwrap();
            server.answer_hooks(Hook::Takes(200 * SECOND));
            let slow = spawn_call(&handle, "slow");
            until("the hook runs", || server.hooks() == 1).await;
            // Asked on another connection. It is to be looked at again 30 s later.
            server.tell(Told::Entry(entry(json!({"name": "Another"}))));
            handle.verify().await.unwrap_err();
            handle.shutdown(900 * SECOND).await;
            assert_eq!(slow.await.unwrap().unwrap(), "slow");
        });
        ended.send(()).unwrap();
    });
    assert!(waits.recv_timeout(LIMIT).is_ok(), "the plugin's task is never idle");
}

/// It used to be taken for a plugin that the server does not know.
#[tokio::test(start_paused = true)]
async fn h33_an_entry_that_could_not_be_written_in_full_is_used_and_told_as_such() {
    let on_server = entry(json!({"version": "1", "config": {"since": null}}));
    let server = EntryServer::new(Told::NotWritten(on_server));
    let handle = connected(&server).await;
    assert_eq!(handle.hooks(), ["tool_pre_invoke"]);
    let config = handle.config();
    assert_eq!(config.version(), Some("1"));
    assert!(!config.server().unwrap().is_complete());
    assert_eq!(config.differences(), [Difference::Incomplete]);
    assert_eq!(handle.plugin_config().await.unwrap().unwrap()["version"], "1");
    call(&handle, "m").await.unwrap();

    let server = EntryServer::new(Told::NotFound);
    let config = here().hook("tool_pre_invoke").build().unwrap();
    let handle = server.builder(config).connect().await.unwrap();
    assert_eq!(handle.config().differences(), [Difference::Unknown]);
    assert_eq!(handle.plugin_config().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn h37_a_plugin_that_is_disabled_here_is_not_connected_to_and_not_called() {
    let server = EntryServer::new(version("1"));
    let config = here().hook("tool_pre_invoke").mode(PluginMode::Disabled).build().unwrap();
    let handle = server.builder(config).connect().await.unwrap();
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disabled, Sent::No), "{error}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test(start_paused = true)]
async fn h37_a_plugin_that_its_server_has_disabled_is_not_called_until_it_is_enabled_there() {
    let server = EntryServer::new(Told::Entry(entry(json!({"mode": "disabled"}))));
    let idle = UnixSocketConfig::builder("/run/guard.sock").idle_timeout(SECOND);
    let config = here().unix_socket(idle).build().unwrap();
    let handle = server.builder(config).connect().await.unwrap();
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disabled, Sent::No), "{error}");
    assert_eq!((handle.config().mode(), server.hooks()), (PluginMode::Disabled, 0));

    // Nobody calls, so nobody opens a connection; it is looked at again all the same.
    server.stop();
    sleep(100 * SECOND).await;
    assert!(call(&handle, "m").await.is_err());
    server.restart(version("2"));
    until("it is enabled", || handle.config().mode() == PluginMode::Sequential).await;
    call(&handle, "m").await.unwrap();

    // And where the gateway's entry sets a mode, that one counts.
    let server = EntryServer::new(Told::Entry(entry(json!({"mode": "disabled"}))));
    let config = here().mode(PluginMode::Sequential).build().unwrap();
    let handle = server.builder(config).connect().await.unwrap();
    call(&handle, "m").await.unwrap();
}
