//! FrameDecoder: `[u32 big-endian length][message]`.

use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

use super::FRAME_HEADER;

/// The largest message of the protocol, in either direction: 16 MiB.
pub(crate) const DEFAULT_MAX_FRAME_LEN: usize = 16 * 1024 * 1024;

/// Room that is made for a message at its header's word. A header costs its
/// sender four bytes: beyond this, memory is given as bytes come.
pub(crate) const TRUSTED: usize = 1024 * 1024;

/// The codec for frames of up to `max_frame_len` bytes of message.
pub(crate) fn codec(max_frame_len: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .big_endian()
        .length_field_type::<u32>()
        .max_frame_length(max_frame_len)
        .new_codec()
}

/// Takes messages off the bytes that a peer sends.
#[derive(Debug)]
pub(crate) struct FrameDecoder(LengthDelimitedCodec);

impl FrameDecoder {
    pub(crate) fn new(max_frame_len: usize) -> Self {
        Self(codec(max_frame_len))
    }

    /// The next message, once it is whole. Until then its frame stays in `inbox`
    /// with its header: what is there is the beginning of a message.
    ///
    /// # Errors
    /// If the message is longer than allowed.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        let Some(header) = inbox.first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*header) as usize;
        let missing = FRAME_HEADER.saturating_add(length).saturating_sub(inbox.len());
        // The codec would make room for all of it at once.
        if missing > 0 && length <= self.0.max_frame_length() {
            inbox.reserve(missing.min(TRUSTED));
            return Ok(None);
        }
        let decoded = self.0.decode(inbox);
        // What cannot be decoded stays where it is.
        decoded.map_err(|error| told(error, inbox.starts_with(b"HTTP")))
    }
}

/// The codec's error, in words that tell what to do. The bytes themselves may be a part of
/// a payload, so only what is certainly none is shown.
#[cold]
fn told(error: io::Error, is_http: bool) -> io::Error {
    let reason = if is_http {
        "the other side speaks HTTP, not the plugin protocol".to_owned()
    } else {
        format!("a message beyond `max_frame_len`, or another protocol ({error})")
    };
    io::Error::new(error.kind(), reason)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use tokio_util::codec::{Decoder, Encoder};

    use super::*;
    use crate::wire::structpb::writer::Writer;

    #[test]
    fn a_request_written_in_place_is_the_frame_that_the_codec_would_write() {
        for size in [0, 1, 300, 70_000] {
            let mut writer = Writer::with_capacity(0);
            if size > 0 {
                writer.string(0x0a, &vec![b'x'; size]);
            }
            let frame = writer.take_frame().unwrap();

            let mut expected = BytesMut::new();
            let mut codec = codec(DEFAULT_MAX_FRAME_LEN);
            codec.encode(Bytes::copy_from_slice(&frame[4..]), &mut expected).unwrap();
            assert_eq!(frame, expected);
            assert_eq!(codec.decode(&mut expected).unwrap().unwrap(), frame[4..]);
        }
    }

    #[test]
    fn an_empty_frame_is_a_message() {
        let mut bytes = BytesMut::from(&[0_u8; 4][..]);
        assert_eq!(FrameDecoder::new(16).next(&mut bytes).unwrap().unwrap(), BytesMut::new());
    }

    #[test]
    fn a_length_beyond_the_limit_is_an_error() {
        let mut bytes = BytesMut::from(&[0, 0, 0, 17][..]);
        assert!(FrameDecoder::new(16).next(&mut bytes).is_err());
    }

    #[test]
    fn a_server_that_answers_in_http_is_told_apart_from_a_message_that_is_too_long() {
        let told = |bytes: &[u8]| {
            let mut bytes = BytesMut::from(bytes);
            FrameDecoder::new(16).next(&mut bytes).unwrap_err().to_string()
        };
        assert!(told(b"HTTP/1.1 400 Bad Request\r\n").contains("speaks HTTP"));
        assert!(told(b"hunter2").contains("`max_frame_len`"));
        assert!(!told(b"hunter2").contains("hunt"), "no part of what may be a payload");
    }

    #[test]
    fn a_message_that_is_not_whole_stays_with_its_header() {
        let mut bytes = BytesMut::from(&[0, 0, 0, 2, b'x'][..]);
        let mut frames = FrameDecoder::new(16);
        assert_eq!(frames.next(&mut bytes).unwrap(), None);
        assert_eq!(bytes, [0, 0, 0, 2, b'x'][..]);
        bytes.extend_from_slice(b"yz");
        assert_eq!(frames.next(&mut bytes).unwrap().unwrap(), b"xy"[..]);
        assert_eq!(bytes, b"z"[..]);
    }

    /// The codec alone makes room for all that a header announces: sixteen
    /// mebibytes, or four gibibytes where that is allowed, for four bytes.
    // Promise: C3
    #[test]
    fn a_header_alone_gets_room_for_what_is_trusted_and_no_more() {
        let mut bytes = BytesMut::from(&u32::MAX.to_be_bytes()[..]);
        assert_eq!(FrameDecoder::new(u32::MAX as usize).next(&mut bytes).unwrap(), None);
        assert!(bytes.capacity() <= TRUSTED + 64, "{}", bytes.capacity());
    }

    // Promise: C3
    #[test]
    fn a_long_message_costs_room_as_it_comes() {
        let mut frames = FrameDecoder::new(DEFAULT_MAX_FRAME_LEN);
        let mut bytes = BytesMut::from(&(DEFAULT_MAX_FRAME_LEN as u32).to_be_bytes()[..]);
        while frames.next(&mut bytes).unwrap().is_none() {
            assert!(bytes.capacity() <= 2 * bytes.len() + 2 * TRUSTED, "{}", bytes.capacity());
            bytes.extend_from_slice(&[0; 64 * 1024 - 1]);
        }
    }
}
