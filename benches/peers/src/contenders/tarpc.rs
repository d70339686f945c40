//! tarpc over a Unix socket: bincode around, JSON text inside.
//!
//! The hooks' payloads hold JSON values, which bincode cannot read back by itself;
//! so the caller writes and reads JSON, as one would who builds on tarpc.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use hookwire::PluginResult;
use hookwire::hooks::PromptPreFetchPayload;
use tarpc::serde_transport::unix;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context};

use crate::common::sample;
use crate::load::Call;

#[tarpc::service]
pub trait Plugins {
    async fn invoke_hook(hook: String, plugin: String, payload: String, request: String) -> String;
}

#[derive(Clone)]
struct Null {
    result: Arc<str>,
}

impl Plugins for Null {
    async fn invoke_hook(
        self,
        _: context::Context,
        _hook: String,
        _plugin: String,
        _payload: String,
        _request: String,
    ) -> String {
        String::from(&*self.result)
    }
}

/// Starts the server on a thread of its own.
pub fn serve(path: PathBuf) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let result = serde_json::to_string(&PluginResult::modify(sample::payload()));
            let null = Null { result: result.expect("the sample is JSON").into() };
            let mut incoming = unix::listen(path, Bincode::default).await.expect("a socket");
            ready.send(()).expect("somebody waits");
            while let Some(Ok(transport)) = incoming.next().await {
                let calls = BaseChannel::with_defaults(transport).execute(null.clone().serve());
                tokio::spawn(calls.for_each(|call| async {
                    tokio::spawn(call);
                }));
            }
        });
    });
    is_ready.recv().expect("the server starts");
}

#[derive(Clone)]
pub struct Tarpc {
    client: PluginsClient,
    payload: Arc<PromptPreFetchPayload>,
}

impl Tarpc {
    pub async fn connect(path: &Path) -> Self {
        let transport = unix::connect(path, Bincode::default).await.expect("the server listens");
        let client = PluginsClient::new(client::Config::default(), transport).spawn();
        Self { client, payload: Arc::new(sample::payload()) }
    }
}

impl Call for Tarpc {
    async fn call(&mut self) {
        let payload = serde_json::to_string(&*self.payload).expect("the sample is JSON");
        let request = sample::context().global_context.request_id;
        let (hook, plugin) = (sample::HOOK.to_owned(), sample::PLUGIN.to_owned());
        let call = self.client.invoke_hook(context::current(), hook, plugin, payload, request);
        let reply = call.await.expect("the server answers");
        let result: PluginResult<PromptPreFetchPayload> =
            serde_json::from_str(&reply).expect("a result");
        let _ = black_box(result);
    }
}
