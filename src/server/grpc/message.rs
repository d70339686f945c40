//! What travels in a call's stream: one message with its prefix, and some headers. Pure.

use std::mem;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::status::{Code, Status};

/// One byte that tells whether the message is compressed, four of its length.
const PREFIX: usize = 5;

/// The one message of a unary call, as its bytes come.
#[derive(Debug, Default)]
pub(super) struct Received {
    limit: usize,
    /// All of it in most calls, as it was read.
    first: Bytes,
    /// All of it, where it came in several parts.
    all: Vec<u8>,
}

impl Received {
    /// Takes messages of up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// # Errors
    /// As soon as it is clear that the call cannot be answered.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), Status> {
        if chunk.is_empty() {
            return Ok(());
        }
        if self.bytes().is_empty() {
            self.first = chunk;
        } else {
            self.make_room(chunk.len())?;
            self.all.extend_from_slice(&mem::take(&mut self.first));
            self.all.extend_from_slice(&chunk);
        }
        match self.announced()? {
            Some(length) if self.bytes().len() > PREFIX + length => {
                Err(Status::new(Code::InvalidArgument, "more than one message in a unary call"))
            }
            _ => Ok(()),
        }
    }

    /// Doubles what there is, but takes no more than the message needs.
    fn make_room(&mut self, more: usize) -> Result<(), Status> {
        let (len, capacity) = (self.bytes().len(), self.all.capacity());
        if len + more > capacity {
            let most = self.whole()?.unwrap_or_default();
            let wanted = (2 * capacity.max(len)).min(most).max(len + more);
            self.all.reserve_exact(wanted - self.all.len());
        }
        Ok(())
    }

    /// The memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.first.len() + self.all.capacity()
    }

    /// How long it will be, once that is known.
    ///
    /// # Errors
    /// If it cannot be taken.
    pub(super) fn whole(&self) -> Result<Option<usize>, Status> {
        Ok(self.announced()?.map(|length| PREFIX + length))
    }

    /// # Errors
    /// If the message is not whole.
    pub(super) fn finish(self) -> Result<Bytes, Status> {
        if self.whole()? != Some(self.bytes().len()) {
            return Err(Status::new(Code::InvalidArgument, "the request ends within its message"));
        }
        let bytes = if self.all.is_empty() { self.first } else { self.all.into() };
        Ok(bytes.slice(PREFIX..))
    }

    fn bytes(&self) -> &[u8] {
        if self.all.is_empty() { &self.first } else { &self.all }
    }

    /// The length that the prefix tells, once that is there.
    fn announced(&self) -> Result<Option<usize>, Status> {
        let Some(&[compressed, a, b, c, d]) = self.bytes().first_chunk() else { return Ok(None) };
        match compressed {
            0 => {}
            1 => return Err(Status::new(Code::Unimplemented, "compression is not supported")),
            _ => return Err(Status::new(Code::InvalidArgument, "a message with an odd prefix")),
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.limit {
            // The reference's words: its clients know them.
            let limit = self.limit;
            let reason = format!("Received message larger than max ({length} vs. {limit})");
            return Err(Status::new(Code::ResourceExhausted, reason));
        }
        Ok(Some(length))
    }
}

/// How long the client waits for its answer, if it says so.
///
/// # Errors
/// If that is no `grpc-timeout`: up to eight digits, and a unit.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let odd = || Status::new(Code::InvalidArgument, "an odd `grpc-timeout`");
    let (unit, digits) = value.as_bytes().split_last().ok_or_else(odd)?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(odd());
    }
    let number = digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'));
    Ok(Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return Err(odd()),
    }))
}

/// Whether a request's `content-type` is that of gRPC with protobuf.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).map(|value| value.as_bytes());
    let rest = content_type.and_then(|text| text.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, b"" | b"+proto" | [b';', ..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn received(limit: usize, chunks: &[&[u8]]) -> Result<Bytes, Code> {
        let mut received = Received::new(limit);
        for chunk in chunks {
            received.push(Bytes::copy_from_slice(chunk)).map_err(|status| status.code())?;
        }
        received.finish().map_err(|status| status.code())
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    #[test]
    fn a_message_of_just_the_limit_is_taken_and_one_byte_more_is_not() {
        assert_eq!(received(3, &[&framed(b"abc")]).unwrap(), &b"abc"[..]);
        assert_eq!(received(3, &[&framed(b"abcd")]), Err(Code::ResourceExhausted));
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_by_its_prefix() {
        let mut received = Received::new(3);
        let status = received.push(Bytes::from_static(&[0, 0, 0, 0, 4])).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }

    #[test]
    fn what_is_no_single_plain_message_is_refused() {
        for (bytes, code) in [
            (&b""[..], Code::InvalidArgument),
            (b"\0\0\0\0", Code::InvalidArgument),
            (b"\0\0\0\0\x02x", Code::InvalidArgument),
            (b"\0\0\0\0\x01xy", Code::InvalidArgument),
            (b"\x01\0\0\0\0", Code::Unimplemented),
            (b"\x02\0\0\0\0", Code::InvalidArgument),
        ] {
            assert_eq!(received(100, &[bytes]), Err(code), "{bytes:?}");
        }
    }

    #[test]
    fn it_takes_no_more_memory_than_twice_what_has_come_nor_than_its_message() {
        let message = framed(&[7; 1000]);
        let mut received = Received::new(1000);
        for (at, byte) in message.iter().enumerate() {
            received.push(Bytes::copy_from_slice(&[*byte])).unwrap();
            let held = received.held();
            assert!(held > at && held <= (2 * (at + 1)).min(message.len()), "{held} at {at}");
        }
        assert_eq!(received.finish().unwrap().len(), 1000);
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_however_it_is_cut(
            message in proptest::collection::vec(any::<u8>(), 0..64),
            cuts in proptest::collection::vec(0..69_usize, 0..6),
        ) {
            let framed = framed(&message);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(framed.len())).collect();
            cuts.sort_unstable();
            let (mut chunks, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([framed.len()]) {
                chunks.push(&framed[from..cut]);
                from = cut;
            }
            prop_assert_eq!(received(64, &chunks).unwrap(), message);
        }

        #[test]
        fn no_bytes_make_it_panic(chunks in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..9), 0..6,
        )) {
            let chunks: Vec<_> = chunks.iter().map(|chunk| &chunk[..]).collect();
            let _ = received(16, &chunks);
        }
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_timeout_is_read_in_each_unit() {
        let read = |text| timeout(&headers("grpc-timeout", text));
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("2M", Duration::from_secs(120)),
            ("2S", Duration::from_secs(2)),
            ("2m", Duration::from_millis(2)),
            ("2u", Duration::from_micros(2)),
            ("2n", Duration::from_nanos(2)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(read(text).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for text in ["", "S", "2", "123456789S", "-1S", "1.5S", "2s", "2 S"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_grpc_with_protobuf_is_taken() {
        let taken = |text| is_grpc(&headers("content-type", text));
        let all = ["application/grpc", "application/grpc+proto", "application/grpc;x=y"];
        assert!(all.into_iter().all(taken));
        let others = ["application/grpc-web", "application/grpc+json", "application/json", ""];
        assert!(!others.into_iter().any(taken) && !is_grpc(&HeaderMap::new()));
    }
}
