//! Why TLS failed, for people. What means that one side does not trust the other is a
//! [`Refusal`].

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::trust::Refusal;

pub(super) const NO_HTTP_2: &str =
    "the server speaks TLS, but did not choose HTTP/2 in it (ALPN protocol `h2`)";

/// An error of the handshake, where the end of the stream needs words of its own.
pub(super) fn in_handshake(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let reason = "the server closed the connection during the TLS handshake; does it speak \
                      TLS there, and does it accept our certificate?";
        return io::Error::new(error.kind(), reason);
    }
    explained(error)
}

/// An error of the stream, in words for people where TLS is the reason.
pub(super) fn explained(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    match tls.map(reason) {
        None => error,
        Some(Reason::Refused(reason)) => Refusal::Server(reason).into(),
        Some(Reason::Ended(reason)) => io::Error::new(io::ErrorKind::ConnectionAborted, reason),
    }
}

#[derive(Debug, PartialEq)]
enum Reason {
    Refused(String),
    /// Nothing about trust: the connection is gone, another may do.
    Ended(String),
}

fn reason(error: &Error) -> Reason {
    Reason::Refused(match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => return received(*alert),
        Error::InvalidMessage(_) => "the server does not speak TLS, or not here".to_owned(),
        Error::PeerIncompatible(fault) => {
            format!("the server and this client have no way of TLS in common ({fault:?})")
        }
        Error::NoApplicationProtocol => NO_HTTP_2.to_owned(),
        error => format!("TLS failed: {error}"),
    })
}

/// Why this client refuses the server's certificate.
fn certificate(fault: &CertificateError) -> String {
    use CertificateError as Fault;
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; is this machine's clock right?".to_owned()
        }
        Fault::UnknownIssuer => {
            "the server's certificate is not signed by a trusted authority (`ca_bundle`)".to_owned()
        }
        Fault::NotValidForName => {
            "the server's certificate is for another name (`server_name`)".to_owned()
        }
        Fault::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let presented = match &presented[..] {
                [] => "no name".to_owned(),
                names => names.join(", ").escape_debug().to_string(),
            };
            format!(
                "the server's certificate is for {presented}, expected `{expected}` (`server_name`)"
            )
        }
        Fault::Revoked => "the server's certificate is revoked".to_owned(),
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers (extended key usage)".to_owned()
        }
        fault => format!("the server's certificate cannot be trusted: {fault}"),
    }
}

/// What the server says.
fn received(alert: AlertDescription) -> Reason {
    use AlertDescription as Alert;
    Reason::Refused(match alert {
        Alert::CertificateRequired => {
            "the server demands a client certificate (`certfile`, `keyfile`)".to_owned()
        }
        Alert::UnknownCA => "the server does not trust the authority of our client certificate \
                             (`certfile`)"
            .to_owned(),
        Alert::CertificateExpired => {
            "the server refuses our client certificate: it has expired (`certfile`)".to_owned()
        }
        Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::AccessDenied
        | Alert::DecryptError => {
            format!("the server refuses our client certificate (`certfile`): {alert:?}")
        }
        Alert::NoApplicationProtocol => NO_HTTP_2.to_owned(),
        Alert::UnrecognisedName => {
            "the server does not know the name that it was asked for (`server_name`)".to_owned()
        }
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            format!(
                "the server refuses TLS ({alert:?}): it demands a client certificate, or has no \
                 version or cipher in common with us"
            )
        }
        alert => {
            return Reason::Ended(format!("the server ended the TLS connection: {alert:?}"));
        }
    })
}
