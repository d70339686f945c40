//! What the doctor sees of a server's TLS, and what it makes of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hookwire::server::grpc::{GrpcServer, ServerTlsConfig};
use serde_json::json;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{address, guard, joined, on_loopback, serve};
use crate::certificates::{Authority, Files, Signed};
use crate::grpc::Certificates;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A server with a certificate of this authority, which is written into `files` beside it.
async fn serve_tls(files: &Files, authority: &Authority, signed: &Signed) -> GrpcServer {
    files.write("ca.crt", &authority.pem());
    let (cert, key) = files.identity("server", signed);
    serve("Guard", on_loopback().tls(ServerTlsConfig::new(cert, key))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_on_one_side_only_is_told_from_both() {
    let (files, authority) = (Files::new(), Authority::new("Plugins CA"));
    let server = serve_tls(&files, &authority, &authority.server("127.0.0.1")).await;
    guard(&json!({"target": address(&server)}))
        .await
        .fails(&["it speaks TLS, and the entry has none", "add `tls: {}`, with a `ca_bundle`"]);
    let server = serve("Guard", on_loopback()).await;
    guard(&json!({"target": address(&server), "tls": {"ca_bundle": files.path("ca.crt")}}))
        .await
        .fails(&["it does not begin TLS", "let the server speak TLS there"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_that_is_missing_or_not_taken_is_told() {
    let certificates = Certificates::for_server("127.0.0.1");
    let (cert, key) = &certificates.server;
    let tls = ServerTlsConfig::new(cert, key).require_clients(&certificates.ca, ["other.internal"]);
    let server = serve("Guard", on_loopback().tls(tls)).await;
    let (target, ca) = (address(&server), &certificates.ca);
    let diagnosis = guard(&json!({"target": target, "tls": {"ca_bundle": ca}})).await;
    diagnosis.fails(&[
        "it asks for a client certificate, and the entry has none",
        "set `tls.certfile` and `tls.keyfile`",
    ]);
    assert!(joined(&diagnosis.plain).contains("client certificate asked for, and none to show"));

    let (own, own_key) = &certificates.client;
    let tls = json!({"ca_bundle": ca, "certfile": own, "keyfile": own_key});
    guard(&json!({"target": target, "tls": tls}))
        .await
        .fails(&["it may not take the client certificate", "for a name that it lets in"]);

    // Of another certificate: nothing can be shown with it.
    let tls = json!({"ca_bundle": ca, "certfile": own, "keyfile": key});
    let diagnosis = guard(&json!({"target": target, "tls": tls})).await;
    diagnosis.fails(&["does not belong to the certificate"]);
    assert!(joined(&diagnosis.plain).contains("client certificate asked for, and one is set"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_told_with_what_it_says() {
    let (files, authority) = (Files::new(), Authority::new("Plugins CA"));
    let server = serve_tls(&files, &authority, &authority.server("guard.internal")).await;
    let (target, ca) = (address(&server), files.path("ca.crt"));
    guard(&json!({"target": target, "tls": {"ca_bundle": ca}})).await.fails(&[
        "the server's certificate is for",
        "it is for guard.internal from `CN=Plugins CA`",
        "compare its names with `target` and `server_name`",
    ]);
    let other = files.write("other.crt", &Authority::new("Other CA").pem());
    let tls = json!({"ca_bundle": other});
    guard(&json!({"target": target, "server_name": "guard.internal", "tls": tls}))
        .await
        .fails(&["is not signed by a trusted authority", "its authority with `tls.ca_bundle`"]);
    let fine = json!({"target": target, "server_name": "guard.internal", "tls": {"ca_bundle": ca}});
    assert!(guard(&fine).await.has_no_findings());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_soon_is_warned_of_and_one_that_has_ended_fails() {
    let (files, authority) = (Files::new(), Authority::new("Plugins CA"));
    let now = SystemTime::now();
    let soon = authority.server_for("127.0.0.1", now - 80 * DAY, now + 9 * DAY + DAY / 2);
    let server = serve_tls(&files, &authority, &soon).await;
    let (target, ca) = (address(&server), files.path("ca.crt"));
    let (own, own_key) = files.identity("own", &soon);
    let tls = json!({"ca_bundle": ca, "certfile": own, "keyfile": own_key});
    let diagnosis = guard(&json!({"target": target, "tls": tls})).await;
    diagnosis.tells("WARN", &["the server's certificate expires in 9 days, on 20", "renew it"]);
    diagnosis.tells("WARN", &["the client certificate ", "own.crt expires in 9 days"]);
    assert_eq!(diagnosis.plain.code, Some(0), "{:?}", diagnosis.plain);

    files.identity("server", &authority.expired_server("127.0.0.1"));
    guard(&json!({"target": target, "tls": {"ca_bundle": ca}})).await.fails(&[
        "its certificate has expired, on 2002-01-01T00:00:00Z",
        "renew the server's certificate",
    ]);
    files.identity("server", &authority.server_for("127.0.0.1", now + DAY, now + 90 * DAY));
    guard(&json!({"target": target, "tls": {"ca_bundle": ca}}))
        .await
        .fails(&["its certificate does not hold yet", "correct this machine's clock"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_choose_http_2_is_told() {
    let certificates = Certificates::for_server("127.0.0.1");
    let (cert, key) = &certificates.server;
    let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            // The client goes, whatever it is told.
            drop(acceptor.accept(stream).await);
        }
    });
    guard(&json!({"target": target, "tls": {"ca_bundle": certificates.ca}}))
        .await
        .fails(&["it does not choose HTTP/2 in TLS", "offer HTTP/2 (ALPN protocol `h2`)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_used_is_told_by_its_key() {
    let (files, authority) = (Files::new(), Authority::new("Plugins CA"));
    let server = serve_tls(&files, &authority, &authority.server("127.0.0.1")).await;
    guard(&json!({"target": address(&server), "tls": {"ca_bundle": "/no/such.pem"}}))
        .await
        .fails(&["`ca_bundle` /no/such.pem cannot be read", "correct the file that is named"]);
}
