//! What this client shows of itself in TLS, and whether the server has asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

/// Of one connection.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    own: Option<SingleCertAndKey>,
    is_asked: AtomicBool,
}

impl ClientCertificate {
    pub(super) fn new(own: Option<CertifiedKey>) -> Self {
        Self { own: own.map(SingleCertAndKey::from), is_asked: AtomicBool::new(false) }
    }

    /// The server has asked for a certificate, and there is none.
    pub(super) fn is_missing(&self) -> bool {
        self.own.is_none() && self.is_asked.load(Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked.store(true, Relaxed);
        self.own.as_ref()?.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}
