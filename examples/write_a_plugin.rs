//! A plugin in Rust: it refuses a tool, tidies up arguments, and serves a hook of its own.
//!
//! `cargo run --features server --example write_a_plugin [socket]`, then point a
//! gateway's `unix_socket.path` at the socket that it prints. Ctrl-C stops it.
//!
//! The command line calls its own hook, too, which is not built in:
//! `hookwire invoke --socket SOCKET --plugin Example --hook invoice_check --any-hook
//! --payload '{"total": 12.345}'`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hookwire::hooks::{ToolPostInvoke, ToolPreInvoke};
use hookwire::server::{HandlerError, Handlers, PluginInfo, PluginServer};
use hookwire::{PluginResult, PluginViolation};
use serde_json::json;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("write_a_plugin: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> std::io::Result<()> {
    let plugin = Handlers::new()
        // A built-in hook comes with the types of its payload and result.
        .on::<ToolPreInvoke>(|mut payload, _context| async move {
            if payload.name == "delete_everything" {
                let violation = PluginViolation::new("DANGER")
                    .with_reason("not allowed")
                    .with_description("too dangerous");
                return Ok(PluginResult::deny(violation));
            }
            payload.args.get_or_insert_default().insert("checked".to_owned(), json!(true));
            Ok(PluginResult::modify(payload))
        })
        // Whoever returns the context, too, keeps things for later hooks of the same request.
        .on::<ToolPostInvoke>(|payload, mut context| async move {
            context.state.insert("last_tool".to_owned(), json!(payload.name));
            Ok((PluginResult::allow(), context))
        })
        // A hook of one's own, in JSON. An error is reported to the gateway.
        .on_json("invoice_check", |payload, _context| async move {
            let total = payload["total"].as_f64();
            let total = total.ok_or_else(|| HandlerError::new("`total` must be a number"))?;
            Ok(PluginResult::modify(json!({"total": (total * 100.0).round() / 100.0})))
        });

    // In a directory of its own, unless the socket is given.
    let directory = std::env::temp_dir().join(format!("write_a_plugin-{}", std::process::id()));
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => {
            std::fs::create_dir(&directory)?;
            directory.join("plugin.sock")
        }
    };
    let info = PluginInfo::new("Example").with_description("Shows how to write a plugin");
    let server = PluginServer::builder().plugin(info, plugin).bind(&path).await?;
    println!("READY {}", server.socket_path().display());

    tokio::signal::ctrl_c().await?;
    println!("{} requests answered", server.stats().requests);
    server.shutdown(Duration::from_secs(5)).await;
    // It is not there if the socket was given.
    let _ = std::fs::remove_dir(directory);
    Ok(())
}
