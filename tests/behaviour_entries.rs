//! What a server tells of the plugin, over both transports: rows H29, H30, H33 and H37 of
//! docs/reliability.md. `behaviour_server_entry` and `behaviour_checked` have the rest, in paused
//! time.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::calls::{PLUGIN, call, in_time, knobs};
use common::entries::{entry, reported};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Request, frame};
use hookwire::config::{OnError, PluginConfigBuilder, PluginMode};
use hookwire::{CallPolicy, Difference, ErrorKind, PluginConfig, PluginHandle, Sent, Verify};
use serde_json::{Value, json};

/// A server, and the message with which it answers questions for the plugin.
struct Telling {
    server: FaultServer,
    told: Arc<Mutex<Vec<u8>>>,
}

impl Telling {
    fn new(over: Over, found: bool, keys: Value) -> Self {
        let told = Arc::new(Mutex::new(reported(found, &entry(keys))));
        let tells = Arc::clone(&told);
        let server = over.start(move |mut connection| {
            let tells = Arc::clone(&tells);
            async move {
                loop {
                    let request = connection.request().await?;
                    if let Request::Hook(_) = request {
                        connection.answer(&request).await?;
                    } else {
                        let message = tells.lock().unwrap().clone();
                        connection.raw(&frame(&message)).await?;
                    }
                }
            }
        });
        Self { server, told }
    }

    /// It is another one, which tells something else.
    async fn restart(&mut self, keys: Value) {
        self.server.kill().await;
        *self.told.lock().unwrap() = reported(true, &entry(keys));
        self.server.restart();
    }

    fn config(
        &self,
        change: impl FnOnce(PluginConfigBuilder) -> PluginConfigBuilder,
    ) -> PluginConfig {
        change(knobs(&self.server).apply(PluginConfig::builder(PLUGIN))).build().unwrap()
    }

    fn hooks_run(&self) -> usize {
        self.server.record().seen().executions_of("m")
    }
}

fn strict(plugin: PluginConfigBuilder) -> PluginConfigBuilder {
    let policy = CallPolicy::builder().verify(Verify::Strict);
    let plugin = plugin.mode(PluginMode::Sequential).on_error(OnError::Fail);
    plugin.hook("tool_pre_invoke").policy(policy)
}

/// Calls until that comes to this.
async fn calls_until(handle: &PluginHandle, reason: Option<&str>) {
    let calling = async {
        loop {
            let outcome = call(handle, "m").await;
            if outcome.as_ref().err().map(hookwire::PluginError::reason) == reason {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time("the server is asked again", calling).await;
}

#[apply(both)]
async fn h29_a_strict_entry_refuses_a_server_for_as_long_as_it_is_weaker(over: Over) {
    let weak = json!({"mode": "audit", "on_error": "ignore"});
    let mut telling = Telling::new(over, true, weak.clone());
    let config = telling.config(strict);
    let error = in_time("connect", PluginHandle::connect(config.clone())).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Config, "weaker_server"), "{error}");

    let handle = PluginHandle::connect_lazy(config);
    assert_eq!(handle.verify().await.unwrap_err().reason(), "weaker_server");
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("weaker_server", Sent::No), "{error}");
    assert_eq!(telling.hooks_run(), 0);
    telling.restart(json!({})).await;
    // It is told that nobody is there first.
    calls_until(&handle, None).await;
    telling.restart(weak).await;
    calls_until(&handle, Some("weaker_server")).await;
}

#[apply(both)]
async fn h30_a_server_that_is_another_one_after_a_restart_is_asked(over: Over) {
    let mut telling = Telling::new(over, true, json!({"version": "1"}));
    let config = telling.config(|plugin| plugin);
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
    assert_eq!((handle.config().version(), handle.is_checked()), (Some("1"), true));
    call(&handle, "m").await.unwrap();
    telling.restart(json!({"version": "2", "hooks": ["prompt_pre_fetch"]})).await;
    let asked = async {
        while handle.config().version() != Some("2") {
            let _ = call(&handle, "m").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time("it is asked again", asked).await;
    assert!(handle.is_checked());
    assert_eq!(handle.hooks(), ["prompt_pre_fetch"]);
    assert_eq!(handle.stats().config_changes, 1);
}

#[apply(both)]
async fn h33_an_entry_that_is_not_found_and_filled_all_the_same_is_used(over: Over) {
    let telling = Telling::new(over, false, json!({"version": "1", "config": {"since": null}}));
    let config = telling.config(|plugin| plugin);
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
    assert_eq!(handle.config().version(), Some("1"));
    assert_eq!(handle.config().differences(), [Difference::Incomplete]);
    assert_eq!(handle.hooks(), ["tool_pre_invoke"]);
    call(&handle, "m").await.unwrap();
}

#[apply(both)]
async fn h37_a_plugin_that_is_disabled_here_has_no_connection(over: Over) {
    let telling = Telling::new(over, true, json!({}));
    let disabled = |plugin: PluginConfigBuilder| plugin.mode(PluginMode::Disabled);
    let config = telling.config(|plugin| disabled(plugin).hook("tool_pre_invoke"));
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disabled, Sent::No), "{error}");
    assert_eq!(telling.server.record().seen().connections(), 0);
}

#[apply(both)]
async fn h37_a_plugin_that_is_disabled_on_its_server_is_called_by_nobody(over: Over) {
    let telling = Telling::new(over, true, json!({"mode": "disabled"}));
    let config = telling.config(|plugin| plugin);
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
    let error = call(&handle, "m").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disabled, Sent::No), "{error}");
    assert_eq!((handle.config().mode(), telling.hooks_run()), (PluginMode::Disabled, 0));
    // Where the gateway's entry sets a mode, that one counts.
    let config = telling.config(|plugin| plugin.mode(PluginMode::Sequential));
    let handle = in_time("connect", PluginHandle::connect(config)).await.unwrap();
    call(&handle, "m").await.unwrap();
}
