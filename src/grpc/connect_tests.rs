//! Streams to servers of the test's own, with certificates made for it.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::*;
use crate::config::UnixSocketConfig;
use crate::grpc::pem;
use crate::grpc::test_certificates::{Authority, Files, Signed};
use crate::trust::Trust;
use crate::trust::is_refusal;
use crate::unix::connect::UnixConnector;

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.expect("in time")
}

/// Sends back, in capitals, what is sent.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        bytes[..count].make_ascii_uppercase();
        stream.write_all(&bytes[..count]).await?;
        stream.flush().await?;
    }
}

/// A server's side of TLS.
struct ServerSide {
    identity: Signed,
    /// Its clients need a certificate of this authority.
    clients: Option<String>,
    alpn: Vec<Vec<u8>>,
    tls_1_2: bool,
}

impl ServerSide {
    fn new(identity: Signed) -> Self {
        Self { identity, clients: None, alpn: vec![b"h2".to_vec()], tls_1_2: false }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let files = Files::new();
        let (certfile, keyfile) = files.identity("server", &self.identity);
        let identity = pem::identity(&certfile, &keyfile).unwrap();
        let version = if self.tls_1_2 { &TLS12 } else { &TLS13 };
        let config = ServerConfig::builder_with_provider(pem::provider())
            .with_protocol_versions(&[version])
            .unwrap();
        let config = match &self.clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let roots = pem::authorities(&files.write("clients", authority)).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), pem::provider());
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = self.alpn.clone();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Serves on a port of its own.
    async fn start(self) -> Server {
        let acceptor = self.acceptor();
        Server::start(move |stream| {
            let acceptor = acceptor.clone();
            async move { echo(acceptor.accept(stream).await?).await }
        })
        .await
    }
}

struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client's side, with files that the test may change.
struct ClientSide {
    files: Files,
    config: TlsConfig,
}

impl ClientSide {
    fn trusting(authority: &Authority) -> Self {
        let files = Files::new();
        let ca_bundle = Some(files.write("ca", &authority.pem()));
        Self { files, config: TlsConfig { ca_bundle, ..TlsConfig::default() } }
    }

    fn with_identity(mut self, identity: &Signed) -> Self {
        self.config.certfile_and_keyfile = Some(self.files.identity("client", identity));
        self
    }

    fn expecting(mut self, name: &str) -> Self {
        self.config.server_name = Some(name.to_owned());
        self
    }

    fn connector(&self, server: &Server, host: &str) -> TlsConnector {
        let tcp = Arc::new(TcpConnector::new(server.address));
        TlsConnector::new(tcp, Arc::new(self.config.clone()), Some(host)).unwrap()
    }
}

/// Connects, and shows that bytes go both ways.
async fn ask(connector: &impl Connect) -> io::Result<()> {
    within(async {
        let mut stream = connector.connect().await?;
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"HELLO");
        Ok(())
    })
    .await
}

/// The text of the refusal that connecting must end in.
async fn refusal(connector: &impl Connect) -> String {
    let error = within(connector.connect()).await.err().expect("a refusal");
    assert!(is_refusal(&error) && error.kind() == io::ErrorKind::PermissionDenied, "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn bytes_go_both_ways_over_tcp_at_once() {
    let server = Server::start(echo).await;
    ask(&TcpConnector::new(server.address)).await.unwrap();
}

#[tokio::test]
async fn a_port_without_a_server_is_told_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(&TcpConnector::new(address)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("nobody listens there"), "{error}");
}

