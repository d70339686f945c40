//! Why TLS failed, for people. What means that one side does not trust the other is a
//! [`Refusal`].

use std::io;
use std::path::Path;

use tokio_rustls::rustls::{AlertDescription, Error};

use super::certificate_error::refused;
use super::client_certificate::ClientCertificate;
use crate::trust::Refusal;

pub(super) const NO_HTTP_2: &str = "the server speaks TLS, but did not choose HTTP/2 in it (ALPN protocol `h2`); is it the right \
     port, and a gRPC server?";

/// An error of the handshake, in which the server's certificate is looked at, and where the end
/// of the stream needs words of its own.
pub(super) fn in_handshake(error: io::Error, ca_bundle: Option<&Path>) -> io::Error {
    if let Some(Error::InvalidCertificate(fault)) = tls(&error) {
        return Refusal::Server(refused(fault, ca_bundle)).into();
    }
    if !is_end(&error) {
        return explained(error);
    }
    let reason = "the server closed the connection during the TLS handshake; does it speak TLS \
                  there, and does it accept our certificate?";
    io::Error::new(error.kind(), reason)
}

/// That of a server that asked for a certificate, got none, and closed the connection without an
/// alert (grpc's C core does so), before it said anything.
pub(super) fn missing() -> io::Error {
    let reason = "the server asked for a client certificate, of which there is none (`certfile`, \
                  `keyfile`), and closed the connection";
    Refusal::Server(reason.to_owned()).into()
}

/// The error of a server that has not said anything, or [`missing`].
pub(super) fn if_missing(error: io::Error, client: &ClientCertificate) -> io::Error {
    if client.is_missing() && is_end(&error) { missing() } else { error }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// An error of the stream, in words for people where TLS is the reason.
pub(super) fn explained(error: io::Error) -> io::Error {
    match tls(&error).map(reason) {
        None => error,
        Some(Reason::Refused(reason)) => Refusal::Server(reason).into(),
        Some(Reason::Ended(reason)) => io::Error::new(io::ErrorKind::ConnectionAborted, reason),
    }
}

fn tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[derive(Debug, PartialEq)]
enum Reason {
    Refused(String),
    /// Nothing about trust: the connection is gone, another may do.
    Ended(String),
}

fn reason(error: &Error) -> Reason {
    Reason::Refused(match error {
        Error::AlertReceived(alert) => return received(*alert),
        Error::InvalidMessage(_) => {
            "the server does not speak TLS, or not here; is it the right port? To speak to it without \
             TLS, remove `tls` (and, beyond this machine, write `plaintext: true`)"
                .to_owned()
        }
        Error::PeerIncompatible(fault) => {
            format!("the server and this client have no way of TLS in common ({fault:?})")
        }
        Error::NoApplicationProtocol => NO_HTTP_2.to_owned(),
        error => format!("TLS failed: {error}"),
    })
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
