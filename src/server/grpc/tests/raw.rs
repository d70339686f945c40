//! HTTP/2 by hand, for clients that no library would be.

use tokio::io::AsyncReadExt as _;

use super::*;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

/// The head of a frame on a stream.
pub(super) fn head(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat()
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [head(payload.len() as u32, kind, flags, stream), payload.to_vec()].concat()
}

/// What a client begins with.
pub(super) fn begun() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// The head of a call, in HPACK without its dictionary.
pub(super) fn call_headers(stream: u32) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    // POST, http, then literals: the path, the authority, the content type.
    let mut headers = vec![0x83, 0x86, 0x04];
    headers.extend(text(INVOKE));
    headers.push(0x01);
    headers.extend(text("server"));
    headers.extend([0x0f, 0x10]);
    headers.extend(text("application/grpc"));
    frame(HEADERS, 4, stream, &headers)
}

/// A whole call.
pub(super) fn call(stream: u32) -> Vec<u8> {
    [call_headers(stream), frame(DATA, 1, stream, &framed(&invocation()))].concat()
}

/// `CANCEL`.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// A frame that has come.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Got {
    let mut head = [0; 9];
    within(stream.read_exact(&mut head)).await.unwrap();
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    within(stream.read_exact(&mut payload)).await.unwrap();
    Got { kind, flags, stream: u32::from_be_bytes(id), payload }
}
