//! A server with a plugin, a bridge whose configuration names it, and a client of the bridge.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::{PluginConfig, PluginContext, PluginResult};
use hookwire_agentgateway::{Address, Bridge, serve};
use hookwire_gateway::{Chain, ChainBuilder, Gateway};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::client::{Client, LIMIT, in_time};

pub(crate) type Verdict = PluginResult<Value>;

/// A plugin of functions that sees the payload, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Guard {
    handlers: Handlers,
    seen: Seen,
}

/// What a plugin was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Asked>>>);

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) payload: Value,
    pub(crate) context: PluginContext,
}

impl Guard {
    /// Answers a hook by the payload.
    pub(crate) fn on(
        self,
        hook: &'static str,
        answer: impl Fn(Value) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.trying(hook, move |payload| Ok(answer(payload)))
    }

    pub(crate) fn trying(
        mut self,
        hook: &'static str,
        answer: impl Fn(Value) -> Result<Verdict, HandlerError> + Send + Sync + 'static,
    ) -> Self {
        let seen = self.seen.clone();
        self.handlers = self.handlers.on_json(hook, move |payload: Value, context| {
            let asked = Asked { payload: payload.clone(), context };
            seen.0.lock().unwrap().push(asked);
            std::future::ready(answer(payload))
        });
        self
    }

    /// With a handler that also has the context.
    pub(crate) fn with(mut self, add: impl FnOnce(Handlers) -> Handlers) -> Self {
        self.handlers = add(self.handlers);
        self
    }
}

impl Seen {
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn payloads(&self) -> Vec<Value> {
        self.all().into_iter().map(|asked| asked.payload).collect()
    }
}

pub(crate) struct World {
    dir: TempDir,
    server: Option<PluginServer>,
    pub(crate) seen: Seen,
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
    _until: oneshot::Sender<()>,
}

impl World {
    pub(crate) async fn of(guard: Guard) -> Self {
        Self::with(guard, json!({}), Chain::builder()).await
    }

    /// With these keys in the plugin's entry as well.
    pub(crate) async fn with(guard: Guard, keys: Value, settings: ChainBuilder) -> Self {
        Self::within(LIMIT, guard, keys, settings).await
    }

    /// With this time for each call of the bridge.
    pub(crate) async fn within(
        time: Duration,
        guard: Guard,
        keys: Value,
        settings: ChainBuilder,
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("bridge").tempdir().unwrap();
        let socket = dir.path().join("guard.sock");
        let server = PluginServer::builder().plugin("Guard", guard.handlers);
        let server = server.bind(&socket).await.unwrap();
        let mut entry = json!({"name": "Guard", "unix_socket": {"path": socket}});
        entry.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let entry: PluginConfig = serde_json::from_value(entry).unwrap();
        let (gateway, _) = Gateway::builder().settings(settings).start([entry]).await.unwrap();

        let socket = dir.path().join("bridge.sock");
        let address: Address = format!("unix:{}", socket.display()).parse().unwrap();
        let listener = address.listen(0o600).await.unwrap();
        let (until, over) = oneshot::channel::<()>();
        tokio::spawn(serve(Bridge::new(gateway.clone(), time), listener, async {
            let _ = over.await;
        }));
        let client = Client::connect(socket).await;
        Self { dir, server: Some(server), seen: guard.seen, gateway, client, _until: until }
    }

    /// The plugin's server goes, with all calls that it has.
    pub(crate) async fn stop_plugin(&mut self) {
        in_time(self.server.take().unwrap().kill()).await;
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}
