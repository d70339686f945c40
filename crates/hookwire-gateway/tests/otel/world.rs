//! Plugins on an embedded server that do what the tool is named, each in a span of its own.

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::model::Object;
use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::{PluginConfig, PluginHandle, PluginResult, PluginViolation};
use hookwire_gateway::{Chain, Halted, RequestContext, otel};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tracing::Instrument;

pub(crate) struct World {
    _directory: TempDir,
    _server: PluginServer,
    pub(crate) chain: Chain,
    /// The metadata that each call came with.
    pub(crate) seen: watch::Receiver<Vec<Object>>,
}

impl World {
    /// A chain of plugins with these names and modes.
    pub(crate) async fn new(plugins: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("plugins.sock");
        let (see, seen) = watch::channel(Vec::new());
        let mut server = PluginServer::builder();
        for (name, _) in plugins {
            let see = see.clone();
            let handlers = Handlers::new().on::<ToolPreInvoke>(move |payload, context| {
                let see = see.clone();
                async move {
                    let span = tracing::info_span!("guard");
                    otel::follow(&span, &context.global_context);
                    see.send_modify(|seen| seen.push(context.global_context.metadata.clone()));
                    let work = async {
                        match payload.name.as_str() {
                            "fail" => Err(HandlerError::new("broken")),
                            "deny" => Ok(PluginResult::deny(PluginViolation::new("NO"))),
                            _ => Ok(PluginResult::allow()),
                        }
                    };
                    work.instrument(span).await
                }
            });
            server = server.plugin(*name, handlers);
        }
        let server = server.bind(&socket).await.unwrap();
        let handles = plugins.iter().map(|(name, mode)| {
            let entry = json!({
                "name": name, "mode": mode, "hooks": ["tool_pre_invoke"],
                "unix_socket": {"path": socket},
            });
            let config: PluginConfig = serde_json::from_value(entry).unwrap();
            PluginHandle::connect_lazy(config)
        });
        let chain = Chain::builder().plugins(handles).build().unwrap();
        Self { _directory: directory, _server: server, chain, seen }
    }
}

/// One request for the tool: whether it may go on.
pub(crate) async fn run(
    chain: &Chain,
    tool: &str,
    request: &mut RequestContext,
) -> Result<(), Box<Halted>> {
    chain.run::<ToolPreInvoke>(ToolPreInvokePayload::new(tool), request).await.map(drop)
}