#[test]
fn a_system_that_forbids_to_connect_is_no_server_that_is_not_trusted() {
    let error = explained(io::ErrorKind::PermissionDenied.into());
    assert_ne!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_server_with_a_certificate_for_its_name_is_spoken_to_in_tls() {
    let ca = Authority::new("CA");
    for tls_1_2 in [false, true] {
        let side = ServerSide { tls_1_2, ..ServerSide::new(ca.server("guard.internal")) };
        let server = side.start().await;
        let client = ClientSide::trusting(&ca).expecting("guard.internal");
        ask(&client.connector(&server, "127.0.0.1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_may_be_for_an_address() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.server("127.0.0.1")).start().await;
    ask(&ClientSide::trusting(&ca).connector(&server, "127.0.0.1")).await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_can_carry_tls_too() {
    let ca = Authority::new("CA");
    let files = Files::new();
    let path = files.path("plugins.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let acceptor = ServerSide::new(ca.server("guard.internal")).acceptor();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        echo(acceptor.accept(stream).await?).await
    });
    let trust = Trust::from(&UnixSocketConfig::builder(&path).build().unwrap());
    let unix: Arc<dyn Connect> = Arc::new(UnixConnector::new(Arc::from(path), trust));
    let client = ClientSide::trusting(&ca).expecting("guard.internal");
    let config = Arc::new(client.config.clone());
    ask(&TlsConnector::new(unix, config, None).unwrap()).await.unwrap();
    // Its end is no orderly one: the client is dropped.
    within(server).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused() {
    let server = ServerSide::new(Authority::new("Other").server("localhost")).start().await;
    let client = ClientSide::trusting(&Authority::new("CA"));
    let told = refusal(&client.connector(&server, "localhost")).await;
    assert!(told.contains("not signed by a trusted authority (`ca_bundle`)"), "{told}");
}

#[tokio::test]
async fn a_private_authority_is_not_among_those_of_the_system() {
    let server = ServerSide::new(Authority::new("Other").server("localhost")).start().await;
    let client = ClientSide { files: Files::new(), config: TlsConfig::default() };
    let error = within(client.connector(&server, "localhost").connect()).await.err().unwrap();
    // A system may have none at all.
    let expected = [io::ErrorKind::PermissionDenied, io::ErrorKind::InvalidInput];
    assert!(expected.contains(&error.kind()), "{error:?}");
    assert!(error.to_string().contains("(`ca_bundle`)"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.server("guard.internal")).start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("guard.internal") && told.contains("expected `localhost`"), "{told}");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.expired_server("localhost")).start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert_eq!(told, "the server's certificate has expired");
}

#[tokio::test]
async fn a_clients_certificate_is_no_servers() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.client("localhost")).start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("not meant for servers"), "{told}");
}

#[tokio::test]
async fn a_server_that_does_not_choose_http_2_is_refused() {
    let ca = Authority::new("CA");
    for alpn in [vec![], vec![b"http/1.1".to_vec()]] {
        let side = ServerSide { alpn, ..ServerSide::new(ca.server("localhost")) };
        let server = side.start().await;
        let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
        assert!(told.contains("did not choose HTTP/2"), "{told}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_and_never_spoken_to_in_plaintext() {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            let mut bytes = Vec::new();
            // Its end may be a reset, as we do not read what it says.
            let _ = stream.read_to_end(&mut bytes).await;
            let _ = sender.send(bytes);
            Ok(())
        }
    })
    .await;
    let client = ClientSide::trusting(&Authority::new("CA"));
    let told = refusal(&client.connector(&server, "localhost")).await;
    assert!(told.contains("does not speak TLS"), "{told}");
    let heard = within(heard.recv()).await.unwrap();
    // A handshake's record, then perhaps an alert's.
    assert_eq!(heard.first(), Some(&0x16));
}

#[tokio::test]
async fn a_server_that_leaves_in_the_handshake_is_gone_and_not_refused() {
    let server = Server::start(|mut stream| async move {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).await?;
        // Its end, in good order.
        stream.shutdown().await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    })
    .await;
    let client = ClientSide::trusting(&Authority::new("CA"));
    let error = ask(&client.connector(&server, "localhost")).await.unwrap_err();
    assert!(!is_refusal(&error), "{error:?}");
    assert!(error.to_string().contains("during the TLS handshake"), "{error}");
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_has_one() {
    let ca = Authority::new("CA");
    let clients = Authority::new("Clients");
    for tls_1_2 in [false, true] {
        let side = ServerSide::new(ca.server("localhost"));
        let server = ServerSide { clients: Some(clients.pem()), tls_1_2, ..side }.start().await;
        let client = ClientSide::trusting(&ca).with_identity(&clients.client("gateway"));
        ask(&client.connector(&server, "localhost")).await.unwrap();
    }
}

