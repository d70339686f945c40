//! A look at how a server begins TLS.
//!
//! It trusts whoever answers, and so it sends nothing and believes nothing: whether the server
//! is the right one is found out by the library, when it is asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
};

use super::certificate::Certificate;

/// What a server has shown. All of it may be missing, where it does not speak TLS.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) certificate: Option<Certificate>,
    /// It asks for a certificate of the client; it may do without.
    pub(super) asks: bool,
    pub(super) version: Option<&'static str>,
    /// It has chosen HTTP/2; `None` where it did not come so far.
    pub(super) http2: Option<bool>,
}

/// Begins TLS with whoever it is, asked for by this name or address.
pub(super) async fn look(stream: TcpStream, name: &str, limit: Duration) -> Seen {
    let onlooker = Arc::new(Onlooker {
        provider: Arc::new(ring::default_provider()),
        shown: Mutex::default(),
    });
    let (Some(config), Ok(name)) = (config(&onlooker), ServerName::try_from(name.to_owned()))
    else {
        return Seen::default();
    };
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let connected = timeout(limit, connecting).await.ok().and_then(Result::ok);
    let mut seen = onlooker.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(stream) = connected {
        let connection = stream.get_ref().1;
        seen.http2 = Some(connection.alpn_protocol() == Some(b"h2"));
        seen.version = connection.protocol_version().and_then(version);
    }
    seen
}

fn config(onlooker: &Arc<Onlooker>) -> Option<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::clone(&onlooker.provider));
    let config = config.with_safe_default_protocol_versions().ok()?.dangerous();
    let verifier: Arc<dyn ServerCertVerifier> = onlooker.clone();
    let mut config = config
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(onlooker.clone());
    config.alpn_protocols = vec![b"h2".to_vec()];
    Some(config)
}

fn version(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLS 1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLS 1.3"),
        _ => None,
    }
}

/// Notes what passes.
#[derive(Debug)]
struct Onlooker {
    provider: Arc<CryptoProvider>,
    shown: Mutex<Seen>,
}

impl Onlooker {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.note(|seen| seen.certificate = Certificate::read(certificate));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Onlooker {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.note(|seen| seen.asks = true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
