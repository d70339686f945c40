//! Plugins over gRPC that share their connections: a thousand on ten servers have ten.
#![cfg(all(feature = "grpc", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::SocketAddr;

use common::calls::{LIMIT, eventually, in_time};
use hookwire::config::PluginConfigBuilder;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::grpc::{GrpcServer, GrpcServerConfig};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{
    ConnectionState, GrpcConfig, OnConnectFailure, PluginConfig, PluginContext, PluginHandle,
    PluginResult, Plugins, SharedConnections,
};

/// A server that has so many plugins.
async fn serve(plugins: usize) -> GrpcServer {
    let mut builder = PluginServer::builder();
    for plugin in 0..plugins {
        let handlers = Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
            Ok(PluginResult::modify(payload.with_arg("seen", true)))
        });
        builder = builder.plugin(name(plugin), handlers);
    }
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    builder.bind_grpc(GrpcServerConfig::tcp(local)).await.unwrap()
}

fn name(plugin: usize) -> String {
    format!("Plugin {plugin}")
}

fn config(plugin: usize, servers: &[GrpcServer]) -> PluginConfig {
    let targets = servers.iter().map(|server| server.local_addr().unwrap().to_string());
    let grpc = GrpcConfig::builder().targets(targets);
    let config = PluginConfig::builder(name(plugin)).hook("tool_pre_invoke").grpc(grpc);
    config.timeout(LIMIT).build().unwrap()
}

async fn call(plugin: &PluginHandle) {
    let payload = ToolPreInvokePayload::new("search");
    let mut context = PluginContext::new("request-1");
    let result = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap();
    assert!(result.is_allowed());
}

/// Connections that were ever made, as the servers count them.
fn connections(servers: &[GrpcServer]) -> u64 {
    servers.iter().map(|server| server.stats().connections).sum()
}

fn open(servers: &[GrpcServer]) -> u64 {
    servers.iter().map(|server| server.stats().open_connections).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_plugins_on_ten_servers_have_ten_connections() {
    let mut servers = Vec::new();
    for _ in 0..10 {
        servers.push(serve(1000).await);
    }
    let configs = (0..1000).map(|plugin| config(plugin, &servers));
    let connecting =
        Plugins::builder().plugins(configs).on_failure(OnConnectFailure::KeepRetrying).connect();
    let (plugins, _) = in_time("connecting", connecting).await.unwrap();
    let calls: Vec<_> = plugins
        .handles()
        .into_iter()
        .map(|plugin| tokio::spawn(async move { call(&plugin).await }))
        .collect();
    for call in calls {
        in_time("a call", call).await.unwrap();
    }
    assert_eq!(connections(&servers), 10);
    let answered: u64 = servers.iter().map(|server| server.stats().requests).sum();
    assert!(answered >= 1000, "{answered}");

    // A plugin that is configured anew finds the open ones.
    let changed = PluginConfigBuilder::from(config(0, &servers)).description("changed");
    let changed = changed.build().unwrap();
    let (old, _) = in_time("a replacement", plugins.replace(changed)).await.unwrap();
    call(&plugins.get("Plugin 0").unwrap()).await;
    call(&old).await;
    assert_eq!(connections(&servers), 10);

    // The last one closes them.
    drop(old);
    in_time("the end", plugins.shutdown(LIMIT)).await;
    eventually("all are closed", || open(&servers) == 0).await;
    assert_eq!(connections(&servers), 10);
}

#[tokio::test]
async fn handles_share_what_they_are_given_and_have_their_own_otherwise() {
    let servers = [serve(3).await];
    let shared = SharedConnections::new();
    let lazy = |plugin: usize| PluginHandle::builder(config(plugin, &servers));
    let [one, other] = [0, 1].map(|plugin| lazy(plugin).connections(&shared).connect_lazy());
    let alone = lazy(2).connect_lazy();
    for plugin in [&one, &other, &alone] {
        in_time("a call", call(plugin)).await;
    }
    assert_eq!((connections(&servers), shared.open()), (2, 1));
    assert_eq!(one.stats().connections.len(), 1);
    assert_eq!(other.stats().connections[0].connects, 1);
    assert!(other.stats().connections[0].bytes_received > 0);

    in_time("the end", one.shutdown(LIMIT)).await;
    in_time("a call", call(&other)).await;
    assert_eq!((one.state(), other.state()), (ConnectionState::Shutdown, ConnectionState::Ready));
    in_time("the end", other.shutdown(LIMIT)).await;
    assert_eq!(shared.open(), 0);
    eventually("one is closed", || open(&servers) == 1).await;
    in_time("a call", call(&alone)).await;
}
