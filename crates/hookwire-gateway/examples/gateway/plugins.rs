//! The plugins of `gateway.yaml`, as they would run in a process of their own.

use std::path::Path;

use hookwire::config::{OnError, PluginMode};
use hookwire::hooks::{HttpPreRequest, ToolPostInvoke, ToolPreInvoke};
use hookwire::server::{Handlers, PluginInfo, PluginServer};
use hookwire::{PluginResult, PluginViolation};
use hookwire_gateway::otel;
use serde_json::{Value, json};
use tracing::Instrument;

pub(crate) async fn serve(socket: &Path) -> std::io::Result<PluginServer> {
    let login = Handlers::new().on::<HttpPreRequest>(|_request, _context| async move {
        Ok(PluginResult::modify([("x-user".to_owned(), "ada".to_owned())].into()))
    });
    let guard = Handlers::new().on::<ToolPreInvoke>(|payload, context| async move {
        // A span below the gateway's, in the same trace.
        let span = tracing::info_span!("guard", tool = payload.name);
        otel::follow(&span, &context.global_context);
        let judge = async {
            match payload.name.as_str() {
                "shell" => PluginResult::deny(PluginViolation::new("NO_SHELL").with_reason("no")),
                _ => PluginResult::allow(),
            }
        };
        Ok(judge.instrument(span).await)
    });
    let redact = Handlers::new()
        .on::<ToolPreInvoke>(|mut payload, _context| async move {
            for (_, value) in payload.args.iter_mut().flatten() {
                if let Value::String(text) = value {
                    *text = text.replace("secret", "******");
                }
            }
            Ok(PluginResult::modify(payload))
        })
        .on::<ToolPostInvoke>(|mut payload, _context| async move {
            payload.result["checked"] = json!(true);
            Ok(PluginResult::modify(payload))
        });
    let allow_before = || {
        Handlers::new().on::<ToolPreInvoke>(|_, _context| async move { Ok(PluginResult::allow()) })
    };
    let allow_after = Handlers::new()
        .on::<ToolPostInvoke>(|_, _context| async move { Ok(PluginResult::allow()) });
    // The server tells its modes too; the gateway warns where they are not its own.
    let is = |name, mode| PluginInfo::new(name).with_mode(mode);
    PluginServer::builder()
        .plugin("Login", login)
        .plugin("Guard", guard)
        .plugin(is("Redact", PluginMode::Transform), redact)
        .plugin(is("Auditor", PluginMode::Audit).with_on_error(OnError::Ignore), allow_before())
        .plugin(is("Quota", PluginMode::Concurrent), allow_before())
        .plugin(
            is("Counter", PluginMode::FireAndForget).with_on_error(OnError::Disable),
            allow_after,
        )
        .bind(socket)
        .await
}
