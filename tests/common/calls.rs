//! The caller's side of the fault tests: handles with short waits, and calls whose
//! reply says whose it is.

use std::future::Future;
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};

use fault_server::{FaultServer, Over};
use hookwire::{CallOptions, PluginConfig, PluginContext, PluginError, PluginHandle, Verdict};
use serde_json::{Value, json};

use super::knobs::Knobs;

/// The plugin's name in all fault tests.
pub(crate) const PLUGIN: &str = "Guard";

/// Far above what any wait takes on a busy machine: reached only by what hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A deadline for calls that are meant to miss it.
pub(crate) const SOON: Duration = Duration::from_millis(40);

/// The way to a server: one connection, so that all calls share it; short waits between
/// attempts, long ones for everything that a test does not provoke on purpose.
pub(crate) fn knobs(server: &FaultServer) -> Knobs {
    patient(Knobs::to(server))
}

/// The same for what is at this path.
pub(crate) fn at(over: Over, path: impl AsRef<Path>) -> Knobs {
    patient(Knobs::at(over, path))
}

/// The same over a socket alone.
pub(crate) fn socket(path: impl AsRef<Path>) -> Knobs {
    at(Over::Socket, path)
}

fn patient(knobs: Knobs) -> Knobs {
    knobs
        .max_connections(1)
        .reconnect_delay(Duration::from_millis(5))
        .max_backoff(Duration::from_millis(20))
        .timeout(LIMIT)
        .stall_limit(LIMIT)
}

pub(crate) fn config(socket: Knobs) -> PluginConfig {
    let plugin = PluginConfig::builder(PLUGIN).hook("tool_pre_invoke");
    socket.apply(plugin).build().expect("a valid configuration")
}

/// A handle that asks the server nothing at the start.
pub(crate) fn lazy(socket: Knobs) -> PluginHandle {
    PluginHandle::connect_lazy(config(socket))
}

/// Calls the plugin; the marker that came back.
pub(crate) async fn call(handle: &PluginHandle, marker: &str) -> Result<String, PluginError> {
    call_with(handle, marker, CallOptions::new()).await
}

pub(crate) async fn call_with(
    handle: &PluginHandle,
    marker: &str,
    options: CallOptions,
) -> Result<String, PluginError> {
    call_of_size(handle, marker, 0, options).await
}

/// As [`call_with`], with a payload of this many bytes and a few.
pub(crate) async fn call_of_size(
    handle: &PluginHandle,
    marker: &str,
    size: usize,
    options: CallOptions,
) -> Result<String, PluginError> {
    let payload = json!({"name": "t", "args": {"marker": marker, "filler": "x".repeat(size)}});
    let mut context = PluginContext::new(format!("request-{marker}"));
    let handle = handle.with(options);
    let result = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await?;
    let payload = match result.into_verdict() {
        Verdict::Allowed(payload) => payload.unwrap_or_default(),
        Verdict::Denied(_) => Value::Null,
    };
    Ok(payload["args"]["marker"].as_str().unwrap_or("nothing").to_owned())
}

/// A call in a task of its own.
pub(crate) fn spawn_call(
    handle: &PluginHandle,
    marker: impl Into<String>,
) -> tokio::task::JoinHandle<Result<String, PluginError>> {
    spawn_call_with(handle, marker, CallOptions::new())
}

pub(crate) fn spawn_call_with(
    handle: &PluginHandle,
    marker: impl Into<String>,
    options: CallOptions,
) -> tokio::task::JoinHandle<Result<String, PluginError>> {
    let (handle, marker) = (handle.clone(), marker.into());
    tokio::spawn(async move { call_with(&handle, &marker, options).await })
}

/// A call that is given little time.
pub(crate) async fn call_soon(handle: &PluginHandle, marker: &str) -> Result<String, PluginError> {
    call_with(handle, marker, CallOptions::new().timeout(SOON)).await
}

/// What `future` comes to, which must not take for ever.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("hangs: {what}"),
    }
}

/// Waits until `holds`, for what has no event to wait for.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Polls a future this many times, letting all others run in between, and drops it.
pub(crate) async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    for _ in 0..times {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}
