//! Why a server's certificate is refused, and what to do about it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use tokio_rustls::rustls::CertificateError as Fault;
use tokio_rustls::rustls::pki_types::UnixTime;

/// More names of a certificate are not told, and no more of each.
const MOST_NAMES: usize = 5;
const LONGEST_NAME: usize = 100;

/// Why this client refuses the certificate, with where its authorities are from.
pub(super) fn refused(fault: &Fault, ca_bundle: Option<&Path>) -> String {
    let trusted = || match ca_bundle {
        Some(bundle) => format!("those in {}", bundle.display()),
        None => "those of this system, as no file is set".to_owned(),
    };
    match fault {
        Fault::ExpiredContext { time, not_after } => format!(
            "the server's certificate has expired: it, or one that it was issued with, was valid \
             until {}, and here it is {}; renew it on the server",
            date(*not_after),
            date(*time)
        ),
        Fault::Expired => {
            "the server's certificate has expired, or was never valid; renew it on the server"
                .to_owned()
        }
        Fault::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is not valid yet: only from {}, and here it is {}; is this \
             machine's clock right?",
            date(*not_before),
            date(*time)
        ),
        Fault::NotValidYet => {
            "the server's certificate is not valid yet; is this machine's clock right?".to_owned()
        }
        Fault::UnknownIssuer => format!(
            "the server's certificate is not signed by a trusted authority (`ca_bundle`); trusted \
             are {}. A server also has to send the certificates between its own and the authority's",
            trusted()
        ),
        Fault::BadSignature => format!(
            "the server's certificate is not signed with the key of the authority that it names; \
             was that authority made anew (`ca_bundle`)? Trusted are {}",
            trusted()
        ),
        Fault::NotValidForName => {
            "the server's certificate is for another name (`server_name`); if it is the plugin's \
             server, set that to a name in its certificate"
                .to_owned()
        }
        Fault::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let presented = names(presented);
            format!(
                "the server's certificate is for {presented}, expected `{expected}` \
                 (`server_name`); if it is the plugin's server, set that to a name in its \
                 certificate"
            )
        }
        Fault::Revoked => {
            "the server's certificate is revoked; issue another one for the server".to_owned()
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers; issue one with the extended key \
             usage `serverAuth`"
                .to_owned()
        }
        Fault::BadEncoding => {
            "the server's certificate cannot be read: it is no valid X.509; issue another one"
                .to_owned()
        }
        Fault::UnhandledCriticalExtension => {
            "the server's certificate has a critical extension that is not understood here; issue \
             one without it"
                .to_owned()
        }
        Fault::UnsupportedSignatureAlgorithmContext { .. }
        | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate is signed in a way that is not accepted here (SHA-1, or RSA \
             below 2048 bits, say); issue one with ECDSA P-256, or RSA and SHA-256"
                .to_owned()
        }
        Fault::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "the server's certificate is an authority's own (CA:TRUE), as many that are \
                 self-signed are; have the authority issue one for the server, without that, and \
                 name the authority in `ca_bundle`"
                    .to_owned()
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                "the server's certificate is of an old version of X.509; issue one of version 3, \
                 with the server's name as a subjectAltName"
                    .to_owned()
            }
            _ => other_fault(fault),
        },
        fault => other_fault(fault),
    }
}

fn other_fault(fault: &Fault) -> String {
    let words = super::status::legible(&fault.to_string());
    format!("the server's certificate cannot be trusted: {words}; issue another one for the server")
}

/// As in HTTP; what lies beyond its years is the number of seconds since 1970.
fn date(time: UnixTime) -> String {
    /// The end of the year 9999.
    const MOST: u64 = 253_402_300_799;
    match time.as_secs() {
        secs @ ..=MOST => {
            HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(secs)).to_string()
        }
        secs => format!("second {secs} since 1970"),
    }
}

/// The names in a certificate, few and short enough to be read.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all (no subjectAltName; a common name does not count)".to_owned();
    }
    let mut names: Vec<_> = presented.iter().take(MOST_NAMES).map(|name| plain(name)).collect();
    if presented.len() > MOST_NAMES {
        names.push(format!("{} more", presented.len() - MOST_NAMES));
    }
    names.join(", ")
}

/// Without the words around it: `DnsName("guard.internal")` and `IpAddress(10.0.0.1)`, as they
/// come, are these names. Whatever else is in a certificate stays as it comes.
fn plain(name: &str) -> String {
    let inside = |before: &str, behind: &str| name.strip_prefix(before)?.strip_suffix(behind);
    let name = inside("DnsName(\"", "\")")
        .or_else(|| inside("UniformResourceIdentifier(\"", "\")"))
        .or_else(|| inside("IpAddress(", ")"))
        .unwrap_or(name);
    let mut shown: String = name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect();
    if name.chars().count() > LONGEST_NAME {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
#[path = "certificate_error_tests.rs"]
mod tests;
