//! What the reference server makes of its own entries, and that it is known here: rows H29,
//! H30, H33 and H37 of docs/reliability.md against the real thing.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::PathBuf;

use common::calls::eventually;
use common::reference::ReferenceServer;
use common::reference::calls::{call, config};
use hookwire::config::{OnError, PluginConfigBuilder, PluginMode};
use hookwire::{CallPolicy, Difference, ErrorKind, PluginHandle, Verify};
use serde_json::json;

/// A server whose entries the test writes.
struct Configured {
    server: ReferenceServer,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Configured {
    fn start(plugins: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plugins.yaml");
        write(&file, plugins);
        let server = ReferenceServer::start(&[("PLUGINS_CONFIG_PATH", file.to_str().unwrap())])?;
        Some(Self { server, file, _dir: dir })
    }

    fn restart(&mut self, plugins: &str) {
        write(&self.file, plugins);
        self.server.restart();
    }

    fn entry(&self, plugin: &str) -> PluginConfigBuilder {
        config(&self.server, plugin).into()
    }
}

fn write(file: &PathBuf, plugins: &str) {
    std::fs::write(file, format!("plugins:\n{plugins}plugin_dirs: []\n")).unwrap();
}

const WEAK: &str = "
  - {name: Audit, kind: fixture_plugins.Deny, hooks: [tool_pre_invoke], mode: audit}
  - {name: Transform, kind: fixture_plugins.Deny, hooks: [tool_pre_invoke], mode: permissive}
  - {name: Ignore, kind: fixture_plugins.Crash, hooks: [tool_pre_invoke], on_error: ignore}
  - {name: Disable, kind: fixture_plugins.Crash, hooks: [tool_pre_invoke], on_error: disable}
  - {name: Disabled, kind: fixture_plugins.Echo, hooks: [tool_pre_invoke], mode: disabled}
  - {name: Dated, kind: fixture_plugins.Echo, hooks: [tool_pre_invoke], version: '7', config: {since: 2026-01-01}}
";

/// Whatever the gateway's entry asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h29_the_reference_server_acts_on_its_own_entry_first_and_that_is_told() {
    let Some(server) = Configured::start(WEAK) else { return };
    for (name, what) in [
        ("Audit", "never lets it deny"),
        ("Transform", "never lets it deny"),
        ("Ignore", "turns its errors into results that allow"),
        ("Disable", "turns its errors into results that allow"),
    ] {
        let entry = server.entry(name).mode(PluginMode::Sequential).on_error(OnError::Fail);
        let plugin = PluginHandle::connect(entry.clone().build().unwrap()).await.unwrap();
        let result = call(&plugin, json!({})).await.unwrap();
        assert!(result.is_allowed() && result.violation().is_none(), "{name}");
        let told: Vec<_> = plugin.config().differences().iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains(what), "{name}: {told:?}");

        let strict = entry.policy(CallPolicy::builder().verify(Verify::Strict)).build().unwrap();
        let error = PluginHandle::connect(strict).await.unwrap_err();
        assert_eq!(error.reason(), "weaker_server", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h37_a_plugin_that_the_reference_server_has_disabled_is_not_called() {
    let Some(server) = Configured::start(WEAK) else { return };
    let plugin = PluginHandle::connect(server.entry("Disabled").build().unwrap()).await.unwrap();
    assert_eq!(call(&plugin, json!({})).await.unwrap_err().kind(), ErrorKind::Disabled);

    // Why: it finds none of its hooks. So with a mode that is set here, every call fails.
    let entry = server.entry("Disabled").mode(PluginMode::Sequential).build().unwrap();
    let plugin = PluginHandle::connect(entry).await.unwrap();
    assert!(matches!(plugin.config().differences(), [Difference::Disabled { .. }]));
    assert_eq!(call(&plugin, json!({})).await.unwrap_err().kind(), ErrorKind::Plugin);
}

/// A date in the plugin's own settings: the server answers "not found", and tells the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h33_an_entry_that_the_reference_server_cannot_write_is_used_all_the_same() {
    let Some(server) = Configured::start(WEAK) else { return };
    let plugin = PluginHandle::connect(server.entry("Dated").build().unwrap()).await.unwrap();
    assert_eq!(plugin.hooks(), ["tool_pre_invoke"]);
    assert_eq!(plugin.config().version(), Some("7"));
    assert_eq!(plugin.config().differences(), [Difference::Incomplete]);
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h30_a_reference_server_that_is_restarted_as_another_version_is_noticed() {
    let version = |version: u32, mode: &str| {
        format!(
            "  - {{name: Guard, kind: fixture_plugins.Echo, hooks: [tool_pre_invoke], mode: {mode}, version: '{version}'}}\n"
        )
    };
    let Some(mut server) = Configured::start(&version(1, "sequential")) else { return };
    let plugin = PluginHandle::connect(server.entry("Guard").build().unwrap()).await.unwrap();
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
    assert_eq!(plugin.config().version(), Some("1"));
    server.restart(&version(2, "audit"));
    eventually("that it is gone", || !plugin.is_checked()).await;
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
    eventually("it is asked again", || plugin.is_checked()).await;
    assert_eq!(plugin.config().version(), Some("2"));
    assert_eq!(plugin.config().mode(), PluginMode::Audit);
    assert_eq!(plugin.stats().config_changes, 1);
}
