//! A probe as orchestrators have them looks at our embedded server.
//!
//! It is a child process that blocks us while it works: the server runs on the runtime's own
//! threads meanwhile.
#![cfg(all(feature = "server", feature = "grpc"))]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::reference::probe::Probe;
use common::reference::served::plugins;
use hookwire::server::grpc::GrpcServerConfig;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_sees_the_server_serving_and_hears_when_that_ends() {
    let config = GrpcServerConfig::tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = plugins(std::sync::Arc::default()).bind_grpc(config).await.unwrap();
    let Some(probe) = Probe::start(server.local_addr().unwrap()) else { return };
    let checked = json!({
        "": "SERVING", "cpex.PluginService": "SERVING", "nonsense": "NOT_FOUND",
    });
    assert_eq!(probe.next(), checked);
    assert_eq!(probe.next(), "SERVING");
    server.set_serving(false);
    assert_eq!(probe.next(), "NOT_SERVING");
    server.set_serving(true);
    assert_eq!(probe.next(), "SERVING");
    server.shutdown(Duration::from_secs(60)).await;
    assert_eq!(probe.next(), "NOT_SERVING");
    assert_eq!(probe.next(), "ended: OK");
}
