//! Streams to servers of the test's own, with certificates made for it.

mod clients;
mod servers;
mod ways;

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
