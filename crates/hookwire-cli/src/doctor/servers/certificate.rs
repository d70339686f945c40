//! What a certificate says of itself. Whether that is true is for TLS to find out.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Earlier than that nobody is warned, however long a certificate lives.
const EARLY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A certificate, without its key and its extensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Certificate {
    /// The names, addresses and URIs that it is for.
    pub(super) names: Vec<String>,
    pub(super) issuer: String,
    /// In UTC, as in RFC 3339.
    pub(super) expires: String,
    #[serde(skip)]
    pub(super) from: SystemTime,
    #[serde(skip)]
    until: SystemTime,
}

impl Certificate {
    /// `None` for what is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        let names = certificate.get_extension::<SubjectAltName>().ok().flatten();
        let names = names.map_or(Vec::new(), |(_, SubjectAltName(names))| names);
        Some(Self {
            names: names.iter().filter_map(name).collect(),
            issuer: certificate.issuer().to_string(),
            expires: validity.not_after.to_string(),
            from: validity.not_before.to_system_time(),
            until: validity.not_after.to_system_time(),
        })
    }

    /// The first of a file in PEM; `None` where there is none, which is told where it is used.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        Self::read(&CertificateDer::from_pem_file(path).ok()?)
    }

    /// How long it holds yet; `None` if it has expired.
    pub(super) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.until.duration_since(now).ok().filter(|left| !left.is_zero())
    }

    /// Whether it should have been renewed: less than a third of its time is left, when tools
    /// renew, so that one that lives for a day is not warned of all its life.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        let whole = self.until.duration_since(self.from).unwrap_or_default();
        self.left(now).is_none_or(|left| left < EARLY && left < whole / 3)
    }
}

/// Of the names those that a certificate is compared by.
fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) | GeneralName::UniformResourceIdentifier(name) => {
            Some(name.to_string())
        }
        GeneralName::IpAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes.as_bytes()).map(IpAddr::from);
            let any = v4.or_else(|_| <[u8; 16]>::try_from(bytes.as_bytes()).map(IpAddr::from));
            any.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// A time in one unit, rounded down: `9 days`, `7 hours`, `1 minute`.
pub(super) fn span(time: Duration) -> String {
    let (count, unit) = match time {
        time if time >= 2 * DAY => (time.as_secs() / DAY.as_secs(), "day"),
        time if time.as_secs() >= 2 * 60 * 60 => (time.as_secs() / (60 * 60), "hour"),
        time => (time.as_secs() / 60, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(days: u64) -> (Certificate, SystemTime) {
        let begin = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let names = ["guard.internal", "10.0.0.7", "fd00::7"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (begin.into(), (begin + days as u32 * DAY).into());
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        (Certificate::read(signed.der()).unwrap(), begin)
    }

    #[test]
    fn it_tells_its_names_its_authority_and_when_it_ends() {
        let (certificate, begin) = certificate(90);
        assert_eq!(certificate.names, ["guard.internal", "10.0.0.7", "fd00::7"]);
        assert_eq!(certificate.issuer, "CN=rcgen self signed cert");
        assert_eq!(certificate.expires, "2025-01-02T00:00:00Z");
        assert_eq!((certificate.from, certificate.left(begin)), (begin, Some(90 * DAY)));
        assert_eq!(certificate.left(begin + 90 * DAY), None);
        assert_eq!(Certificate::read(b"no certificate"), None);
    }

    #[test]
    fn it_is_due_for_renewal_in_the_last_third_of_its_time_and_in_the_last_month() {
        for (days, last) in [(90, 60), (365, 335), (3, 2), (1, 0)] {
            let (certificate, begin) = certificate(days);
            assert!(!certificate.is_due(begin + last * DAY), "{days}");
            assert!(certificate.is_due(begin + last * DAY + 17 * DAY / 24), "{days}");
            assert!(certificate.is_due(begin + 400 * DAY), "{days}: it has expired");
        }
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let told = [9 * DAY, 2 * DAY, DAY, DAY / 4, DAY / 24, Duration::from_secs(60)].map(span);
        assert_eq!(told, ["9 days", "2 days", "24 hours", "6 hours", "60 minutes", "1 minute"]);
    }
}
