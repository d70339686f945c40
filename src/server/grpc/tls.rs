//! TLS towards clients: what is configured, and the handshake.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::server::TlsStream;

use super::names;
use crate::grpc::pem;
use crate::grpc::tls::ALPN;
use crate::unix::connect::Transport;

/// How a gRPC server shows who it is, and which clients it demands.
///
/// Paths of PEM files, which are looked at for each connection: certificates can be
/// replaced while the server runs. Files that cannot be used then, as when half of them are
/// replaced, are warned of in the log, once for each change, and those that were good last stay
/// in use.
///
/// A connection that is there stays, whatever becomes of the certificates it was made with.
///
/// TLS 1.2 and 1.3; keys must not be encrypted.
///
/// ```
/// use hookwire::server::grpc::ServerTlsConfig;
///
/// let tls = ServerTlsConfig::new("/etc/plugins/tls.crt", "/etc/plugins/tls.key")
///     .require_clients("/etc/plugins/gateways.crt", ["gateway.internal"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ServerTlsConfig {
    certfile: PathBuf,
    keyfile: PathBuf,
    clients: Clients,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Clients {
    Any,
    /// Those that show a certificate must show a good one.
    Optional {
        ca_bundle: PathBuf,
    },
    /// An empty list of names allows all.
    Required {
        ca_bundle: PathBuf,
        names: Vec<String>,
    },
}

impl ServerTlsConfig {
    /// A server with this certificate, followed by those that sign it, and its key. Clients
    /// are not asked for theirs.
    pub fn new(certfile: impl Into<PathBuf>, keyfile: impl Into<PathBuf>) -> Self {
        let (certfile, keyfile) = (certfile.into(), keyfile.into());
        Self { certfile, keyfile, clients: Clients::Any }
    }

    /// Lets in only clients with a certificate of one of these authorities, and for one of
    /// these names: a DNS name of the certificate (without regard to case) or a URI, compared as
    /// a whole. A common name does not count: an authority's constraints do not hold for it. No
    /// names at all: any client of these authorities.
    pub fn require_clients(
        mut self,
        ca_bundle: impl Into<PathBuf>,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.clients = Clients::Required { ca_bundle: ca_bundle.into(), names };
        self
    }

    /// Lets in clients without a certificate, and those with one of these authorities. It
    /// keeps nobody out: for the time in which gateways are given theirs.
    pub fn accept_clients(mut self, ca_bundle: impl Into<PathBuf>) -> Self {
        self.clients = Clients::Optional { ca_bundle: ca_bundle.into() };
        self
    }

    /// What tells the content of the files from any other, and no more of it.
    fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let bundle = match &self.clients {
            Clients::Any => None,
            Clients::Optional { ca_bundle } | Clients::Required { ca_bundle, .. } => {
                Some(ca_bundle)
            }
        };
        for path in [&self.certfile, &self.keyfile].into_iter().chain(bundle) {
            pem::read(path, "").map_err(|error| error.to_string()).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn read(&self) -> io::Result<Arc<ServerConfig>> {
        let config = ServerConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let verifier = |ca_bundle: &Path| {
            let roots = Arc::new(pem::authorities(ca_bundle)?);
            Ok::<_, io::Error>(WebPkiClientVerifier::builder_with_provider(roots, pem::provider()))
        };
        let config = match &self.clients {
            Clients::Any => config.with_no_client_auth(),
            Clients::Optional { ca_bundle } => {
                let verifier = verifier(ca_bundle)?.allow_unauthenticated().build();
                config.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
            }
            Clients::Required { ca_bundle, .. } => {
                let verifier = verifier(ca_bundle)?.build();
                config.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
            }
        };
        let identity = SingleCertAndKey::from(pem::identity(&self.certfile, &self.keyfile)?);
        let mut config = config.with_cert_resolver(Arc::new(identity));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A session that is resumed would let a client in whose certificate has run out.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// Takes clients in, by the files as they are when a client comes.
#[derive(Debug)]
pub(super) struct Acceptor {
    config: Arc<ServerTlsConfig>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// What the files were when they were tried last.
    print: u64,
    good: Arc<ServerConfig>,
}

impl Acceptor {
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if a file cannot be used; it is named.
    pub(super) async fn new(config: ServerTlsConfig) -> io::Result<Self> {
        let config = Arc::new(config);
        let (print, read) = read(&config, None).await?.ok_or(io::ErrorKind::Other)?;
        Ok(Self { config, current: Mutex::new(Current { print, good: read? }) })
    }

    /// The handshake with one client.
    ///
    /// # Errors
    /// If the client is not let in, or leaves.
    pub(super) async fn accept(
        &self,
        stream: Box<dyn Transport>,
    ) -> io::Result<TlsStream<Box<dyn Transport>>> {
        let stream = TlsAcceptor::from(self.current().await).accept(stream).await?;
        let connection = stream.get_ref().1;
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(refused("it did not choose HTTP/2 (ALPN protocol `h2`)"));
        }
        if let Clients::Required { names: allowed, .. } = &self.config.clients
            && !allowed.is_empty()
        {
            let shown = connection.peer_certificates().and_then(|chain| chain.first());
            let shown = shown.ok_or_else(|| refused("it showed no certificate"))?;
            let names = names::of(shown)?;
            if !names::is_one_of(&names, allowed) {
                let names = names.join(", ").escape_debug().to_string();
                return Err(refused(&format!("its certificate is for other names: {names}")));
            }
        }
        Ok(stream)
    }

    async fn current(&self) -> Arc<ServerConfig> {
        if let Err(error) = self.look().await {
            tracing::warn!(%error, "the server's TLS files cannot be used; those before stay");
        }
        Arc::clone(&self.lock().good)
    }

    /// Reads the files anew if they have changed.
    ///
    /// # Errors
    /// Once for each change after which they cannot be used. Those before stay.
    pub(super) async fn look(&self) -> io::Result<()> {
        let before = self.lock().print;
        let Some((print, read)) = read(&self.config, Some(before)).await? else { return Ok(()) };
        let mut current = self.lock();
        // Another connection may have found the same.
        if mem::replace(&mut current.print, print) != print {
            current.good = read?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Read = (u64, io::Result<Arc<ServerConfig>>);

/// What there is now, unless that is what was `seen` last.
async fn read(config: &Arc<ServerTlsConfig>, seen: Option<u64>) -> io::Result<Option<Read>> {
    let config = Arc::clone(config);
    let read = move || {
        // First: what changes after that has another print the next time.
        let print = config.print();
        (seen != Some(print)).then(|| (print, config.read()))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("the client was refused: {reason}"))
}
