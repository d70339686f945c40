//! Plugins on an embedded server that remember who called, and gateways over them.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{PluginConfig, PluginResult, PluginViolation};
use hookwire_gateway::{Applied, Chain, Change, Gateway, Halted, Passed, RequestContext};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// No test waits longer than that for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// Waits until this holds, for what tells nobody when it does.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    in_time(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Which request called which plugin, and how often.
pub(crate) type Calls = HashMap<(&'static str, String), u32>;

/// A server whose plugins allow `search`, deny `shell`, and answer `wait` once they may.
pub(crate) struct Served {
    pub(crate) socket: PathBuf,
    pub(crate) calls: Arc<Mutex<Calls>>,
    pub(crate) may_answer: watch::Sender<bool>,
    pub(crate) server: Option<PluginServer>,
    _dir: TempDir,
}

impl Served {
    pub(crate) async fn start(names: &[&'static str]) -> Self {
        let mut served = Self::down();
        served.serve(names).await;
        served
    }

    /// Nobody is there yet.
    pub(crate) fn down() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            socket: dir.path().join("plugins.sock"),
            calls: Arc::default(),
            may_answer: watch::Sender::new(false),
            server: None,
            _dir: dir,
        }
    }

    pub(crate) async fn serve(&mut self, names: &[&'static str]) {
        let mut server = PluginServer::builder();
        for name in names {
            server = server.plugin(*name, self.plugin(name));
        }
        self.server = Some(server.bind(&self.socket).await.unwrap());
    }

    fn plugin(&self, name: &'static str) -> Handlers {
        let (calls, may_answer) = (Arc::clone(&self.calls), self.may_answer.subscribe());
        Handlers::new().on::<ToolPreInvoke>(move |payload, context| {
            let request = context.global_context.request_id;
            *calls.lock().unwrap().entry((name, request)).or_default() += 1;
            let mut may_answer = may_answer.clone();
            async move {
                match payload.name.as_str() {
                    "shell" => return Ok(PluginResult::deny(PluginViolation::new("NO_SHELL"))),
                    "wait" => drop(may_answer.wait_for(|may| *may).await?),
                    _ => {}
                }
                Ok(PluginResult::allow())
            }
        })
    }

    /// An entry for a plugin of this server, with more keys.
    pub(crate) fn entry(&self, name: &str, more: Value) -> PluginConfig {
        let mut entry = json!({
            "name": name,
            "hooks": ["tool_pre_invoke"],
            "unix_socket": {"path": self.socket, "reconnect_attempts": 1, "reconnect_delay": 0.01},
        });
        let Value::Object(more) = more else { panic!("{more}") };
        entry.as_object_mut().unwrap().extend(more);
        PluginConfig::from_value(entry).unwrap()
    }

    /// Waits until a plugin was called so often.
    pub(crate) async fn called(&self, plugin: &'static str, times: u32) {
        let sum = || -> u32 {
            let calls = self.calls.lock().unwrap();
            calls.iter().filter(|((name, _), _)| *name == plugin).map(|(_, times)| *times).sum()
        };
        until("a call", || sum() >= times).await;
    }
}

pub(crate) async fn start(plugins: impl IntoIterator<Item = PluginConfig>) -> Gateway {
    let started = Gateway::builder().start(plugins.into_iter().collect::<Vec<_>>());
    in_time("the start", started).await.unwrap().0
}

pub(crate) async fn apply(gateway: &Gateway, plugins: Vec<PluginConfig>) -> Applied {
    in_time("a reload", gateway.apply(plugins)).await.unwrap()
}

/// Each plugin and what became of it.
pub(crate) fn told(applied: &Applied) -> Vec<String> {
    let tell = |change: &Change| format!("{} {}", change.plugin, change.kind.as_str());
    applied.changes().iter().map(tell).collect()
}

pub(crate) type Ran = Result<Passed<ToolPreInvokePayload>, Box<Halted>>;

/// One request of its own.
pub(crate) async fn run(chain: &Chain, request: &str, tool: &str) -> Ran {
    let mut request = RequestContext::new(request);
    let payload = ToolPreInvokePayload::new(tool);
    in_time("a run", chain.run::<ToolPreInvoke>(payload, &mut request)).await
}

/// What became of a plugin in a run.
pub(crate) fn status(ran: &Ran, plugin: &str) -> &'static str {
    let report = ran.as_ref().map_or_else(|halted| halted.report(), Passed::report);
    let record = report.records().iter().find(|record| &*record.plugin == plugin);
    record.map_or("absent", |record| record.status.as_str())
}
