//! From what was seen of a server to what it means, and what to do: values in, values out.

use std::io;
use std::time::SystemTime;

use hookwire::{GrpcConfig, PluginError};

use super::certificate::{Certificate, span};
use super::handshake::Seen;
use super::place::Place;
use super::trouble::Trouble;
use crate::doctor::finding::Finding;
use crate::doctor::judge;

/// Whether there was no answer at all. Another server may have one; what a server answers that
/// cannot be used, it answers to calls too. But by its address a proxy may know no such server.
pub(super) fn is_mute(error: &PluginError, by_address: bool) -> bool {
    match error.reason() {
        "unavailable" | "untrusted" | "timeout" | "unresponsive" | "disconnected" => true,
        "unimplemented" => by_address,
        _ => false,
    }
}

/// Why a server that was connected to has not answered. `seen` is how it begins TLS.
pub(super) fn no_answer(
    error: &PluginError,
    grpc: &GrpcConfig,
    seen: &Seen,
    now: SystemTime,
) -> Trouble {
    let said = judge::without_place(error);
    let certificate = seen.certificate.as_ref();
    let Some(tls) = grpc.tls() else {
        return match certificate {
            Some(_) => Trouble::new(
                "tls",
                format!("it speaks TLS, and the entry has none: {said}"),
                "add `tls: {}`, with a `ca_bundle` for a private authority",
            ),
            None => untold(error, said),
        };
    };
    let is_of_a_file =
        error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::InvalidInput);
    match certificate {
        _ if is_of_a_file => Trouble::new(
            "files",
            said,
            "correct the file that is named; the gateway's user must be able to read it",
        ),
        None if seen.asks => client_certificate(tls.certfile().is_some(), said),
        None => Trouble::new(
            "tls",
            format!("it does not begin TLS: {said}"),
            "let the server speak TLS there, or correct `target`",
        ),
        Some(certificate) if certificate.left(now).is_none() => Trouble::new(
            "certificate",
            format!("its certificate has expired, on {}: {said}", certificate.expires),
            "renew the server's certificate",
        ),
        Some(certificate) if certificate.from > now => Trouble::new(
            "certificate",
            format!("its certificate does not hold yet: {said}"),
            "correct this machine's clock, or the server's certificate",
        ),
        Some(_) if seen.http2 == Some(false) => Trouble::new(
            "http2",
            format!("it does not choose HTTP/2 in TLS: {said}"),
            "let the server, or the proxy before it, offer HTTP/2 (ALPN protocol `h2`)",
        ),
        Some(certificate) if error.reason() == "untrusted" && !said.contains("client cert") => {
            Trouble::new(
                "certificate",
                said,
                format!(
                    "it is {}: compare its names with `target` and `server_name`, and its authority with `tls.ca_bundle`",
                    described(certificate)
                ),
            )
        }
        Some(_) if seen.asks => client_certificate(tls.certfile().is_some(), said),
        Some(_) => untold(error, said),
    }
}

fn client_certificate(is_shown: bool, said: String) -> Trouble {
    match is_shown {
        false => Trouble::new(
            "client_certificate",
            format!("it asks for a client certificate, and the entry has none: {said}"),
            "set `tls.certfile` and `tls.keyfile`",
        ),
        true => Trouble::new(
            "client_certificate",
            format!("it may not take the client certificate: {said}"),
            "show one in `tls.certfile` that the server takes: of an authority that it trusts, for a name that it lets in, and not expired; its log tells why",
        ),
    }
}

/// Nothing that was seen explains it.
fn untold(error: &PluginError, said: String) -> Trouble {
    match error.reason() {
        "unavailable" if said.contains("not serving") => Trouble::new(
            "health",
            said,
            "see why on the server: it is stopping, or something that it needs is not there",
        ),
        "unavailable" | "untrusted" => Trouble::new(
            "health",
            format!("its health check (`cpex.Health/Check`) is not answered: {said}"),
            "see that a plugin server listens there that speaks gRPC, and what it logs",
        ),
        "timeout" | "unresponsive" => Trouble::new(
            "unchecked",
            format!("connected, and no answer: {said}"),
            "see whether the server hangs, or something else listens there; until it answers, nothing is known of its own entry",
        ),
        _ => Trouble::new(
            "unchecked",
            format!("the server's own entry is not known, it may let everything pass: {said}"),
            "look at the server's log",
        ),
    }
}

/// What is noteworthy of a server that may well answer.
pub(super) fn noted(
    place: &Place,
    grpc: &GrpcConfig,
    seen: &Seen,
    now: SystemTime,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(certificate) = seen.certificate.as_ref().filter(|_| grpc.tls().is_some()) {
        findings.extend(expiry("the server's certificate", certificate, now));
    }
    if let Place::Address { address, .. } = place
        && grpc.tls().is_none()
        && !address.ip().to_canonical().is_loopback()
    {
        findings.push(Finding::note(
            "plaintext",
            "calls leave this machine in plaintext, as `plaintext: true` allows",
            "see that something else encrypts the way, or use `tls`",
        ));
    }
    findings
}

/// A certificate that ends soon, before anybody is shut out by it.
pub(super) fn expiry(what: &str, certificate: &Certificate, now: SystemTime) -> Option<Finding> {
    if !certificate.is_due(now) {
        return None;
    }
    let expires = &certificate.expires;
    let message = match certificate.left(now) {
        Some(left) => format!("{what} expires in {}, on {expires}", span(left)),
        None => format!("{what} has expired, on {expires}"),
    };
    let advice =
        "renew it, and see that what renews it runs; files are read anew for each connection";
    Some(Finding::warn("expiry", message, advice))
}

/// What is to be told of a server, besides what is wrong with it.
pub(super) fn told(grpc: &GrpcConfig, seen: &Seen, answered: bool, now: SystemTime) -> String {
    let mut told = vec![match (grpc.tls(), &seen.certificate) {
        (None, _) => "plaintext".to_owned(),
        (Some(_), None) => "connected".to_owned(),
        (Some(_), Some(certificate)) => {
            let left = certificate
                .left(now)
                .map_or("expired".to_owned(), |left| format!("{} left", span(left)));
            format!(
                "{}, certificate {}, {left}",
                seen.version.unwrap_or("TLS"),
                described(certificate)
            )
        }
    }];
    let shows = grpc.tls().map(|tls| tls.certfile().is_some());
    match (seen.asks, shows.unwrap_or(false)) {
        _ if shows.is_none() => {}
        (true, true) if answered => {
            told.push("client certificate asked for and shown".to_owned());
        }
        // It may not have come so far that it was shown, or could be read.
        (true, true) => told.push("client certificate asked for, and one is set".to_owned()),
        (true, false) => told.push("client certificate asked for, and none to show".to_owned()),
        (false, true) => told.push("client certificate not asked for".to_owned()),
        (false, false) => {}
    }
    if answered {
        told.push("health check answered".to_owned());
    }
    told.join("; ")
}

fn described(certificate: &Certificate) -> String {
    let names = match &certificate.names[..] {
        [] => "no name".to_owned(),
        names => names.join(", "),
    };
    format!("for {names} from `{}`", certificate.issuer)
}
