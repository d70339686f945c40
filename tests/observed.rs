//! What is seen of a plugin from outside: when it was reached, how it failed, what it counted.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::calls::in_time;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::{ErrorKind, PluginConfig, PluginContext, PluginHandle, PluginResult};
use tempfile::TempDir;
use tokio::sync::watch;

async fn call(handle: &PluginHandle, tool: &str) -> Option<ErrorKind> {
    let payload = ToolPreInvokePayload::new(tool);
    let mut context = PluginContext::new("request-1");
    let call = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context);
    in_time("a call", call).await.err().map(|error| error.kind())
}

fn config(dir: &TempDir) -> PluginConfig {
    let socket = hookwire::UnixSocketConfig::builder(dir.path().join("s")).reconnect_attempts(1);
    PluginConfig::builder("Guard").unix_socket(socket.build().unwrap()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_success_and_the_last_failure_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let handle = PluginHandle::connect_lazy(config(&dir));
    assert_eq!((handle.last_success(), handle.last_failure()), (None, None));
    assert_eq!(call(&handle, "search").await, Some(ErrorKind::Unavailable));
    assert_eq!(handle.last_failure().unwrap().reason, "unavailable");
    assert_eq!(handle.last_success(), None);

    let guard = Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
        match payload.name.as_str() {
            "shell" => Err(HandlerError::new("the secret plan")),
            _ => Ok(PluginResult::allow()),
        }
    });
    let server = PluginServer::builder().plugin("Guard", guard).bind(dir.path().join("s"));
    let _server = server.await.unwrap();
    in_time("its return", async { while call(&handle, "search").await.is_some() {} }).await;
    assert!(handle.last_success().is_some());
    assert_eq!(call(&handle, "shell").await, Some(ErrorKind::Plugin));
    let failure = handle.last_failure().unwrap();
    assert_eq!((failure.kind, failure.reason), (ErrorKind::Plugin, "plugin_error"));
    assert!(!format!("{failure:?}").contains("secret plan"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_cannot_be_used_tells_why() {
    let dir = tempfile::tempdir().unwrap();
    let server = PluginServer::builder().plugin("guard", Handlers::new());
    let _server = server.bind(dir.path().join("s")).await.unwrap();
    let handle = PluginHandle::connect_lazy(config(&dir));
    assert!(handle.refusal().is_none());
    assert!(in_time("the question", handle.verify()).await.is_err());
    assert_eq!(handle.refusal().unwrap().reason(), "name_mismatch");
    assert_eq!(handle.stats().calls, 0, "telling is no call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_read_until_the_last_call_is_counted_and_keep_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let (open, gate) = watch::channel(false);
    let guard = Handlers::new().on::<ToolPreInvoke>(move |_, _| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await?;
            Ok(PluginResult::allow())
        }
    });
    let server = PluginServer::builder().plugin("Guard", guard).bind(dir.path().join("s"));
    let _server = server.await.unwrap();
    let handle = in_time("connecting", PluginHandle::connect(config(&dir))).await.unwrap();
    let weak = handle.downgrade();
    let under_way = tokio::spawn(async move { call(&handle, "search").await });
    in_time("the call", async {
        while weak.stats().in_flight == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(weak.upgrade().is_some() && !weak.is_final());

    open.send_replace(true);
    assert_eq!(in_time("its end", under_way).await.unwrap(), None);
    in_time("the close", async {
        while !weak.is_final() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(weak.upgrade().is_none());
    assert_eq!((weak.stats().calls, weak.stats().ok), (1, 1));
}
