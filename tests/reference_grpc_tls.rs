//! What our client is told by the reference's gRPC server, where TLS is refused.
#![cfg(feature = "grpc")]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;
#[allow(dead_code)]
#[path = "../src/grpc/test_certificates.rs"]
mod test_certificates;

use common::calls::{LIMIT, in_time};
use common::reference::grpc::GrpcReference;
use hookwire::config::{GrpcBuilder, GrpcConfig, TlsConfig};
use hookwire::{PluginConfig, PluginError, PluginHandle, Sent};
use test_certificates::{Authority, Files};

async fn connect(grpc: GrpcBuilder) -> Result<PluginHandle, PluginError> {
    let config = PluginConfig::builder("Deny").grpc(grpc.reconnect_attempts(1));
    let config = config.timeout(LIMIT).build().unwrap();
    in_time("connect", PluginHandle::connect(config)).await
}

/// Behind the handshake of TLS 1.3, each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_tls_refuses_is_told_why() {
    let (files, ca) = (Files::new(), Authority::new("CA"));
    let bundle = files.write("ca.crt", &ca.pem());
    let identity = files.identity("server", &ca.server("127.0.0.1"));
    let Some(server) = GrpcReference::over_tls(identity, bundle.clone()) else { return };
    let grpc = || GrpcConfig::builder().target(server.target());
    let tls = TlsConfig::new().with_ca_bundle(bundle);
    let shown = |name: &str, authority: &Authority| {
        let (certfile, keyfile) = files.identity(name, &authority.client("gateway"));
        tls.clone().with_client_certificate(certfile, keyfile)
    };
    connect(grpc().tls(shown("client", &ca))).await.unwrap();
    let stranger = shown("stranger", &Authority::new("Another"));
    for _ in 0..10 {
        let error = connect(grpc().tls(tls.clone())).await.unwrap_err();
        assert_eq!((error.reason(), error.sent()), ("untrusted", Sent::No), "{error}");
        assert!(error.to_string().contains("asked for a client certificate"), "{error}");
        // It tells nothing of a certificate that it refuses.
        let error = connect(grpc().tls(stranger.clone())).await.unwrap_err();
        assert_eq!((error.reason(), error.sent()), ("unavailable", Sent::No), "{error}");
        assert!(error.to_string().contains("(`certfile`, `keyfile`)"), "{error}");
    }
    let error = connect(grpc()).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("unavailable", Sent::No), "{error}");
    assert!(
        error.to_string().contains("(`tls`)") || error.to_string().contains("set `tls`"),
        "{error}"
    );
}
