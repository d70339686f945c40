//! What is told of servers that cannot be used, word for word as a user meets it: over real
//! sockets, with certificates made for it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::PluginHandle;
use crate::config::{GrpcBuilder, GrpcConfig, PluginConfig, TlsConfig};
use crate::error::{PluginError, Sent};
use crate::grpc::test_certificates::{Authority, Files, Signed};
use crate::hooks::ToolPreInvoke;
use crate::model::PluginResult;
use crate::server::grpc::{GrpcServer, GrpcServerConfig, ServerTlsConfig};
use crate::server::{Handlers, PluginServer};

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

fn local() -> GrpcServerConfig {
    GrpcServerConfig::tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

async fn connect(grpc: GrpcBuilder) -> PluginError {
    let grpc = grpc.reconnect_attempts(1);
    let config = PluginConfig::builder("Echo").hook("tool_pre_invoke").grpc(grpc);
    let config = config.timeout(LIMIT).build().unwrap();
    timeout(2 * LIMIT, PluginHandle::connect(config)).await.expect("in time").unwrap_err()
}

async fn serve(files: &Files, signed: &Signed, clients: Option<&Authority>) -> GrpcServer {
    let (certfile, keyfile) = files.identity("server", signed);
    let mut tls = ServerTlsConfig::new(certfile, keyfile);
    if let Some(clients) = clients {
        tls = tls.require_clients(files.write("clients.crt", &clients.pem()), ["gateway"]);
    }
    let echo = Handlers::new()
        .on::<ToolPreInvoke>(|payload, _| async move { Ok(PluginResult::modify(payload)) });
    PluginServer::builder().plugin("Echo", echo).bind_grpc(local().tls(tls)).await.unwrap()
}

fn at(server: &GrpcServer) -> GrpcBuilder {
    GrpcConfig::builder().target(server.local_addr().unwrap().to_string())
}

/// It is told of the plugin and its server, with these words, and nothing was sent.
fn assert_told(error: &PluginError, reason: &str, words: &[&str]) {
    let told = error.to_string();
    assert_eq!((error.reason(), error.sent()), (reason, Sent::No), "{told}");
    assert!(told.starts_with("plugin `Echo` at "), "{told}");
    for words in words {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    for foreign in ["broken pipe", "Broken pipe", "http2 error", "DnsName", "frame"] {
        assert!(!told.contains(foreign), "{foreign:?} in {told}");
    }
}

/// With TLS 1.3, behind the handshake: each time, not only where the alert is quicker than what
/// is written.
#[tokio::test]
async fn a_server_that_wants_a_client_certificate_or_another_one_says_so() {
    let (files, ca, clients) = (Files::new(), Authority::new("CA"), Authority::new("Clients"));
    let tls = TlsConfig::new().with_ca_bundle(files.write("ca.crt", &ca.pem()));
    let server = serve(&files, &ca.server("127.0.0.1"), Some(&clients)).await;
    let (certfile, keyfile) = files.identity("client", &ca.client("gateway"));
    let other = tls.clone().with_client_certificate(certfile, keyfile);
    for _ in 0..10 {
        let error = connect(at(&server).tls(tls.clone())).await;
        let words =
            "(1 attempt failed): the server demands a client certificate (`certfile`, `keyfile`)";
        assert_told(&error, "untrusted", &[words]);
        let error = connect(at(&server).tls(other.clone())).await;
        let words =
            "the server does not trust the authority of our client certificate (`certfile`)";
        assert_told(&error, "untrusted", &[words]);
    }
    assert_eq!(server.stats().requests, 0);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_told_with_what_to_change() {
    const DAY: Duration = Duration::from_secs(86_400);
    let (files, ca, now) = (Files::new(), Authority::new("CA"), SystemTime::now());
    let bundle = files.write("ca.crt", &ca.pem());
    let trusted = format!("Trusted are those in {}", bundle.display());
    let tls = TlsConfig::new().with_ca_bundle(&bundle);
    for (signed, words) in [
        (
            ca.server("guard.internal"),
            [
                "for `guard.internal`, expected `127.0.0.1`",
                "(`server_name`); if it is the plugin's server, set that",
            ],
        ),
        (Authority::new("CA").server("127.0.0.1"), ["made anew (`ca_bundle`)?", &trusted]),
        (
            ca.expired_server("127.0.0.1"),
            ["valid until Tue, 01 Jan 2002 00:00:00 GMT", "renew it on the server"],
        ),
        (
            ca.server_for("127.0.0.1", now + DAY, now + 2 * DAY),
            ["not valid yet: only from ", "clock"],
        ),
    ] {
        let server = serve(&files, &signed, None).await;
        assert_told(&connect(at(&server).tls(tls.clone())).await, "untrusted", &words);
    }
}

#[tokio::test]
async fn plaintext_to_tls_names_the_key_to_change() {
    let (files, ca) = (Files::new(), Authority::new("CA"));
    let server = serve(&files, &ca.server("127.0.0.1"), None).await;
    let words = ["the server answered in TLS, and is spoken to without it; set `tls`"];
    assert_told(&connect(at(&server)).await, "unavailable", &words);
}

#[tokio::test]
async fn tls_to_plaintext_names_the_keys_to_change() {
    let (files, ca) = (Files::new(), Authority::new("CA"));
    let tls = TlsConfig::new().with_ca_bundle(files.write("ca.crt", &ca.pem()));
    let server = PluginServer::builder().bind_grpc(local()).await.unwrap();
    let words = ["the server does not speak TLS, or not here", "remove `tls`", "`plaintext: true`"];
    assert_told(&connect(at(&server).tls(tls)).await, "untrusted", &words);
}

/// A port on which every client is told this, and then left.
async fn says(words: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1000]).await;
            let _ = stream.write_all(words).await;
        }
    });
    address
}

#[tokio::test]
async fn a_wrong_port_is_told_by_what_answers_there() {
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], "answered in HTTP/1, "),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak HTTP/2, so it is no gRPC"),
        (b"", "closed the connection without a word"),
    ] {
        let error = connect(GrpcConfig::builder().target(says(answer).await)).await;
        assert_told(&error, "unavailable", &[words, "?"]);
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_told_by_how_far_it_came() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let grpc = || {
        let grpc = GrpcConfig::builder().target(&target);
        grpc.connect_timeout(Duration::from_millis(200))
    };
    let words = ["within `connect_timeout` (200ms) no answer to `cpex.Health/Check`", "(`tls`)"];
    assert_told(&connect(grpc()).await, "unavailable", &words);
    let files = Files::new();
    let bundle = files.write("ca.crt", &Authority::new("CA").pem());
    let tls = TlsConfig::new().with_ca_bundle(bundle);
    let words = ["within `connect_timeout` (200ms) no connection, or no answer to TLS"];
    assert_told(&connect(grpc().tls(tls)).await, "unavailable", &words);
}

#[tokio::test]
async fn of_several_servers_the_one_that_is_told_of_is_named() {
    let first = says(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    let second = says(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    let error = connect(GrpcConfig::builder().targets([first.clone(), second])).await;
    let words = format!("failed): {first}: what answers there does not speak HTTP/2");
    assert_told(&error, "unavailable", &[&words]);
}
