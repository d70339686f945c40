//! A server with a scripted plugin, engines whose entries name it, and calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookwire::server::{PluginInfo, PluginServer};
use hookwire_praxis::HookwireFactory;
use praxis_policy::PolicyEngine;
use praxis_policy::praxis_policy_core::context::PluginContextTable;
use praxis_policy::praxis_policy_core::executor::PipelineResult;
use praxis_policy::prelude::{
    CmfHook, ContentPart, Extensions, Message, MessagePayload, Role, ToolCall,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::script::Script;

pub(crate) const TOOL_PRE: &str = "cmf.tool_pre_invoke";

/// Far above what anything takes on a busy machine: reached only by what hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The server, with one plugin `Guard`, on a socket that stays the same over a restart.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) script: Script,
    server: Option<PluginServer>,
}

impl World {
    pub(crate) async fn new<const N: usize>(hooks: [&str; N]) -> Self {
        let mut world = Self::without_server(hooks);
        world.start().await;
        world
    }

    pub(crate) fn without_server<const N: usize>(hooks: [&str; N]) -> Self {
        let dir = tempfile::Builder::new().prefix("hookwire").tempdir().unwrap();
        Self { dir, script: Script::on(hooks), server: None }
    }

    pub(crate) async fn start(&mut self) {
        self.start_in("sequential").await;
    }

    /// With this as the plugin's mode on its server.
    pub(crate) async fn start_in(&mut self, mode: &str) {
        let mode = serde_json::from_value(json!(mode)).unwrap();
        let guard = PluginInfo::new("Guard").with_mode(mode);
        let builder = PluginServer::builder().plugin(guard, self.script.clone());
        self.server = Some(builder.bind(self.socket()).await.unwrap());
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    pub(crate) fn open_connections(&self) -> u64 {
        self.server.as_ref().unwrap().stats().open_connections
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("guard.sock")
    }

    /// An entry of the engine for the plugin, for tool calls; with these keys as well.
    pub(crate) fn entry(&self, keys: Value) -> Value {
        entry(&self.socket(), keys)
    }

    /// An engine with one such entry, initialised.
    pub(crate) async fn engine(&self, keys: Value) -> Arc<PolicyEngine> {
        started(json!([self.entry(keys)])).await
    }
}

pub(crate) fn entry(socket: &Path, keys: Value) -> Value {
    let mut entry = json!({
        "name": "Guard", "kind": "external", "hooks": [TOOL_PRE],
        "config": {"unix_socket": {"path": socket, "reconnect_delay": 0.01, "max_backoff": 0.05}},
    });
    for (key, value) in keys.as_object().unwrap() {
        match (key.as_str(), value, &mut entry[key]) {
            // Beside the socket.
            ("config", Value::Object(more), Value::Object(config)) => config.extend(more.clone()),
            (_, value, slot) => *slot = value.clone(),
        }
    }
    entry
}

/// A file of the engine's with these plugins.
pub(crate) fn file(plugins: Value) -> String {
    json!({"engine_settings": {"dispatch": "hooks"}, "plugins": plugins}).to_string()
}

/// An engine that has read these entries, and the adapter's factory.
pub(crate) fn loaded(plugins: Value) -> Result<Arc<PolicyEngine>, String> {
    let engine = Arc::new(PolicyEngine::default());
    HookwireFactory::new().register(&engine);
    engine.load_config_yaml(&file(plugins)).map_err(|error| error.to_string())?;
    Ok(engine)
}

pub(crate) async fn started(plugins: Value) -> Arc<PolicyEngine> {
    let engine = loaded(plugins).unwrap();
    in_time(engine.initialize()).await.unwrap();
    engine
}

/// The call of a tool with these arguments.
pub(crate) fn tool(arguments: Value) -> MessagePayload {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let call = ToolCall {
        tool_call_id: "call-1".to_owned(),
        name: "search".to_owned(),
        arguments: arguments.into_iter().collect(),
        namespace: None,
    };
    one_part(ContentPart::ToolCall { content: call })
}

pub(crate) fn one_part(part: ContentPart) -> MessagePayload {
    MessagePayload { message: Message::with_content(Role::Assistant, vec![part]) }
}

/// Calls the hook before a tool, as a host does that knows nothing about the request.
pub(crate) async fn call(engine: &PolicyEngine, arguments: Value) -> PipelineResult {
    ask(engine, TOOL_PRE, tool(arguments), Extensions::default(), None).await
}

pub(crate) async fn ask(
    engine: &PolicyEngine,
    hook: &str,
    payload: MessagePayload,
    extensions: Extensions,
    table: Option<PluginContextTable>,
) -> PipelineResult {
    let (result, background) =
        in_time(engine.invoke_named::<CmfHook>(hook, payload, extensions, table)).await;
    background.wait_for_background_tasks().await;
    result
}

/// What the engine goes on with, as JSON.
pub(crate) fn message(result: &PipelineResult) -> Value {
    let payload = result.modified_payload.as_ref().expect("the request goes on");
    let payload = payload.as_any().downcast_ref::<MessagePayload>().expect("a message");
    serde_json::to_value(&payload.message).unwrap()
}

/// The arguments of the tool call that the engine goes on with.
pub(crate) fn arguments(result: &PipelineResult) -> Value {
    message(result)["content"][0]["content"]["arguments"].clone()
}

/// The code of the denial; `None` where the request goes on.
pub(crate) fn code(result: &PipelineResult) -> Option<&str> {
    assert_eq!(result.continue_processing, result.violation.is_none());
    result.violation.as_ref().map(|violation| violation.code.as_str())
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("nothing hangs")
}
