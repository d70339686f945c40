//! What others may send over gRPC, as bytes: parts, each a number and what follows it. Of
//! the number, the low three bits say what it is, and the other five how long.

use bytes::Bytes;
use hookwire::fuzz_bridge::grpc::Sent;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};

/// The bytes of a message, behind their prefix.
pub const FRAME: u8 = 0;
/// Bytes as they are.
pub const RAW: u8 = 1;
/// What was collected is one piece.
pub const CUT: u8 = 2;
/// Headers, or trailers: [`STATUS`] and those behind it have a value.
pub const TRAILERS: u8 = 3;
pub const STATUS: u8 = 4;
pub const MESSAGE: u8 = 5;
pub const TYPE: u8 = 6;
/// What ends the stream; its length is the reason. Of a length above 15, the HTTP status.
pub const END: u8 = 7;

const NOT_FOUND_AND_BEYOND: [u16; 16] =
    [200, 204, 301, 400, 401, 403, 404, 408, 413, 415, 429, 500, 502, 503, 504, 599];

/// A response of these parts, and the bytes of its body.
#[must_use]
pub fn response(mut bytes: &[u8]) -> (Sent, Vec<u8>) {
    let mut sent = Sent { http_status: 200, ..Sent::default() };
    let (mut piece, mut body) = (Vec::new(), Vec::new());
    while let Some((&part, after)) = bytes.split_first() {
        let length = usize::from(part >> 3);
        let (value, rest) = after.split_at(length.min(after.len()));
        let mut headers = |name| {
            let Ok(value) = HeaderValue::from_bytes(value) else { return };
            sent.trailers.as_mut().unwrap_or(&mut sent.headers).append(name, value);
        };
        match part & 7 {
            FRAME => {
                piece.push(0);
                piece.extend((value.len() as u32).to_be_bytes());
                piece.extend(value);
            }
            RAW => piece.extend(value),
            CUT => {
                body.extend(&piece);
                sent.pieces.push(std::mem::take(&mut piece).into());
            }
            TRAILERS => {
                sent.trailers.get_or_insert_with(HeaderMap::new);
            }
            STATUS => headers(HeaderName::from_static("grpc-status")),
            MESSAGE => headers(HeaderName::from_static("grpc-message")),
            TYPE => headers(CONTENT_TYPE),
            _ => match NOT_FOUND_AND_BEYOND.get(length.wrapping_sub(16)) {
                Some(status) => sent.http_status = *status,
                None => sent.reset = Some(length as u32),
            },
        }
        bytes = if matches!(part & 7, CUT | TRAILERS | END) { after } else { rest };
    }
    body.extend(&piece);
    sent.pieces.push(Bytes::from(piece));
    (sent, body)
}

/// The message of a body that is one, and is no longer than `limit`.
#[must_use]
pub fn message(body: &[u8], limit: usize) -> Option<&[u8]> {
    let (&[flag, a, b, c, d], message) = body.split_first_chunk()?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    (flag == 0 && length <= limit && length == message.len()).then_some(message)
}

/// Which of these pieces shows that the body is no message.
#[must_use]
pub fn first_fault(pieces: &[Bytes], limit: usize) -> usize {
    let mut body = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        body.extend(piece);
        let Some((&[flag, a, b, c, d], message)) = body.split_first_chunk() else { continue };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 || length > limit || message.len() > length {
            return at;
        }
    }
    pieces.len()
}
