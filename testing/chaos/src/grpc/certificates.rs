//! Certificates of servers: the right one, and wrong ones.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::dice::Dice;

/// What the right certificate is for.
pub(crate) const NAME: &str = "plugin.test";

type Authority = Issuer<'static, KeyPair>;

pub(crate) struct Certificates {
    right: TlsAcceptor,
    wrong: Vec<TlsAcceptor>,
    dir: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let (authority, pem) = self::authority();
        // That no client knows.
        let (stranger, _) = self::authority();
        let dir = TempDir::new().expect("a directory");
        fs::write(dir.path().join("ca.pem"), pem).expect("its own file");
        let mut expired = server(NAME);
        expired.not_before = date_time_ymd(2001, 1, 1);
        expired.not_after = date_time_ymd(2002, 1, 1);
        let wrong = vec![
            acceptor(server("another.test"), &authority),
            acceptor(server(NAME), &stranger),
            acceptor(expired, &authority),
        ];
        Self { right: acceptor(server(NAME), &authority), wrong, dir }
    }

    pub(crate) fn right(&self) -> TlsAcceptor {
        self.right.clone()
    }

    /// For another name, of another authority, or expired.
    pub(crate) fn wrong(&self, dice: &mut Dice) -> TlsAcceptor {
        self.wrong[dice.below(self.wrong.len())].clone()
    }

    /// The authorities that clients trust.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }
}

fn authority() -> (Authority, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), pem)
}

fn server(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn acceptor(params: CertificateParams, authority: &Authority) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    let mut config = config.expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
