//! Handles over gRPC and the embedded server over gRPC: each way that a configuration can
//! describe.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::PluginHandle;
use crate::config::{GrpcBuilder, GrpcConfig, PluginConfig, TlsConfig};
use crate::error::{ErrorKind, PluginError, Sent};
use crate::grpc::test_certificates::{Authority, Files};
use crate::hooks::ToolPreInvoke;
use crate::model::{PluginContext, PluginResult};
use crate::server::grpc::{GrpcServer, GrpcServerConfig, ServerTlsConfig};
use crate::server::{Handlers, PluginServer};

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

fn local() -> GrpcServerConfig {
    GrpcServerConfig::tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A plugin `Echo` that gives every tool's payload back.
async fn serve(config: GrpcServerConfig) -> GrpcServer {
    let echo = Handlers::new()
        .on::<ToolPreInvoke>(|payload, _| async move { Ok(PluginResult::modify(payload)) });
    PluginServer::builder().plugin("Echo", echo).bind_grpc(config).await.unwrap()
}

fn address(server: &GrpcServer) -> String {
    server.local_addr().unwrap().to_string()
}

fn config(grpc: GrpcBuilder) -> PluginConfig {
    let config = PluginConfig::builder("Echo").hook("tool_pre_invoke").grpc(grpc);
    config.timeout(LIMIT).build().unwrap()
}

async fn connect(grpc: GrpcBuilder) -> Result<PluginHandle, PluginError> {
    timeout(2 * LIMIT, PluginHandle::connect(config(grpc))).await.expect("in time")
}

async fn call(handle: &PluginHandle) -> Result<PluginResult<serde_json::Value>, PluginError> {
    let payload = json!({"name": "search", "args": {"q": "x"}});
    let mut context = PluginContext::new("request-1");
    handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await
}

async fn connected_and_called(grpc: GrpcBuilder) {
    let handle = connect(grpc).await.unwrap();
    assert!(call(&handle).await.unwrap().is_allowed());
    assert!(handle.is_checked(), "the server was asked about the plugin");
    assert_eq!(handle.stats().ok, 1);
    timeout(LIMIT, handle.shutdown(LIMIT)).await.unwrap();
}

#[tokio::test]
async fn a_plugin_is_called_over_tcp() {
    let server = serve(local()).await;
    connected_and_called(GrpcConfig::builder().target(address(&server))).await;
    assert!(server.stats().requests > 0);
}

#[tokio::test]
async fn a_plugin_is_called_by_its_servers_name() {
    let server = serve(local()).await;
    let target = format!("localhost:{}", server.local_addr().unwrap().port());
    connected_and_called(GrpcConfig::builder().target(target).plaintext(true)).await;
}

#[tokio::test]
async fn a_plugin_is_called_over_a_unix_socket_whose_owner_is_trusted() {
    let files = Files::new();
    let path = files.path("echo.sock");
    let _server = serve(GrpcServerConfig::unix(&path)).await;
    let own = rustix::process::geteuid().as_raw();
    connected_and_called(GrpcConfig::builder().uds(&path).peer_uids([own])).await;
    let stranger = GrpcConfig::builder().uds(&path).peer_uids([own + 1]);
    let error = connect(stranger).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("untrusted", Sent::No), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_and_named_by_its_target() {
    let server = serve(local()).await;
    let target = address(&server);
    server.shutdown(LIMIT).await;
    let grpc = GrpcConfig::builder().target(&target).reconnect_attempts(1);
    let error = connect(grpc).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
    assert!(error.to_string().starts_with(&format!("plugin `Echo` at {target}: ")), "{error}");
}

#[tokio::test]
async fn of_several_servers_one_is_enough() {
    let (first, second) = (serve(local()).await, serve(local()).await);
    let targets = [address(&first), address(&second)];
    let handle = connect(GrpcConfig::builder().targets(targets)).await.unwrap();
    assert!(call(&handle).await.unwrap().is_allowed());
    first.shutdown(LIMIT).await;
    for _ in 0..20 {
        assert!(call(&handle).await.unwrap().is_allowed());
    }
    assert_eq!(handle.stats().connections.len(), 2);
}

struct Mutual {
    files: Files,
    ca: Authority,
    clients: Authority,
    server: GrpcServer,
}

impl Mutual {
    /// Its certificate is for this name only.
    async fn new(name: &str) -> Self {
        let (files, ca, clients) = (Files::new(), Authority::new("CA"), Authority::new("Clients"));
        let (certfile, keyfile) = files.identity("server", &ca.server(name));
        let bundle = files.write("clients.crt", &clients.pem());
        let tls = ServerTlsConfig::new(certfile, keyfile).require_clients(bundle, ["gateway"]);
        let server = serve(local().tls(tls)).await;
        Self { files, ca, clients, server }
    }

    fn grpc(&self, tls: TlsConfig) -> GrpcBuilder {
        GrpcConfig::builder().target(address(&self.server)).tls(tls).reconnect_attempts(1)
    }

    fn trusting(&self, authority: &Authority) -> TlsConfig {
        TlsConfig::new().with_ca_bundle(self.files.write("ca.crt", &authority.pem()))
    }

    fn as_gateway(&self, tls: TlsConfig) -> TlsConfig {
        let (certfile, keyfile) = self.files.identity("client", &self.clients.client("gateway"));
        tls.with_client_certificate(certfile, keyfile)
    }
}

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    let mutual = Mutual::new("127.0.0.1").await;
    let tls = mutual.as_gateway(mutual.trusting(&mutual.ca));
    connected_and_called(mutual.grpc(tls)).await;
}

#[tokio::test]
async fn a_server_is_held_to_the_name_that_is_configured() {
    let mutual = Mutual::new("guard.internal").await;
    let tls = mutual.as_gateway(mutual.trusting(&mutual.ca));
    let error = connect(mutual.grpc(tls.clone())).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("untrusted", Sent::No), "{error}");
    connected_and_called(mutual.grpc(tls.with_server_name("guard.internal"))).await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let mutual = Mutual::new("127.0.0.1").await;
    let tls = mutual.as_gateway(mutual.trusting(&Authority::new("Another")));
    let error = connect(mutual.grpc(tls)).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("untrusted", Sent::No), "{error}");
    // An empty section trusts the system's authorities, which this is none of.
    let error = connect(mutual.grpc(mutual.as_gateway(TlsConfig::new()))).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error}");
    assert_eq!(mutual.server.stats().requests, 0);
}

#[tokio::test]
async fn a_client_without_its_certificate_is_not_let_in() {
    let mutual = Mutual::new("127.0.0.1").await;
    let error = connect(mutual.grpc(mutual.trusting(&mutual.ca))).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
    assert_eq!(mutual.server.stats().requests, 0);
}

#[tokio::test]
async fn plaintext_to_a_server_that_speaks_tls_reaches_no_hook() {
    let mutual = Mutual::new("127.0.0.1").await;
    let grpc = GrpcConfig::builder().target(address(&mutual.server)).reconnect_attempts(1);
    let error = connect(grpc.connect_timeout(Duration::from_secs(2))).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error}");
    assert_eq!(mutual.server.stats().requests, 0);
}

#[tokio::test]
async fn certificates_that_are_not_there_are_named() {
    let mutual = Mutual::new("127.0.0.1").await;
    let tls = TlsConfig::new().with_ca_bundle(Path::new("/not/there.pem"));
    let error = connect(mutual.grpc(tls)).await.unwrap_err();
    assert!(error.to_string().contains("/not/there.pem"), "{error}");
}
