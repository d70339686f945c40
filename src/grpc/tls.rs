//! TLS to a server. What is configured here never ends in plaintext.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client_certificate::ClientCertificate;
use super::{pem, tls_error};
use crate::trust::Refusal;
use crate::unix::connect::Transport;

/// The one protocol that is spoken inside, by its ALPN name.
pub(crate) const ALPN: &[u8] = b"h2";

/// How a server proves who it is, and how this process does. Paths only: the files are read
/// anew for each connection, so that certificates can be replaced at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsConfig {
    /// The authorities whose servers are trusted, in PEM. `None`: those of the system, where
    /// the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` do not name others.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The client's certificate, with those that sign it, and its key, each in PEM.
    pub(crate) certfile_and_keyfile: Option<(PathBuf, PathBuf)>,
    /// The name or address that the server's certificate must be for. `None`: the host that
    /// is connected to.
    pub(crate) server_name: Option<String>,
}

impl TlsConfig {
    /// What the server's certificate must be for, if the server is asked for as `host`.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no name and no address, or if
    /// there is neither a host nor a `server_name`.
    pub(crate) fn expected_name(&self, host: Option<&str>) -> io::Result<ServerName<'static>> {
        let invalid = |problem| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let name = self.server_name.as_deref().or(host).ok_or_else(|| {
            invalid("TLS needs the server's name, and there is no host (`server_name`)".to_owned())
        })?;
        ServerName::try_from(name.to_owned()).map_err(|_| {
            let name = name.escape_debug();
            invalid(format!("`{name}` is no DNS name and no IP address (`server_name`)"))
        })
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if one cannot be used; it is named.
    pub(crate) async fn load(&self) -> io::Result<Loaded> {
        let config = self.clone();
        let read = tokio::task::spawn_blocking(move || config.read());
        read.await.map_err(io::Error::other)?
    }

    fn read(&self) -> io::Result<Loaded> {
        let roots = match &self.ca_bundle {
            Some(bundle) => pem::authorities(bundle)?,
            None => system_authorities()?,
        };
        let config = ClientConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let own = match &self.certfile_and_keyfile {
            None => None,
            Some((certfile, keyfile)) => Some(pem::identity(certfile, keyfile)?),
        };
        let client = Arc::new(ClientCertificate::new(own));
        let mut config = config.with_client_cert_resolver(Arc::clone(&client) as Arc<_>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Loaded { config: Arc::new(config), client, ca_bundle: self.ca_bundle.clone() })
    }
}

fn system_authorities() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have some that nobody can read; the others are as good without them.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        let none = format!("this system has no certificate authorities (`ca_bundle`){why}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, none));
    }
    Ok(roots)
}

/// A [`TlsConfig`] with its files read, for one connection.
#[derive(Debug)]
pub(crate) struct Loaded {
    config: Arc<ClientConfig>,
    client: Arc<ClientCertificate>,
    /// Where its authorities are from, for errors.
    ca_bundle: Option<PathBuf>,
}

impl Loaded {
    /// Speaks TLS on `stream`, with whoever proves to be `name`.
    ///
    /// # Errors
    /// A [`Refusal`] if one side does not trust the other, or they cannot agree on TLS and
    /// HTTP/2; any other error if the stream ends.
    ///
    /// With TLS 1.3, a server that refuses the client's certificate says so after the
    /// handshake: the refusal is the error of a later read. A `stream` that is to show it must be
    /// read also when it cannot be written to any more, as [`LastRead`](super::last_read::LastRead)
    /// is.
    pub(crate) async fn handshake(
        self,
        stream: Box<dyn Transport>,
        name: ServerName<'static>,
    ) -> io::Result<Encrypted> {
        let stream =
            TlsConnector::from(self.config).connect(name, stream).await.map_err(|error| {
                let error = tls_error::if_missing(error, &self.client);
                tls_error::in_handshake(error, self.ca_bundle.as_deref())
            })?;
        // A server that knows no ALPN goes on without, and so would HTTP/1.
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(Refusal::Server(tls_error::NO_HTTP_2.to_owned()).into());
        }
        Ok(Encrypted { stream, silent: Some(self.client) })
    }
}

/// A stream inside TLS. Its errors are those of the handshake, where that is only decided
/// afterwards.
pub(crate) struct Encrypted {
    stream: TlsStream<Box<dyn Transport>>,
    /// As long as the server has not said anything.
    silent: Option<Arc<ClientCertificate>>,
}

impl Transport for Encrypted {}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.silent = None;
        }
        let Some(client) = &self.silent else {
            return Poll::Ready(read.map_err(tls_error::explained));
        };
        let read = read.map_err(|error| tls_error::if_missing(error, client));
        Poll::Ready(match read {
            // Its end.
            Ok(()) if buffer.remaining() > 0 && client.is_missing() => Err(tls_error::missing()),
            read => read.map_err(tls_error::explained),
        })
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_name_is_the_configured_one_or_else_the_host() {
        let named =
            TlsConfig { server_name: Some("plugins.internal".into()), ..Default::default() };
        let expected = ServerName::try_from("plugins.internal").unwrap();
        assert_eq!(named.expected_name(Some("10.0.0.1")).unwrap(), expected);
        assert_eq!(named.expected_name(None).unwrap(), expected);
        for host in ["guard.example", "10.0.0.1", "::1"] {
            let expected = ServerName::try_from(host).unwrap();
            assert_eq!(TlsConfig::default().expected_name(Some(host)).unwrap(), expected);
        }
    }

    #[test]
    fn what_no_certificate_can_be_for_is_refused() {
        for host in [Some("not a name"), Some(""), None] {
            let error = TlsConfig::default().expected_name(host).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("`server_name`"), "{error}");
        }
    }
}
