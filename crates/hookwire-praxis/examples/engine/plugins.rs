//! A plugin server, so that the example has one to ask.

use std::path::Path;

use hookwire::hooks::{ToolPostInvoke, ToolPreInvoke};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{PluginResult, PluginViolation};
use serde_json::Value;

/// Lets no secret out.
pub(crate) async fn serve(socket: &Path) -> std::io::Result<PluginServer> {
    let guard = Handlers::new()
        .on::<ToolPreInvoke>(|payload, _| async move {
            let texts =
                payload.args.iter().flat_map(|args| args.values()).filter_map(Value::as_str);
            Ok(match texts.into_iter().any(|text| text.contains("secret")) {
                true => {
                    PluginResult::deny(PluginViolation::new("SECRET").with_reason("no secrets"))
                }
                false => PluginResult::allow(),
            })
        })
        .on::<ToolPostInvoke>(|_, _| async { Ok(PluginResult::allow()) });
    PluginServer::builder().plugin("Guard", guard).bind(socket).await
}
