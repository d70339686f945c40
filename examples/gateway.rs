//! A gateway: every tool call passes two plugins, from as many tasks as there are
//! requests, all sharing two handles.
//!
//! `cargo run --features server --example gateway`, then
//!
//! ```sh
//! curl -H 'Content-Type: application/json' -d '{"text": "a secret plan"}' localhost:8080/tools/search
//! ```
//!
//! `--listen ADDRESS` takes another address. With `--requests N` it sends itself N requests
//! at once and stops.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::model::Object;
use hookwire::server::{Handlers, PluginServer};
use hookwire::{
    GlobalContext, OnConnectFailure, PluginConfig, PluginContext, PluginResult, PluginViolation,
    Plugins, Stopped,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The plugins that every tool call passes, in this order.
const CHAIN: [&str; 2] = ["Guard", "Redact"];

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // Returned from `main` it would be shown as `Debug`, which is for developers.
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let directory = std::env::temp_dir().join(format!("gateway-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let socket = directory.join("plugins.sock");
    let server = serve_plugins(&socket).await?;

    let configs = CHAIN.map(|name| PluginConfig::builder(name).socket(&socket).build());
    let configs = configs.into_iter().collect::<Result<Vec<_>, _>>()?;
    // A guard that is down must not stop the gateway from starting: its calls fail.
    let plugins = Plugins::builder().plugins(configs).on_failure(OnConnectFailure::KeepRetrying);
    let (plugins, reports) = plugins.connect().await?;
    for report in reports {
        match report.outcome {
            Err(error) if report.pending => eprintln!("not ready yet: {error}"),
            Err(error) => eprintln!("cannot be used: {error}"),
            Ok(()) => {}
        }
    }

    let option = |name| std::env::args().skip_while(move |arg| arg != name).nth(1);
    let requests = option("--requests");
    let default = if requests.is_some() { "127.0.0.1:0" } else { "127.0.0.1:8080" };
    let listener = TcpListener::bind(option("--listen").as_deref().unwrap_or(default)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/tools/NAME");
    let router = Router::new().route("/tools/{name}", post(call_tool)).with_state(plugins.clone());
    let gateway = tokio::spawn(async move { axum::serve(listener, router).await });

    match requests {
        Some(count) => drive(address, count.parse()?).await?,
        None => tokio::signal::ctrl_c().await?,
    }
    gateway.abort();
    plugins.shutdown(Duration::from_secs(5)).await;
    server.shutdown(Duration::from_secs(5)).await;
    std::fs::remove_dir(directory)?;
    Ok(())
}

/// One request of the gateway: through all plugins, then (here) back to the client.
async fn call_tool(
    State(plugins): State<Plugins>,
    UrlPath(tool): UrlPath<String>,
    Json(args): Json<Object>,
) -> (StatusCode, Json<Value>) {
    static REQUESTS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = REQUESTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);

    let mut payload = ToolPreInvokePayload::new(tool).with_args(args);
    let mut shared = GlobalContext::new(format!("request-{id}"));
    for name in CHAIN {
        // A check that could not be made is not a check that was passed.
        let Some(plugin) = plugins.get(name) else { return unchecked(name, "removed") };
        // Each plugin has a context of its own: no other sees its state. (A gateway with
        // more hooks in one request keeps it for the plugin's next one.)
        let mut context = PluginContext::from(shared);
        payload = match plugin.enforce::<ToolPreInvoke>(payload, &mut context).await {
            Ok(payload) => payload,
            Err(Stopped::Denied(denial)) => {
                let code = denial.violation().map(|violation| &violation.code);
                return (StatusCode::FORBIDDEN, Json(json!({"denied_by": name, "code": code})));
            }
            Err(Stopped::Failed(error)) => {
                eprintln!("{error}");
                return unchecked(name, error.public_message());
            }
        };
        // What the plugin put there for those behind it goes on.
        shared = context.global_context;
    }
    (StatusCode::OK, Json(json!({"tool": payload.name, "args": payload.args})))
}

/// The answer where a plugin could not be asked: silence is never "allow".
fn unchecked(plugin: &str, why: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"failed": plugin, "why": why})))
}

/// Two plugins, as they would run in a process of their own.
async fn serve_plugins(socket: &Path) -> std::io::Result<PluginServer> {
    let guard = Handlers::new().on::<ToolPreInvoke>(|payload, _context| async move {
        Ok(if payload.name == "shell" {
            PluginResult::deny(
                PluginViolation::new("NO_SHELL")
                    .with_reason("no")
                    .with_description("not from here"),
            )
        } else {
            PluginResult::allow()
        })
    });
    let redact = Handlers::new().on::<ToolPreInvoke>(|mut payload, _context| async move {
        for value in payload.args.iter_mut().flatten().map(|(_, value)| value) {
            if let Value::String(text) = value {
                *text = text.replace("secret", "******");
            }
        }
        Ok(PluginResult::modify(payload))
    });
    PluginServer::builder().plugin("Guard", guard).plugin("Redact", redact).bind(socket).await
}

/// Sends `count` requests at once, each on a connection of its own.
async fn drive(address: std::net::SocketAddr, count: usize) -> Result<(), Error> {
    let open = Arc::new(tokio::sync::Semaphore::new(100));
    let requests = (0..count).map(|i| {
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            let _permit = open.acquire().await?;
            let tool = if i % 10 == 0 { "shell" } else { "search" };
            let body = r#"{"text": "a secret plan"}"#;
            let request = format!(
                "POST /tools/{tool} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len(),
            );
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut response = String::new();
            stream.read_to_string(&mut response).await?;
            Ok::<_, Error>(response)
        })
    });
    let (mut allowed, mut denied) = (0, 0);
    for request in requests.collect::<Vec<_>>() {
        let response = request.await??;
        if response.starts_with("HTTP/1.1 200") && response.contains("a ****** plan") {
            allowed += 1;
        } else if response.starts_with("HTTP/1.1 403") && response.contains("NO_SHELL") {
            denied += 1;
        } else {
            return Err(format!("unexpected response: {response}").into());
        }
    }
    println!("{count} requests: {allowed} redacted, {denied} denied");
    Ok(())
}
