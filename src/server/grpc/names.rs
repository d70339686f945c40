//! The names that a client's certificate is for. Pure.
//!
//! Asked of certificates only that a trusted authority has signed.

use std::io;

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The DNS names and the URIs (SPIFFE) of the certificate. A common name is none of them: the
/// constraints that an authority puts on those below it do not hold for it.
///
/// # Errors
/// If it is no certificate.
pub(super) fn of(certificate: &CertificateDer<'_>) -> io::Result<Vec<String>> {
    let certificate = EndEntityCert::try_from(certificate).map_err(io::Error::other)?;
    let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
    Ok(names.map(str::to_owned).collect())
}

/// Whether one of the names is allowed. DNS names have no case, URIs have.
pub(super) fn is_one_of(names: &[String], allowed: &[String]) -> bool {
    let is = |name: &str, other: &str| match other.contains("://") {
        true => name == other,
        false => name.eq_ignore_ascii_case(other),
    };
    names.iter().any(|name| allowed.iter().any(|other| is(name, other)))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::grpc::test_certificates::{Authority, Signed};

    fn names(signed: &Signed) -> Vec<String> {
        of(&CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_is_for_its_alternative_names() {
        let ca = Authority::new("CA");
        assert_eq!(names(&ca.client("gateway.internal")), ["gateway.internal"]);
        let uri = "spiffe://cluster/ns/gateway";
        assert_eq!(names(&ca.client_with_uri(uri)), [uri]);
    }

    #[test]
    fn a_common_name_is_none() {
        let ca = Authority::new("CA");
        assert!(names(&ca.client_with_common_name("gateway.internal")).is_empty());
    }

    #[test]
    fn uris_are_compared_with_their_case() {
        let names = ["spiffe://cluster/gateway".to_owned()];
        assert!(is_one_of(&names, &["spiffe://cluster/gateway".to_owned()]));
        assert!(!is_one_of(&names, &["spiffe://cluster/Gateway".to_owned()]));
    }

    #[test]
    fn names_are_compared_as_a_whole_and_without_case() {
        let names = ["gateway.internal".to_owned()];
        let is_allowed = |allowed: &str| is_one_of(&names, &[allowed.to_owned()]);
        assert!(is_allowed("Gateway.Internal"));
        assert!(!is_allowed("gateway") && !is_allowed("internal") && !is_allowed(""));
        assert!(!is_one_of(&names, &[]) && !is_one_of(&[], &names));
    }
}