/// With TLS 1.3 the handshake is over for the client before the server has looked.
#[tokio::test]
async fn a_client_certificate_that_is_missing_or_not_trusted_is_told_by_the_first_read() {
    let (ca, clients) = (Authority::new("CA"), Authority::new("Clients"));
    let server =
        ServerSide { clients: Some(clients.pem()), ..ServerSide::new(ca.server("localhost")) }
            .start()
            .await;
    let stranger = Authority::new("Other").client("gateway");
    for (client, expected) in [
        (ClientSide::trusting(&ca), "demands a client certificate"),
        (ClientSide::trusting(&ca).with_identity(&stranger), "does not trust the authority"),
    ] {
        let connector = client.connector(&server, "localhost");
        let mut stream = within(connector.connect()).await.unwrap();
        let error = within(stream.read_u8()).await.unwrap_err();
        assert!(is_refusal(&error), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// With TLS 1.2 the server looks before the handshake is over.
#[tokio::test]
async fn a_client_certificate_that_is_missing_fails_the_handshake_of_tls_1_2() {
    let ca = Authority::new("CA");
    let side = ServerSide::new(ca.server("localhost"));
    let side = ServerSide { clients: Some(ca.pem()), tls_1_2: true, ..side };
    let server = side.start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("client certificate"), "{told}");
}

#[tokio::test]
async fn certificates_that_are_replaced_on_disk_are_those_of_the_next_connection() {
    let (ca, old, new) = (Authority::new("CA"), Authority::new("Old"), Authority::new("New"));
    let for_new_clients = ServerSide::new(ca.server("localhost"));
    let server = ServerSide { clients: Some(new.pem()), ..for_new_clients }.start().await;
    let client = ClientSide::trusting(&ca).with_identity(&old.client("gateway"));
    let connector = client.connector(&server, "localhost");
    assert!(is_refusal(&ask(&connector).await.unwrap_err()));

    client.files.identity("client", &new.client("gateway"));
    ask(&connector).await.unwrap();

    // And the authorities that are trusted.
    client.files.write("ca", &old.pem());
    let told = refusal(&connector).await;
    assert!(told.contains("not signed by a trusted authority"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_half_replaced_is_told_before_anything_is_sent() {
    let ca = Authority::new("CA");
    let server = Server::start(|_| async { panic!("nobody connects") }).await;
    let client = ClientSide::trusting(&ca).with_identity(&ca.client("gateway"));
    let keyfile: PathBuf = client.files.write("client.key", &ca.client("gateway").key);
    let error = within(client.connector(&server, "localhost").connect()).await.err().unwrap();
    assert!(!is_refusal(&error), "{error:?}");
    assert!(error.to_string().contains(&*keyfile.to_string_lossy()), "{error}");
    assert!(error.to_string().contains("does not belong to the certificate"), "{error}");
}

#[tokio::test]
async fn plaintext_leaves_this_machine_only_where_that_is_written_out() {
    let elsewhere: SocketAddr = "192.0.2.1:50051".parse().unwrap();
    let error = to_address(elsewhere, Some("localhost"), &Security::Loopback).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("192.0.2.1:50051 is not on this machine"), "{error}");
    to_address(elsewhere, None, &Security::Plaintext).map(drop).unwrap();

    let server = Server::start(echo).await;
    let mapped = format!("[::ffff:127.0.0.1]:{}", server.address.port()).parse().unwrap();
    for here in [server.address, mapped] {
        let connector = to_address(here, None, &Security::Loopback).unwrap();
        drop(within(connector.connect()).await.unwrap());
    }
}

#[tokio::test]
async fn the_address_is_the_name_where_there_is_no_other() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.server("127.0.0.1")).start().await;
    let client = ClientSide::trusting(&ca);
    let security = Security::Tls(Arc::new(client.config.clone()));
    let connector = to_address(server.address, None, &security).unwrap();
    drop(within(connector.connect()).await.unwrap());
    let named = to_address(server.address, Some("guard.internal"), &security).unwrap();
    assert!(is_refusal(&within(named.connect()).await.err().unwrap()));
}
