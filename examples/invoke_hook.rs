//! One hook of one plugin: `cargo run --example invoke_hook -- /run/plugins/guard.sock Guard`.

use std::process::ExitCode;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{PluginConfig, PluginContext, PluginHandle, Stopped};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // Returned from `main` it would be shown as `Debug`, which is for developers.
        Err(error) => {
            eprintln!("invoke_hook: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let socket = args.next().ok_or("usage: invoke_hook SOCKET PLUGIN")?;
    let plugin = args.next().ok_or("usage: invoke_hook SOCKET PLUGIN")?;

    let config = PluginConfig::builder(plugin).socket(socket).hook("tool_pre_invoke").build()?;
    let handle = PluginHandle::connect(config).await?;
    let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
    let mut context = PluginContext::new("request-1");
    match handle.enforce::<ToolPreInvoke>(payload, &mut context).await {
        Ok(payload) => println!("go on with {}", serde_json::to_string(&payload)?),
        Err(Stopped::Denied(denial)) => println!("stop: {denial}"),
        Err(Stopped::Failed(error)) => println!("stop, it was not checked: {error}"),
    }
    Ok(())
}
