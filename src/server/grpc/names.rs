//! The names that a client's certificate is for. Pure.
//!
//! Asked of certificates only that a trusted authority has signed.

use std::io;

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The DNS names and the URIs (SPIFFE) of the certificate; its common name only where it has
/// none of them.
///
/// # Errors
/// If it is no certificate.
pub(super) fn of(certificate: &CertificateDer<'_>) -> io::Result<Vec<String>> {
    let certificate = EndEntityCert::try_from(certificate).map_err(io::Error::other)?;
    let alternative = certificate.valid_dns_names().chain(certificate.valid_uri_names());
    let mut names: Vec<_> = alternative.map(str::to_owned).collect();
    if names.is_empty() {
        names.extend(common_name(certificate.subject()));
    }
    Ok(names)
}

/// Whether one of the names is allowed. DNS names have no case.
pub(super) fn is_one_of(names: &[String], allowed: &[String]) -> bool {
    let is_allowed = |name: &String| allowed.iter().any(|other| other.eq_ignore_ascii_case(name));
    names.iter().any(is_allowed)
}

/// The first common name in the contents of an X.501 name, which is a sequence of sets of
/// attributes: for each a type and a value.
fn common_name(mut name: &[u8]) -> Option<String> {
    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

    while let Some((SET, mut set)) = take(&mut name) {
        while let Some((SEQUENCE, mut attribute)) = take(&mut set) {
            let (kind, value) = (take(&mut attribute)?, take(&mut attribute)?);
            if kind == (OBJECT_IDENTIFIER, COMMON_NAME) && TEXTS.contains(&value.0) {
                return std::str::from_utf8(value.1).ok().map(str::to_owned);
            }
        }
    }
    None
}

/// Takes an element of DER off the front: its tag and its contents.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, length], mut rest) = bytes.split_first_chunk()?;
    let length = match length {
        0..=0x7f => usize::from(length),
        0x81 | 0x82 => {
            let (length, behind) = rest.split_at_checked(usize::from(length & 0x7f))?;
            rest = behind;
            length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag, contents))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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
    fn a_common_name_counts_where_there_is_no_other() {
        let ca = Authority::new("CA");
        assert_eq!(names(&ca.client_with_common_name("gateway")), ["gateway"]);
        let long = "x".repeat(60);
        assert_eq!(names(&ca.client_with_common_name(&long)), [long]);
    }

    #[test]
    fn names_are_compared_as_a_whole_and_without_case() {
        let names = ["gateway.internal".to_owned()];
        let is_allowed = |allowed: &str| is_one_of(&names, &[allowed.to_owned()]);
        assert!(is_allowed("Gateway.Internal"));
        assert!(!is_allowed("gateway") && !is_allowed("internal") && !is_allowed(""));
        assert!(!is_one_of(&names, &[]) && !is_one_of(&[], &names));
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = common_name(&bytes);
        }

        #[test]
        fn no_name_of_the_right_beginning_makes_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..32),
            lengths in any::<[u8; 4]>(),
        ) {
            let [a, b, c, d] = lengths.map(|length| length % 40);
            let head = [0x31, a, 0x30, b, 0x06, c % 5, 0x55, 0x04, 0x03, 0x0c, d];
            let _ = common_name(&[&head[..], &bytes].concat());
        }
    }
}
