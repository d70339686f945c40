//! A plugin's server in memory, that tells of the plugin what the test lets it tell, and is
//! restarted in a moment. For tests in paused time.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fault_server::{Connection, Reply, Request, frame, proto};
use hookwire::config::PluginConfigBuilder;
use hookwire::{PluginConfig, PluginHandle, PluginHandleBuilder};
use prost::Message as _;
use prost_types::{ListValue, Struct, value::Kind};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;

use super::calls::PLUGIN;

/// What the server does when it is asked about the plugin.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Entry(Value),
    /// The same, after this time.
    Late(Duration, Value),
    /// "Not found", with an entry all the same.
    NotWritten(Value),
    NotFound,
    Garbage,
    Silence,
    /// It closes the connection.
    HangUp,
}

/// What it does when a hook is called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Hook {
    Allows,
    Takes(Duration),
    HangsUp,
}

#[derive(Clone)]
pub(crate) struct EntryServer(Arc<State>);

struct State {
    told: Mutex<Told>,
    hook: Mutex<Hook>,
    connections: Mutex<Option<JoinSet<()>>>,
    accepted: AtomicUsize,
    questions: AtomicUsize,
    hooks: AtomicUsize,
}

impl EntryServer {
    pub(crate) fn new(told: Told) -> Self {
        Self(Arc::new(State {
            told: Mutex::new(told),
            hook: Mutex::new(Hook::Allows),
            connections: Mutex::new(Some(JoinSet::new())),
            accepted: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            hooks: AtomicUsize::new(0),
        }))
    }

    /// A handle over it that is not connected yet.
    pub(crate) fn builder(&self, config: PluginConfig) -> PluginHandleBuilder {
        let server = self.clone();
        PluginHandle::builder(config).connector(move || {
            let server = server.clone();
            async move { server.accept() }
        })
    }

    /// Ends all connections; from the next one on it tells something else.
    pub(crate) fn restart(&self, told: Told) {
        self.tell(told);
        let connections = self.0.connections.lock().unwrap().replace(JoinSet::new());
        // Dropped, they are closed.
        drop(connections);
    }

    /// Ends all connections and takes no more.
    pub(crate) fn stop(&self) {
        drop(self.0.connections.lock().unwrap().take());
    }

    pub(crate) fn tell(&self, told: Told) {
        *self.0.told.lock().unwrap() = told;
    }

    pub(crate) fn answer_hooks(&self, hook: Hook) {
        *self.0.hook.lock().unwrap() = hook;
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.0.accepted.load(SeqCst)
    }

    /// Questions about the plugin so far.
    pub(crate) fn questions(&self) -> usize {
        self.0.questions.load(SeqCst)
    }

    /// Hooks called so far.
    pub(crate) fn hooks(&self) -> usize {
        self.0.hooks.load(SeqCst)
    }

    pub(crate) fn accept(&self) -> io::Result<DuplexStream> {
        let mut connections = self.0.connections.lock().unwrap();
        let Some(connections) = &mut *connections else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (near, far) = tokio::io::duplex(1 << 16);
        let number = self.0.accepted.fetch_add(1, SeqCst);
        let connection = Connection::new(number, far, Arc::default());
        let state = Arc::clone(&self.0);
        connections.spawn(async move {
            // Its end is the connection's.
            let _ = state.serve(connection).await;
        });
        Ok(near)
    }
}

impl State {
    async fn serve(&self, mut connection: Connection<DuplexStream>) -> io::Result<()> {
        loop {
            let request = connection.request().await?;
            if let Request::Hook(_) = request {
                self.hooks.fetch_add(1, SeqCst);
                let hook = *self.hook.lock().unwrap();
                match hook {
                    Hook::Allows => {}
                    Hook::Takes(time) => tokio::time::sleep(time).await,
                    Hook::HangsUp => return Ok(()),
                }
                connection.reply(Reply::to(&request)).await?;
                continue;
            }
            self.questions.fetch_add(1, SeqCst);
            let told = self.told.lock().unwrap().clone();
            let message = match told {
                Told::Entry(entry) => reported(true, &entry),
                Told::Late(time, entry) => {
                    tokio::time::sleep(time).await;
                    reported(true, &entry)
                }
                Told::NotWritten(entry) => reported(false, &entry),
                Told::NotFound => Vec::new(),
                Told::Garbage => vec![0xff; 9],
                Told::Silence => return connection.stall().await,
                Told::HangUp => return Ok(()),
            };
            connection.raw(&frame(&message)).await?;
        }
    }
}

/// What a server answers to the question for a plugin.
pub(crate) fn reported(found: bool, entry: &Value) -> Vec<u8> {
    let Some(Kind::StructValue(config)) = value(entry).kind else { panic!("an object") };
    proto::GetPluginConfigResponse { found, config: Some(config) }.encode_to_vec()
}

fn value(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(value).collect() })
        }
        Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields.iter().map(|(key, json)| (key.clone(), value(json))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

/// An entry for the plugin of all fault tests, with these keys.
pub(crate) fn entry(keys: Value) -> Value {
    let mut entry = serde_json::json!({
        "name": PLUGIN, "hooks": ["tool_pre_invoke"], "mode": "sequential", "on_error": "fail",
    });
    let Value::Object(keys) = keys else { panic!("an object") };
    entry.as_object_mut().unwrap().extend(keys);
    entry
}

/// The gateway's own entry, of no more than it must have.
pub(crate) fn here() -> PluginConfigBuilder {
    PluginConfig::builder(PLUGIN).socket("/run/guard.sock")
}
