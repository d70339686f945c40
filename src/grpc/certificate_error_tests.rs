use tokio_rustls::rustls::OtherError;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;

/// The 1st of January 2002, at midnight.
const THEN: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_009_843_200));
const LATER: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_009_843_200 + 86_400));

fn told(fault: &Fault) -> String {
    refused(fault, Some(Path::new("/etc/ca.pem")))
}

fn named(presented: &[&str]) -> String {
    let expected = ServerName::try_from("guard.example").unwrap();
    let presented = presented.iter().map(|&name| name.to_owned()).collect();
    told(&Fault::NotValidForNameContext { expected, presented })
}

/// Each with what happened, and what to do.
#[test]
#[allow(deprecated)]
fn each_fault_of_a_certificate_is_told_in_words_with_what_to_do() {
    let other = |error: webpki::Error| Fault::Other(OtherError(std::sync::Arc::new(error)));
    for (fault, what, advice) in [
        (
            Fault::ExpiredContext { time: LATER, not_after: THEN },
            "valid until Tue, 01 Jan 2002 00:00:00 GMT, and here it is Wed, 02 Jan 2002",
            "renew it",
        ),
        (Fault::Expired, "has expired", "renew it"),
        (
            Fault::NotValidYetContext { time: THEN, not_before: LATER },
            "only from Wed, 02 Jan 2002 00:00:00 GMT, and here it is Tue, 01 Jan 2002",
            "clock",
        ),
        (Fault::NotValidYet, "not valid yet", "clock"),
        (Fault::UnknownIssuer, "not signed by a trusted authority", "`ca_bundle`"),
        (Fault::UnknownIssuer, "those in /etc/ca.pem", "between its own and the authority's"),
        (Fault::BadSignature, "not signed with the key of the authority", "`ca_bundle`"),
        (Fault::BadSignature, "those in /etc/ca.pem", "made anew"),
        (Fault::NotValidForName, "for another name", "`server_name`"),
        (Fault::Revoked, "revoked", "issue another"),
        (Fault::InvalidPurpose, "not meant for servers", "`serverAuth`"),
        (Fault::BadEncoding, "cannot be read", "issue another"),
        (Fault::UnhandledCriticalExtension, "critical extension", "issue one without"),
        (Fault::UnsupportedSignatureAlgorithm, "UnsupportedSignatureAlgorithm", "issue another"),
        (Fault::UnknownRevocationStatus, "UnknownRevocationStatus", "issue another"),
        (Fault::ExpiredRevocationList, "ExpiredRevocationList", "issue another"),
        (Fault::InvalidOcspResponse, "InvalidOcspResponse", "issue another"),
        (Fault::ApplicationVerificationFailure, "Verification", "issue another"),
        (other(webpki::Error::CaUsedAsEndEntity), "authority's own (CA:TRUE)", "`ca_bundle`"),
        (other(webpki::Error::UnsupportedCertVersion), "old version", "subjectAltName"),
        (other(webpki::Error::BadDer), "cannot be trusted", "issue another"),
    ] {
        let told = told(&fault);
        assert!(told.contains(what) && told.contains(advice), "{fault:?}: {told}");
        assert!(told.starts_with("the server's certificate "), "{told}");
    }
}

#[test]
fn without_a_file_the_authorities_are_the_systems() {
    for fault in [Fault::UnknownIssuer, Fault::BadSignature] {
        let told = refused(&fault, None);
        assert!(told.contains("those of this system") && told.contains("`ca_bundle`"), "{told}");
    }
}

#[test]
fn names_are_told_plainly() {
    let told = named(&[r#"DnsName("guard.internal")"#, "IpAddress(10.0.0.1)"]);
    assert!(
        told.contains("is for `guard.internal`, `10.0.0.1`, expected `guard.example`"),
        "{told}"
    );
    assert!(told.contains("`server_name`"), "{told}");
    assert!(named(&[]).contains("no name at all"), "{}", named(&[]));
    let uri = named(&[r#"UniformResourceIdentifier("spiffe://a/b")"#, "DirectoryName"]);
    assert!(uri.contains("is for `spiffe://a/b`, `DirectoryName`"), "{uri}");
}

#[test]
fn names_are_few_and_short_and_on_one_line() {
    let long = format!("DnsName(\"{}\")", "x".repeat(5000));
    let told = named(&[&long, "DnsName(\"a\n\u{1b}[31m\u{202e}b\")", "c", "d", "e", "f", "g"]);
    assert!(told.len() < 600, "{}", told.len());
    assert!(!told.contains(|c: char| c.is_control()), "{told:?}");
    assert!(told.contains("…`, `a\\n\\u{1b}[31m\\u{202e}b`"), "{told}");
    assert!(told.contains("`e`, 2 more, expected"), "{told}");
}

#[test]
fn a_date_beyond_all_calendars_is_a_number() {
    let never = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_799));
    assert_eq!(date(never), "Fri, 31 Dec 9999 23:59:59 GMT");
    let beyond = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    assert!(date(beyond).starts_with("second 18446744073709551615"));
}
