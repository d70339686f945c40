//! Certificates made in a test, and the files they are in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use tempfile::TempDir;

/// An authority that signs what it is asked to.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// For a server of this name or address.
    pub(crate) fn server(&self, name: &str) -> Signed {
        self.signed(Self::params(name, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// For a server, from then until then.
    pub(crate) fn server_for(&self, name: &str, from: SystemTime, until: SystemTime) -> Signed {
        let mut params = Self::params(name, ExtendedKeyUsagePurpose::ServerAuth);
        (params.not_before, params.not_after) = (from.into(), until.into());
        self.signed(params)
    }

    /// For a server, and over since long.
    pub(crate) fn expired_server(&self, name: &str) -> Signed {
        let mut params = Self::params(name, ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.signed(params)
    }

    /// For a client of this name.
    pub(crate) fn client(&self, name: &str) -> Signed {
        self.signed(Self::params(name, ExtendedKeyUsagePurpose::ClientAuth))
    }

    /// For a client with this identity, and no other name.
    pub(crate) fn client_with_uri(&self, uri: &str) -> Signed {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.signed(params)
    }

    /// For a client with this common name, and no alternative ones.
    pub(crate) fn client_with_common_name(&self, name: &str) -> Signed {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.signed(params)
    }

    fn params(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        params
    }

    fn signed(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }
}

/// A directory of files that goes with the test.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("hookwire").tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes both files, in place of those of this name.
    pub(crate) fn identity(&self, name: &str, signed: &Signed) -> (PathBuf, PathBuf) {
        let certificate = self.write(&format!("{name}.crt"), &signed.certificate);
        (certificate, self.write(&format!("{name}.key"), &signed.key))
    }
}
