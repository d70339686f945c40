//! One hook of one plugin: `cargo run --example invoke_hook -- /run/plugins/guard.sock Guard`.

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{PluginConfig, PluginContext, PluginHandle};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let socket = args.next().ok_or("usage: invoke_hook SOCKET PLUGIN")?;
    let plugin = args.next().ok_or("usage: invoke_hook SOCKET PLUGIN")?;

    let config = PluginConfig::builder(plugin).socket(socket).hook("tool_pre_invoke").build()?;
    let handle = PluginHandle::connect(config).await?;
    let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
    let mut context = PluginContext::new("request-1");
    let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await?;
    println!("continue: {}", result.continue_processing);
    println!("payload:  {}", serde_json::to_string(&result.modified_payload)?);
    Ok(())
}
