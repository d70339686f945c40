//! TLS: who is let in. The client's side is the one of this crate.

use std::path::PathBuf;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::grpc::connect::{TcpConnector, TlsConnector};
use crate::grpc::test_certificates::{Authority, Files, Signed};
use crate::grpc::tls::TlsConfig;
use crate::test_log::Log;
use crate::trust::is_refusal;
use crate::unix::connect::Connect as _;

struct Setup {
    files: Files,
    ca: Authority,
    clients: Authority,
}

impl Setup {
    fn new() -> Self {
        Self { files: Files::new(), ca: Authority::new("CA"), clients: Authority::new("Clients") }
    }

    fn tls(&self) -> ServerTlsConfig {
        let (certfile, keyfile) = self.files.identity("server", &self.ca.server("127.0.0.1"));
        ServerTlsConfig::new(certfile, keyfile)
    }

    fn clients_bundle(&self) -> PathBuf {
        self.files.write("clients.crt", &self.clients.pem())
    }

    /// Connects with this certificate, and calls.
    async fn call(&self, server: &GrpcServer, identity: Option<&Signed>) -> Result<(), String> {
        let config = TlsConfig {
            ca_bundle: Some(self.files.write("ca.crt", &self.ca.pem())),
            certfile_and_keyfile: identity.map(|signed| self.files.identity("client", signed)),
            server_name: None,
        };
        let tcp = Arc::new(TcpConnector::new(server.local_addr().unwrap()));
        let connector = TlsConnector::new(tcp, Arc::new(config), Some("127.0.0.1")).unwrap();
        let stream = within(connector.connect()).await.map_err(|error| error.to_string())?;
        let client = Client::over(stream).await;
        let answer = within(client.try_call(INVOKE, &[], &invocation())).await;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        answer.message();
        Ok(())
    }
}

#[tokio::test]
async fn a_server_without_client_certificates_asks_for_none() {
    let setup = Setup::new();
    let server = echo().bind_grpc(local().tls(setup.tls())).await.unwrap();
    setup.call(&server, None).await.unwrap();
    setup.call(&server, Some(&setup.clients.client("gateway"))).await.unwrap();
}

#[tokio::test]
async fn a_client_without_a_certificate_of_the_authority_is_not_let_in() {
    let setup = Setup::new();
    let any_name: [&str; 0] = [];
    let tls = setup.tls().require_clients(setup.clients_bundle(), any_name);
    let server = echo().bind_grpc(local().tls(tls)).await.unwrap();
    setup.call(&server, Some(&setup.clients.client("gateway"))).await.unwrap();
    setup.call(&server, None).await.unwrap_err();
    setup.call(&server, Some(&setup.ca.client("gateway"))).await.unwrap_err();
    assert_eq!(server.stats().requests, 1);
}

#[tokio::test]
async fn an_optional_certificate_must_be_good_where_it_is_shown() {
    let setup = Setup::new();
    let tls = setup.tls().accept_clients(setup.clients_bundle());
    let server = echo().bind_grpc(local().tls(tls)).await.unwrap();
    setup.call(&server, None).await.unwrap();
    setup.call(&server, Some(&setup.clients.client("gateway"))).await.unwrap();
    setup.call(&server, Some(&setup.ca.client("gateway"))).await.unwrap_err();
    assert_eq!(server.stats().requests, 2);
}

#[tokio::test]
async fn only_clients_with_a_name_of_the_list_are_let_in() {
    let setup = Setup::new();
    let allowed = ["Gateway.Internal", "spiffe://cluster/gateway"];
    let tls = setup.tls().require_clients(setup.clients_bundle(), allowed);
    let server = echo().bind_grpc(local().tls(tls)).await.unwrap();
    let clients = &setup.clients;
    for good in
        [clients.client("gateway.internal"), clients.client_with_uri("spiffe://cluster/gateway")]
    {
        setup.call(&server, Some(&good)).await.unwrap();
    }
    for bad in [
        clients.client("stranger.internal"),
        clients.client("x.gateway.internal"),
        clients.client_with_uri("spiffe://cluster/stranger"),
        clients.client_with_uri("spiffe://cluster/Gateway"),
        clients.client_with_common_name("gateway.internal"),
        setup.ca.client("gateway.internal"),
    ] {
        setup.call(&server, Some(&bad)).await.unwrap_err();
    }
    assert_eq!(server.stats().requests, 2, "not one of theirs was run");
}

