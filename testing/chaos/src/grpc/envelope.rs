//! How a message is sent back: in gRPC's envelope, or in one that is damaged.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::time::sleep;

/// How a reply ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Status(u32),
    Silently,
    Reset(Reason),
}

#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) http: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) pieces: Vec<Bytes>,
    /// Between two pieces.
    pub(crate) pause: Duration,
    pub(crate) end: End,
}

impl Envelope {
    /// As it should be.
    pub(crate) fn of(message: &[u8]) -> Self {
        Self::raw(framed(0, message).into())
    }

    /// The same for bytes that need not be a message.
    pub(crate) fn raw(bytes: Bytes) -> Self {
        Self {
            http: StatusCode::OK,
            kind: "application/grpc",
            pieces: vec![bytes],
            pause: Duration::ZERO,
            end: End::Status(0),
        }
    }

    pub(crate) fn ending(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// In two pieces.
    pub(crate) fn split(mut self, at: usize, pause: Duration) -> Self {
        let mut first = self.pieces.remove(0);
        let second = first.split_off(at);
        self.pieces = vec![first, second];
        Self { pause, ..self }
    }

    /// Whether its client is still there does not matter.
    pub(crate) async fn send(self, respond: &mut SendResponse<Bytes>) {
        let mut head = Response::new(());
        *head.status_mut() = self.http;
        head.headers_mut().insert("content-type", HeaderValue::from_static(self.kind));
        let Ok(mut body) = respond.send_response(head, false) else { return };
        let silent = self.end == End::Silently;
        let last = self.pieces.len().saturating_sub(1);
        for (index, piece) in self.pieces.into_iter().enumerate() {
            if index > 0 && !self.pause.is_zero() {
                sleep(self.pause).await;
            }
            if body.send_data(piece, silent && index == last).is_err() {
                return;
            }
        }
        match self.end {
            End::Status(code) => drop(body.send_trailers(status(code))),
            End::Reset(reason) => body.send_reset(reason),
            End::Silently => {}
        }
    }
}

/// A status, and nothing else.
pub(crate) fn refuse(code: u32, respond: &mut SendResponse<Bytes>) {
    let mut head = Response::new(());
    *head.headers_mut() = status(code);
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let _ = respond.send_response(head, true);
}

fn status(code: u32) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    if code != 0 {
        trailers.insert("grpc-message", HeaderValue::from_static("as%20chaos%20has%20it"));
    }
    trailers
}

/// A message behind its prefix; `flag` 1 is for one that is compressed.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &fault_server::frame(message)[..]].concat()
}
