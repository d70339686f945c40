//! Plugins over gRPC, over reloads.

use std::net::SocketAddr;
use std::time::Duration;

use hookwire::hooks::ToolPreInvoke;
use hookwire::server::grpc::GrpcServerConfig;
use hookwire::server::{Handlers, PluginServer};
use hookwire::{GrpcConfig, PluginConfig, PluginResult};

use crate::world::{apply, in_time, run, start, told, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_plugins_of_a_server_share_one_connection_and_a_reload_finds_it_open() {
    let plugin = || Handlers::new().on::<ToolPreInvoke>(|_, _| async { Ok(PluginResult::allow()) });
    let server = PluginServer::builder().plugin("A", plugin()).plugin("B", plugin());
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = server.bind_grpc(GrpcServerConfig::tcp(local)).await.unwrap();
    let target = server.local_addr().unwrap().to_string();
    let entry = |name: &str, priority| {
        let grpc = GrpcConfig::builder().target(&target);
        let entry = PluginConfig::builder(name).hook("tool_pre_invoke").grpc(grpc);
        entry.priority(priority).build().unwrap()
    };
    let gateway = start([entry("A", 1), entry("B", 2)]).await;
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());
    assert_eq!(server.stats().connections, 1);

    let applied = apply(&gateway, vec![entry("A", 3), entry("B", 4)]).await;
    assert_eq!(told(&applied), ["A replaced", "B replaced"]);
    assert!(run(&gateway.chain(), "2", "search").await.is_ok());
    assert_eq!(server.stats().connections, 1);

    in_time("the end", gateway.shutdown(Duration::from_secs(10))).await;
    until("the connection is closed", || server.stats().open_connections == 0).await;
}
