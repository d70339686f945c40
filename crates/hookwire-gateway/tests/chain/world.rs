//! Plugins on an embedded server, and chains of them.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::model::Object;
use hookwire::server::{HandlerError, HookCall, HookFuture, Plugin, PluginServer};
use hookwire::{PluginConfig, PluginContext, PluginHandle, PluginResult, PluginViolation};
use hookwire_gateway::{Chain, ChainBuilder, Halted, Passed, Record, Report, RequestContext};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// No test waits longer than that for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// What a plugin does with every call.
#[derive(Clone)]
pub(crate) enum Act {
    Allow,
    Deny,
    /// Appends its own name to the argument `path`.
    Append,
    /// Denies, and appends all the same.
    DenyAndAppend,
    Fail,
    /// Never answers.
    Hang,
    /// Answers like this.
    Json(Value),
    /// Puts this into its own state, its metadata and the shared state.
    Keep(&'static str),
    /// Waits until the gate opens, then does the other.
    When(watch::Receiver<bool>, Box<Self>),
    /// Fails as often, and allows after.
    FailTimes(u32),
}

/// What a plugin was called with.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) plugin: String,
    pub(crate) path: String,
    pub(crate) context: PluginContext,
}

/// All calls, in the order in which they came.
#[derive(Clone)]
pub(crate) struct Log(watch::Sender<Vec<Seen>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.borrow().clone()
    }

    pub(crate) fn plugins(&self) -> Vec<String> {
        self.all().into_iter().map(|seen| seen.plugin).collect()
    }

    pub(crate) fn of(&self, plugin: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|seen| seen.plugin == plugin).collect()
    }

    /// Waits until so many calls have come.
    pub(crate) async fn wait_for(&self, calls: usize) {
        let mut seen = self.0.subscribe();
        in_time("a call", seen.wait_for(|seen| seen.len() >= calls)).await.unwrap();
    }
}

struct Scripted {
    act: Act,
    failed: Mutex<u32>,
    log: Log,
}

impl Plugin for Scripted {
    fn hooks(&self) -> Vec<String> {
        hookwire::HookRegistry::builtin().names().map(str::to_owned).collect()
    }

    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        Box::pin(async move {
            let (payload, context): (Value, _) = (call.payload()?, call.context()?);
            let path = payload["args"]["path"].as_str().unwrap_or_default().to_owned();
            let plugin = call.plugin_name().to_owned();
            let seen = Seen { plugin, path, context: context.clone() };
            self.log.0.send_modify(|log| log.push(seen));
            let mut act = &self.act;
            while let Act::When(gate, then) = act {
                gate.clone().wait_for(|open| *open).await?;
                act = then;
            }
            self.act(act, &call, payload, context).await
        })
    }
}

impl Scripted {
    async fn act(
        &self,
        act: &Act,
        call: &HookCall<'_>,
        mut payload: Value,
        mut context: PluginContext,
    ) -> Result<hookwire::server::HookReply, HandlerError> {
        let name = call.plugin_name();
        let violation = || PluginViolation::new("NO").with_reason(format!("{name} denies"));
        let mut append = || {
            let path = payload["args"]["path"].as_str().unwrap_or_default();
            payload["args"]["path"] = json!(format!("{path}{name}"));
            payload.clone()
        };
        let result = match act {
            Act::Allow => PluginResult::allow(),
            Act::Deny => PluginResult::deny(violation()),
            Act::Append => PluginResult::modify(append()),
            Act::DenyAndAppend => serde_json::from_value(json!({
                "continue_processing": false, "modified_payload": append(),
                "violation": violation(),
            }))?,
            Act::Fail => return Err(HandlerError::new(format!("{name} is broken"))),
            Act::FailTimes(times) => {
                let mut failed = self.failed.lock().unwrap();
                if *failed < *times {
                    *failed += 1;
                    return Err(HandlerError::new("not yet"));
                }
                PluginResult::allow()
            }
            Act::Hang => pending().await,
            Act::Json(result) => serde_json::from_value(result.clone())?,
            Act::Keep(value) => {
                context.state.insert((*value).to_owned(), json!(name));
                context.metadata.insert((*value).to_owned(), json!(name));
                context.global_context.state.insert((*value).to_owned(), json!(name));
                return call.reply_with_context(&PluginResult::<Value>::allow(), &context);
            }
            Act::When(..) => unreachable!("taken apart already"),
        };
        call.reply(&result)
    }
}

