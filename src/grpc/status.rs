//! What a gRPC status, and an error of the transport, mean for a call.
//!
//! A status is never an allow. And it tells nothing of whether a hook has run: a server that
//! stops, a proxy, and the plugin's own code all use the same few codes.

use std::io;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::{Cause, Ended};
use crate::trust::Refusal;

/// No more of a server's words is quoted.
const LONGEST_MESSAGE: usize = 256;

pub(crate) const OK: u32 = 0;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// How a server ended a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u32,
    /// In the server's words.
    message: String,
    /// It is no gRPC, and comes from a proxy, most likely.
    is_of_http: bool,
}

impl Status {
    /// That of a reply's headers or trailers, if it is there. A code that is no number, or that
    /// is there twice and not the same, is `UNKNOWN`, which is no `OK`.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut codes = headers.get_all("grpc-status").iter();
        let first = codes.next()?;
        let code = if codes.all(|other| other == first) { code(first) } else { UNKNOWN };
        let message = headers.get("grpc-message").map_or(&b""[..], |value| value.as_bytes());
        let message = percent_encoding::percent_decode(message).decode_utf8_lossy();
        Some(Self { code, message: legible(&message), is_of_http: false })
    }

    /// That of a reply that is no gRPC, because it came from a proxy, say.
    pub(crate) fn of_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => UNIMPLEMENTED,
            413 => RESOURCE_EXHAUSTED,
            429 | 502..=504 => UNAVAILABLE,
            _ => UNKNOWN,
        };
        let way = match status {
            StatusCode::NOT_FOUND => "; does a proxy there know the way to the plugin's server?",
            _ => "",
        };
        // With the usual words for the number, where it has some.
        let message = format!("the answer is HTTP {status}, which is no gRPC{way}");
        Self { code, message, is_of_http: true }
    }

    /// The server is there, and knows who asks. What is no gRPC tells of no server.
    pub(crate) fn is_alive(&self) -> bool {
        !self.is_of_http && matches!(self.code, OK | UNIMPLEMENTED)
    }

    /// Why a server that answers so cannot be used.
    pub(crate) fn into_io(self) -> io::Error {
        match self.code {
            UNAUTHENTICATED | PERMISSION_DENIED => Refusal::Server(self.to_string()).into(),
            _ => io::Error::other(Ended(self.to_string())),
        }
    }

    pub(crate) fn is_late(&self) -> bool {
        self.code == DEADLINE_EXCEEDED
    }

    /// What it means for a call whose request was `size` bytes, of at most `limit`. Not for
    /// `OK`.
    pub(crate) fn into_cause(self, size: usize, limit: usize) -> Cause {
        match self.code {
            RESOURCE_EXHAUSTED if self.message.contains("message larger than max") => {
                Cause::MessageTooLarge { size, limit: Some(self.limit().unwrap_or(limit)) }
            }
            RESOURCE_EXHAUSTED if self.is_of_http => Cause::MessageTooLarge { size, limit: None },
            UNIMPLEMENTED => Cause::Unimplemented(self.to_string().into()),
            UNAUTHENTICATED | PERMISSION_DENIED => {
                let error = Arc::new(self.into_io());
                Cause::Untrusted { attempts: 1, error, retry_after: None }
            }
            _ => Cause::Disconnected(Arc::new(self.into_io())),
        }
    }

    /// Of `... larger than max (4194305 vs. 4194304)`, the last number.
    fn limit(&self) -> Option<usize> {
        let (_, limit) = self.message.rsplit_once("vs. ")?;
        limit.trim_end_matches(')').parse().ok()
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server answered ")?;
        match NAMES.get(self.code as usize) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "the unknown status {}", self.code)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// Digits alone: Rust would take a sign, too.
fn code(value: &HeaderValue) -> u32 {
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(UNKNOWN)
}

/// One line, not too long: it goes into logs.
pub(super) fn legible(message: &str) -> String {
    let clean = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST_MESSAGE).collect()
}

/// Who ended a stream alone, and why.
pub(crate) enum Reset {
    ByServer(h2::Reason),
    /// By our own HTTP/2, because of what came on it.
    Here(h2::Reason),
}

/// That of a stream which was ended alone.
pub(crate) fn reset(error: &h2::Error) -> Option<Reset> {
    let reason = error.reason().filter(|_| error.is_reset())?;
    if error.is_remote() {
        Some(Reset::ByServer(reason))
    } else {
        error.is_library().then_some(Reset::Here(reason))
    }
}

/// Whether the server is stopping, and has said of this request that it never came to it.
///
/// Of streams that are open when a server stops, h2 ends those with the server's GOAWAY that
/// are above the last one which the server will look at, and no others. Other reasons than
/// `NO_ERROR` are given by servers that are at odds with us, so they are not believed.
pub(crate) fn is_passed_over(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

/// In words that are fit for a log: a server's may be among them.
pub(crate) fn into_io(error: &h2::Error) -> io::Error {
    if is_passed_over(error) {
        return io::Error::other("the server takes no more calls on this connection (GOAWAY)");
    }
    let kind = error.get_io().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, legible(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: &str, message: &str) -> Option<Status> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", code.parse().unwrap());
        headers.insert("grpc-message", message.parse().unwrap());
        Status::of(&headers)
    }

    #[test]
    fn a_code_that_is_no_number_is_no_ok() {
        for code in ["", "OK", "-1", "+0", "0x0", "4294967296"] {
            assert_eq!(status(code, "").unwrap().code, UNKNOWN, "{code}");
        }
        assert_eq!(Status::of(&HeaderMap::new()), None);
    }

    /// Found by fuzzing, as was the sign above.
    #[test]
    fn an_ok_beside_another_status_is_no_ok() {
        for codes in [["0", "2"], ["2", "0"]] {
            let mut headers = HeaderMap::new();
            for code in codes {
                headers.append("grpc-status", code.parse().unwrap());
            }
            assert_ne!(Status::of(&headers).unwrap().code, OK, "{codes:?}");
        }
    }

    #[test]
    fn a_servers_words_are_one_line_and_not_without_end() {
        let message = status("2", &format!("a%0Ab%1b[31m{}", "x".repeat(1000))).unwrap().message;
        assert!(message.starts_with("a b [31mxxx"), "{message}");
        assert_eq!(message.chars().count(), LONGEST_MESSAGE);
    }

    #[test]
    fn no_http_status_is_an_ok() {
        for code in 100..600 {
            let status = Status::of_http(StatusCode::from_u16(code).unwrap());
            assert_ne!(status.code, OK, "{code}");
        }
    }
}