#[tokio::test]
async fn certificates_that_are_replaced_on_disk_are_shown_to_the_next_client() {
    let mut setup = Setup::new();
    let server = echo().bind_grpc(local().tls(setup.tls())).await.unwrap();
    setup.call(&server, None).await.unwrap();

    let new = Authority::new("New");
    setup.files.identity("server", &new.server("127.0.0.1"));
    let told = setup.call(&server, None).await.unwrap_err();
    assert!(told.contains("not signed by a trusted authority"), "{told}");
    setup.ca = new;
    setup.call(&server, None).await.unwrap();

    // Half of it replaced: what was good last is shown, until the other half is there too.
    let newer = Authority::new("Newer");
    let both = newer.server("127.0.0.1");
    setup.files.write("server.key", &both.key);
    setup.call(&server, None).await.unwrap();
    setup.files.write("server.crt", &both.certificate);
    setup.call(&server, None).await.unwrap_err();
    setup.ca = newer;
    setup.call(&server, None).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_once_for_each_change() {
    let setup = Setup::new();
    let (log, _logging) = Log::start(LevelFilter::WARN);
    let server = echo().bind_grpc(local().tls(setup.tls())).await.unwrap();
    setup.files.write("server.key", "nonsense");
    for _ in 0..3 {
        setup.call(&server, None).await.unwrap();
    }
    let told = log.lines_with("TLS files cannot be used");
    assert!(told.len() == 1 && told[0].contains("server.key holds no key"), "{told:#?}");

    let acceptor = Acceptor::new(setup.tls()).await.unwrap();
    acceptor.look().await.unwrap();
    for odd in ["nonsense", "other nonsense"] {
        setup.files.write("server.key", odd);
        let error = acceptor.look().await.unwrap_err();
        assert!(error.to_string().contains("server.key holds no key"), "{error}");
        acceptor.look().await.unwrap();
    }
    std::fs::remove_file(setup.files.path("server.key")).unwrap();
    acceptor.look().await.unwrap_err();
    acceptor.look().await.unwrap();
    // Good, and gone again: that is a change, too.
    setup.files.identity("server", &setup.ca.server("127.0.0.1"));
    acceptor.look().await.unwrap();
    setup.files.write("server.key", "nonsense");
    acceptor.look().await.unwrap_err();
}

#[tokio::test]
async fn an_authority_that_is_taken_off_the_bundle_lets_nobody_in_any_more() {
    let setup = Setup::new();
    let bundle = setup.clients_bundle();
    let any_name: [&str; 0] = [];
    let tls = setup.tls().require_clients(&bundle, any_name);
    let server = echo().bind_grpc(local().tls(tls)).await.unwrap();
    let client = setup.clients.client("gateway");
    setup.call(&server, Some(&client)).await.unwrap();
    std::fs::write(&bundle, Authority::new("Others").pem()).unwrap();
    setup.call(&server, Some(&client)).await.unwrap_err();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_before_it_listens() {
    let setup = Setup::new();
    let missing = ServerTlsConfig::new(setup.files.path("no.crt"), setup.files.path("no.key"));
    let tls = setup.tls().accept_clients(setup.files.write("empty", ""));
    for (tls, expected) in [(missing, "no.crt cannot be read"), (tls, "empty is empty")] {
        let error = echo().bind_grpc(local().tls(tls)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn plaintext_is_not_answered_by_a_server_with_tls() {
    let setup = Setup::new();
    let server = echo().bind_grpc(local().tls(setup.tls())).await.unwrap();
    let mut stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answered = Vec::new();
    let _ = within(stream.read_to_end(&mut answered)).await;
    // An alert, or nothing.
    assert!(answered.first().is_none_or(|&kind| kind == 0x15), "{answered:?}");
    setup.call(&server, None).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_speak_http_2_is_not_let_in() {
    use tokio_rustls::rustls::ClientConfig;

    let setup = Setup::new();
    let server = echo().bind_grpc(local().tls(setup.tls())).await.unwrap();
    let ca = setup.files.write("ca.crt", &setup.ca.pem());
    for alpn in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config = ClientConfig::builder_with_provider(crate::grpc::pem::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(crate::grpc::pem::authorities(&ca).unwrap())
            .with_no_client_auth();
        config.alpn_protocols = alpn;
        let tcp = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let spoken = within(async {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let mut stream = connector.connect(name, tcp).await?;
            stream.read_u8().await
        });
        spoken.await.unwrap_err();
    }
    assert_eq!(server.stats().requests, 0);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let setup = Setup::new();
    let config = local().tls(setup.tls()).handshake_timeout(Duration::from_millis(1));
    let server = echo().bind_grpc(config.max_connections(1)).await.unwrap();
    let mut silent = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    assert!(within(silent.read_u8()).await.is_err());
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye_in_tls() {
    let setup = Setup::new();
    let server = echo().bind_grpc(local().tls(setup.tls())).await.unwrap();
    let config = TlsConfig {
        ca_bundle: Some(setup.files.write("ca.crt", &setup.ca.pem())),
        ..TlsConfig::default()
    };
    let tcp = Arc::new(TcpConnector::new(server.local_addr().unwrap()));
    let connector = TlsConnector::new(tcp, Arc::new(config), Some("127.0.0.1")).unwrap();
    let stream = within(connector.connect()).await.unwrap();
    let (sender, connection) =
        http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    // The handshake is over on the server's side too.
    Client { sender, ended: Arc::default() }.invoke().await.message();
    within(server.shutdown(LIMIT)).await;
    within(connection).await.unwrap().unwrap();
    let error = within(connector.connect()).await.err().unwrap();
    assert!(!is_refusal(&error));
}

#[tokio::test]
async fn users_of_a_unix_socket_are_refused_as_a_limit_where_there_is_none() {
    for server in [echo().peer_uids([0]), echo().peer_gids([0])] {
        let error = server.bind_grpc(local()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("about a Unix socket, and this is TCP"), "{error}");
    }
}
