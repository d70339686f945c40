//! Certificates and keys from PEM files. An error names the file, and never what is in it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore};
use webpki::EndEntityCert;

/// Far above every bundle of authorities, and little enough to be read for each connection.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The cryptography of all our TLS. Never the process's default, which belongs to the
/// gateway.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The authorities of a bundle: at least one, and each of them usable.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file cannot be used.
pub(crate) fn authorities(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "ca_bundle")? {
        roots
            .add(certificate)
            .map_err(|_| fault("ca_bundle", path, "holds a certificate that cannot be read"))?;
    }
    Ok(roots)
}

/// A certificate with those that sign it, and the key that belongs to it.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if a file cannot be used, or the two do
/// not belong together.
pub(crate) fn identity(certfile: &Path, keyfile: &Path) -> io::Result<CertifiedKey> {
    let unreadable = || fault("certfile", certfile, "holds a certificate that cannot be read");
    let chain = certificates(certfile, "certfile")?;
    let key = private_key(keyfile)?;
    if !chain.iter().all(is_readable) {
        return Err(unreadable());
    }
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let problem = format!("does not belong to the certificate in {}", certfile.display());
            fault("keyfile", keyfile, &problem)
        }
        Error::InvalidCertificate(_) => unreadable(),
        _ => fault("keyfile", keyfile, "holds a key of a kind that is not supported"),
    })
}

/// One of another version, say, is left to the server: what stands behind the first is for that.
fn is_readable(certificate: &CertificateDer<'_>) -> bool {
    let read = EndEntityCert::try_from(certificate);
    !matches!(read, Err(webpki::Error::BadDer | webpki::Error::TrailingData(_)))
}

fn certificates(path: &Path, setting: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = read(path, setting)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    // The error's own words may quote the file.
    let certificates = certificates.map_err(|_| fault(setting, path, "is not valid PEM"))?;
    if certificates.is_empty() {
        let problem = "holds no certificate in PEM (`BEGIN CERTIFICATE`)";
        return Err(fault(setting, path, problem));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    let pem = read(path, "keyfile")?;
    if is_encrypted(&pem) {
        let problem = "is encrypted, which is not supported; decrypt it, for example with \
                       `openssl pkey`, and let nobody else read the file";
        return Err(fault("keyfile", path, problem));
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(&pem);
    match keys.next() {
        Some(Ok(key)) => Ok(key),
        Some(Err(_)) => Err(fault("keyfile", path, "is not valid PEM")),
        None => Err(fault("keyfile", path, "holds no key in PEM (`BEGIN PRIVATE KEY`)")),
    }
}

/// Of PKCS #8, or in the older way, by a header above the key.
fn is_encrypted(pem: &[u8]) -> bool {
    let holds = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
    holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED")
}

/// What is in a file.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no file, empty, or too large.
pub(crate) fn read(path: &Path, setting: &str) -> io::Result<Vec<u8>> {
    let unreadable = |error: io::Error| fault(setting, path, &format!("cannot be read: {error}"));
    // To open a pipe could wait for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(fault(setting, path, "is not a file"));
    }
    let mut pem = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut pem).map_err(unreadable)?;
    match pem.len() as u64 {
        0 => Err(fault(setting, path, "is empty")),
        MOST_BYTES.. => Err(fault(setting, path, "is too large to be what it should be")),
        _ => Ok(pem),
    }
}

/// Not of the system's own kind: a file that this process may not read is no refusal.
fn fault(setting: &str, path: &Path, problem: &str) -> io::Error {
    let path = path.display();
    io::Error::new(io::ErrorKind::InvalidInput, format!("`{setting}` {path} {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::test_certificates::{Authority, Files};

    fn told<T>(result: io::Result<T>) -> String {
        let error = result.err().expect("a fault");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        error.to_string()
    }

    #[test]
    fn a_certificate_and_its_key_are_read_together() {
        let files = Files::new();
        let (certfile, keyfile) = files.identity("a", &Authority::new("CA").server("localhost"));
        assert_eq!(identity(&certfile, &keyfile).unwrap().cert.len(), 1);
    }

    #[test]
    fn a_bundle_may_hold_several_authorities() {
        let files = Files::new();
        let both = [Authority::new("A").pem(), Authority::new("B").pem()].concat();
        assert_eq!(authorities(&files.write("both", &both)).unwrap().len(), 2);
    }

    #[test]
    fn each_file_that_cannot_be_used_is_named_with_the_reason() {
        let files = Files::new();
        let ca = Authority::new("CA");
        let (certfile, keyfile) = files.identity("good", &ca.server("localhost"));
        let key = fs::read_to_string(&keyfile).unwrap();
        let secret = key.lines().nth(1).unwrap().to_owned();
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let legacy = format!(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{secret}\n-----END RSA PRIVATE KEY-----\n"
        );
        let cut_off = key.lines().take(2).collect::<Vec<_>>().join("\n");
        let odd_line = format!("-----BEGIN {secret}\n");
        for (content, problem) in [
            ("", "is empty"),
            (&*secret, "holds no key in PEM"),
            (&*fs::read_to_string(&certfile).unwrap(), "holds no key in PEM"),
            (&*encrypted, "is encrypted"),
            (&*legacy, "is encrypted"),
            (&*cut_off, "is not valid PEM"),
            (&*odd_line, "is not valid PEM"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "of a kind"),
        ] {
            let path = files.write("key", content);
            let told = told(identity(&certfile, &path));
            let named = format!("`keyfile` {} ", path.display());
            assert!(told.starts_with(&named) && told.contains(problem), "{told}");
            assert!(!told.contains(&secret), "{told}");
        }
        for (content, problem) in [
            ("", "is empty"),
            (&*key, "holds no certificate in PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is not valid PEM"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "holds a certificate that cannot be read",
            ),
        ] {
            let path = files.write("certificate", content);
            for (setting, told) in [
                ("certfile", told(identity(&path, &keyfile))),
                ("ca_bundle", told(authorities(&path))),
            ] {
                let named = format!("`{setting}` {} ", path.display());
                assert!(told.starts_with(&named) && told.contains(problem), "{told}");
                assert!(!told.contains(&secret), "{told}");
            }
        }
    }

    /// Found by fuzzing: who signs the certificate was sent as it was, and refused by the server.
    #[test]
    fn each_certificate_of_a_chain_is_one_that_can_be_read() {
        let files = Files::new();
        let (certfile, keyfile) = files.identity("a", &Authority::new("CA").server("localhost"));
        let unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let chain = fs::read_to_string(certfile).unwrap() + unreadable;
        let told = told(identity(&files.write("chain", &chain), &keyfile));
        assert!(told.contains("holds a certificate that cannot be read"), "{told}");
    }

    #[test]
    fn what_is_not_there_or_no_file_is_told() {
        let files = Files::new();
        let missing = files.path("missing");
        let told_missing = told(authorities(&missing));
        assert!(told_missing.contains("cannot be read: No such file"), "{told_missing}");
        assert!(told_missing.contains(&*missing.to_string_lossy()));
        let told_directory = told(authorities(&files.path("")));
        assert!(told_directory.ends_with("is not a file"), "{told_directory}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_both_are_named() {
        let files = Files::new();
        let ca = Authority::new("CA");
        let (certfile, _) = files.identity("a", &ca.server("localhost"));
        let (_, keyfile) = files.identity("b", &ca.server("localhost"));
        let told = told(identity(&certfile, &keyfile));
        let expected = format!(
            "`keyfile` {} does not belong to the certificate in {}",
            keyfile.display(),
            certfile.display()
        );
        assert_eq!(told, expected);
    }
}
