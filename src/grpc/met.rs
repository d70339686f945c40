//! What was met where no gRPC is spoken, from the first bytes that came.

use super::link::FIRST;

/// What to say of a server without TLS that never answered, from what it said first. `None`: it
/// may speak HTTP/2.
pub(super) fn met(first: Option<&[u8; FIRST]>) -> Option<&'static str> {
    /// The type of a frame, which begins with its length in three bytes.
    const SETTINGS: u8 = 4;
    match first {
        None => None,
        // A record with an alert or a handshake, of any version.
        Some([0x15 | 0x16, 3, ..]) => {
            Some("the server answered in TLS, and is spoken to without it; set `tls`")
        }
        Some(b"HTTP/1.") => Some(
            "the server answered in HTTP/1, and gRPC needs HTTP/2; is it the right port, and does it want TLS there (`tls`)?",
        ),
        Some([_, _, _, SETTINGS, ..]) => None,
        Some(_) => Some(
            "what answers there does not speak HTTP/2, so it is no gRPC; is it the right port?",
        ),
    }
}

/// What to add for a server without TLS that closed the connection before it said anything.
pub(super) const SILENT: &str = "the server closed the connection without a word; does it speak gRPC there, and without TLS \
     (`tls`)?";

/// The same inside TLS, where the handshake had gone well.
pub(super) const SILENT_IN_TLS: &str = "the server closed the connection behind the TLS handshake without a word; does it want a \
     client certificate, or another one (`certfile`, `keyfile`)?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_http_2_is_told_from_its_first_bytes() {
        for (first, words) in [
            (b"\x15\x03\x03\x00\x02\x02\x16", "in TLS"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "in TLS"),
            (b"HTTP/1.", "in HTTP/1,"),
            (b"SSH-2.0", "does not speak HTTP/2"),
            (b"\0\0\0\0\0\0\0", "does not speak HTTP/2"),
        ] {
            assert!(met(Some(first)).unwrap().contains(words), "{first:?}");
        }
    }

    #[test]
    fn of_a_server_that_speaks_http_2_or_is_silent_nothing_is_said() {
        assert_eq!(met(None), None);
        assert_eq!(met(Some(b"\0\0\x12\x04\0\0\0")), None);
    }
}
