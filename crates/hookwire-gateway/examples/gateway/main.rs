//! A gateway on `hookwire-gateway`: plugins of all modes from a configuration file, reloads,
//! health, metrics, traces, and an orderly end. docs/gateway.md walks through it.
//!
//! `cargo run -p hookwire-gateway --all-features --example gateway`, then
//!
//! ```sh
//! curl -H 'Content-Type: application/json' -d '{"text": "a secret plan"}' localhost:8080/tools/search
//! ```
//!
//! and `/tools/shell`, `/metrics`, `/health`, `/ready` and `/live`. It brings plugins of its own, for the
//! entries of `gateway.yaml`; `--config FILE` takes another file, and plugins that run elsewhere.
//! It reloads when the file changes and at SIGHUP, and ends at SIGTERM or Ctrl-C. `--listen ADDRESS` takes
//! another address, `--trace` prints the spans.

mod plugins;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hookwire::PluginConfig;
use hookwire::hooks::{ToolPostInvoke, ToolPostInvokePayload, ToolPreInvoke, ToolPreInvokePayload};
use hookwire::model::Object;
use hookwire_gateway::otel::opentelemetry::trace::TracerProvider;
use hookwire_gateway::otel::opentelemetry_sdk::trace::SdkTracerProvider;
use hookwire_gateway::otel::tracing_opentelemetry;
use hookwire_gateway::{
    Chain, FieldPolicy, Gateway, GatewayConfig, GatewayConfigError, Halted, HookLayer,
    RequestHooks, metrics, otel,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tracing::Instrument;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How long requests, calls in the background and plugins have at the end, together.
const END: Duration = Duration::from_secs(10);

const OWN_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gateway/gateway.yaml");

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
    let option = |name| std::env::args().skip_while(move |arg| arg != name).nth(1);
    let traces = trace(std::env::args().any(|arg| arg == "--trace"));

    // Plugins of its own, unless a file names others.
    let directory = tempfile::Builder::new().prefix("gateway-").tempdir()?;
    let socket = directory.path().join("plugins.sock");
    let file = option("--config").map(PathBuf::from);
    let server = match file {
        Some(_) => None,
        None => Some(plugins::serve(&socket).await?),
    };
    let file = file.unwrap_or_else(|| OWN_FILE.into());

    // The plugins, and the rules for all of them together.
    let settings = Chain::builder()
        .timeout(Duration::from_secs(10))
        .disable_for(Duration::from_secs(60))
        .policy("tool_pre_invoke", FieldPolicy::only(["args"]));
    let first = load(&file, &socket)?;
    let (gateway, applied) = Gateway::builder().settings(settings).start(first).await?;
    applied.changes().iter().for_each(|change| eprintln!("{change}"));
    let path = file.clone();
    let again = move || std::future::ready(load(&path, &socket));
    let _on_change = gateway.reload_on_change(file, again.clone())?;
    let _on_signal = gateway.reload_on_sighup(again)?;

    // Requests pass the HTTP hooks and their handler's own; operators pass none.
    let tools = Router::new().route("/tools/{name}", post(call_tool));
    let tools = tools.layer(HookLayer::new(&gateway)).layer(from_fn(traced));
    let router = tools.merge(operations(gateway.clone()));
    let address = option("--listen").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/tools/NAME", listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let requests = axum::serve(listener, service).with_graceful_shutdown(told_to_end()?);
    let told = told_to_end()?;

    // First the requests, then the calls in the background and the connections.
    let orderly = async {
        let served = requests.await;
        gateway.shutdown(END).await;
        served
    };
    // All by one deadline, or until a second signal: what is left then is cut off.
    let too_late = async {
        told.await;
        drop(timeout(END, told_to_end()?).await);
        std::io::Result::Ok(())
    };
    tokio::select! { ended = orderly => ended?, ended = too_late => ended? }
    gateway.shutdown(Duration::ZERO).await;
    if let Some(server) = server {
        server.shutdown(Duration::ZERO).await;
    }
    traces.shutdown()?;
    Ok(())
}

fn load(file: &Path, socket: &Path) -> Result<Vec<PluginConfig>, GatewayConfigError> {
    let socket = socket.display().to_string();
    let environment = move |name: &str| {
        std::env::var(name).ok().or_else(|| (name == "PLUGINS").then(|| socket.clone()))
    };
    let config = GatewayConfig::from_path_with(file, environment)?;
    config.left_out().iter().for_each(|plugin| eprintln!("not run by this gateway: {plugin}"));
    config.warnings().iter().for_each(|warning| eprintln!("{warning}"));
    Ok(config.into_plugins())
}

/// The hooks' spans are below this one, which is below the client's.
async fn traced(request: Request, next: Next) -> Response {
    let span = tracing::info_span!("request", path = request.uri().path());
    otel::follow_headers(&span, request.headers());
    next.run(request).instrument(span).await
}

/// A request: checked by plugins, answered by the tool, and its answer checked. What stops it
/// is the response.
async fn call_tool(
    hooks: RequestHooks,
    headers: HeaderMap,
    UrlPath(tool): UrlPath<String>,
    Json(args): Json<Object>,
) -> Result<Json<Value>, Box<Halted>> {
    let payload = ToolPreInvokePayload::new(tool).with_args(args);
    let call = hooks.run::<ToolPreInvoke>(payload).await?.into_value();
    // Here a gateway calls the tool.
    let user = headers.get("x-user").and_then(|user| user.to_str().ok());
    let answer = json!({"tool": call.name, "args": call.args, "user": user});
    let payload = ToolPostInvokePayload::new(call.name, answer);
    Ok(Json(hooks.run::<ToolPostInvoke>(payload).await?.into_value().result))
}

/// What operators ask for.
fn operations(gateway: Gateway) -> Router {
    let status = |fine| if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ready = move |State(gateway): State<Gateway>| async move { status(gateway.is_ready()) };
    let live = move |State(gateway): State<Gateway>| async move { status(gateway.is_live()) };
    Router::new()
        .route("/ready", get(ready))
        .route("/live", get(live))
        .route("/health", get(health))
        .route("/metrics", get(numbers))
        .with_state(gateway)
}

async fn health(State(gateway): State<Gateway>) -> Json<Value> {
    let up_to_date = gateway.reload_stats().up_to_date;
    Json(json!({"configuration_up_to_date": up_to_date, "plugins": gateway.health()}))
}

async fn numbers(State(gateway): State<Gateway>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::gateway_text(&gateway))
}

/// Logs to stderr, and spans to stdout if they are wanted; a real gateway exports them.
fn trace(wanted: bool) -> SdkTracerProvider {
    let mut traces = SdkTracerProvider::builder();
    if wanted {
        traces = traces.with_simple_exporter(opentelemetry_stdout::SpanExporter::default());
    }
    let traces = traces.build();
    let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer("gateway"));
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let spans = wanted.then(|| spans.with_filter(LevelFilter::INFO));
    tracing_subscriber::registry().with(logs.with_filter(LevelFilter::WARN)).with(spans).init();
    traces
}

fn told_to_end() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
    })
}