/// Plugins on one server, and their handles.
pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) handles: Vec<PluginHandle>,
    _server: PluginServer,
    _dir: TempDir,
}

/// One plugin: its name, its act, and more keys of its entry.
pub(crate) type Entry = (&'static str, Act, Value);

/// Starts plugins, with entries in this order.
pub(crate) async fn world(entries: impl IntoIterator<Item = Entry>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugins.sock");
    let log = Log(watch::Sender::new(Vec::new()));
    let mut server = PluginServer::builder();
    let mut configs = Vec::new();
    for (name, act, more) in entries {
        server = server.plugin(name, Scripted { act, failed: Mutex::new(0), log: log.clone() });
        configs.push(config(name, &json!({"path": socket, "max_connections": 4}), more));
    }
    let server = server.bind(&socket).await.unwrap();
    let mut handles = Vec::new();
    for config in configs {
        let connected = in_time("connecting", PluginHandle::connect(config.clone())).await;
        handles.push(connected.unwrap());
    }
    World { log, handles, _server: server, _dir: dir }
}

pub(crate) fn config(name: &str, socket: &Value, more: Value) -> PluginConfig {
    let mut entry = json!({"name": name, "unix_socket": socket});
    let more = match more {
        Value::Object(more) => more,
        mode => Object::from_iter([("mode".to_owned(), mode)]),
    };
    for (key, value) in more {
        match (entry.get_mut(&key), value) {
            (Some(Value::Object(section)), Value::Object(more)) => section.extend(more),
            (_, value) => entry[key] = value,
        }
    }
    PluginConfig::from_value(entry).unwrap()
}

impl World {
    pub(crate) fn builder(&self) -> ChainBuilder {
        Chain::builder().plugins(self.handles.clone())
    }

    pub(crate) fn chain(&self) -> Chain {
        self.builder().build().unwrap()
    }
}

pub(crate) type Ran = Result<Passed<ToolPreInvokePayload>, Box<Halted>>;

/// One request of its own.
pub(crate) async fn run(chain: &Chain) -> Ran {
    run_in(chain, &mut RequestContext::new("request-1")).await
}

pub(crate) async fn run_in(chain: &Chain, request: &mut RequestContext) -> Ran {
    in_time("a run", chain.run::<ToolPreInvoke>(tool_payload(), request)).await
}

pub(crate) fn tool_payload() -> ToolPreInvokePayload {
    ToolPreInvokePayload::new("tool").with_arg("path", "")
}

/// The argument that plugins append to.
pub(crate) fn path(ran: Ran) -> String {
    let payload = ran.unwrap().into_value();
    payload.args.unwrap()["path"].as_str().unwrap().to_owned()
}

pub(crate) fn record<'a>(report: &'a Report, plugin: &str) -> &'a Record {
    report.records().iter().find(|record| &*record.plugin == plugin).unwrap()
}

/// What became of each plugin, by name.
pub(crate) fn statuses(report: &Report) -> BTreeMap<String, &'static str> {
    let status = |record: &Record| (record.plugin.to_string(), record.status.as_str());
    report.records().iter().map(status).collect()
}

/// A gate that is closed, and its key.
pub(crate) fn gate() -> (Arc<watch::Sender<bool>>, watch::Receiver<bool>) {
    let (key, gate) = watch::channel(false);
    (Arc::new(key), gate)
}
