//! Frames: `[u32 big-endian length][message]`.

use tokio_util::codec::LengthDelimitedCodec;

/// The largest message of the protocol, in either direction: 16 MiB.
pub(crate) const DEFAULT_MAX_FRAME_LEN: usize = 16 * 1024 * 1024;

/// The codec for frames of up to `max_frame_len` bytes of message.
pub(crate) fn codec(max_frame_len: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .big_endian()
        .length_field_type::<u32>()
        .max_frame_length(max_frame_len)
        .new_codec()
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use tokio_util::codec::{Decoder, Encoder};

    use super::*;
    use crate::wire::writer::Writer;

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
        assert_eq!(codec(16).decode(&mut bytes).unwrap().unwrap(), BytesMut::new());
    }

    #[test]
    fn a_length_beyond_the_limit_is_an_error() {
        let mut bytes = BytesMut::from(&[0, 0, 0, 17][..]);
        assert!(codec(16).decode(&mut bytes).is_err());
    }
}
