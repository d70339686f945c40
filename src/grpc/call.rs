//! One call on one stream: a message goes out, exactly one comes back, and a status.
//!
//! Dropped at any time, the stream is reset: the server hears of it at once, and what it
//! still sends reaches nobody.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};

use super::sender::{Broken, Exchange, Sender};
use super::status::{self, Reset, Status};
use crate::error::{Cause, Ended};
use crate::wire::FRAME_HEADER;

const UNCOMPRESSED: &[u8] = &[0];
/// A flag, and the length of the message in four bytes.
const PREFIX: usize = 5;
/// Room that is made at a prefix's word; beyond this, memory is given as bytes come.
const TRUSTED: usize = 1024 * 1024;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const AGENT: &str = concat!("hookwire/", env!("CARGO_PKG_VERSION"));

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection took the request no more: it never left.
    Unsent(Arc<io::Error>),
    /// The server, or somebody before it, told that the request was not looked at.
    Refused(Arc<io::Error>),
    /// It was sent to a server that is stopping, and has told that it never came to it.
    PassedOver(Arc<io::Error>),
    /// The connection was lost.
    Lost(Cause),
    /// The reply is no reply, or the stream ended without one.
    Failed(Cause),
    /// The server ended the call with this status.
    Status(Status),
}

/// Sends `frame`, whose first bytes are its length, and waits for the message that comes back.
pub(crate) async fn call(
    sender: &Sender,
    path: &Uri,
    frame: Bytes,
    left: Duration,
    max_reply_len: usize,
) -> Result<Bytes, Fault> {
    let body = UNCOMPRESSED.chain(frame);
    let request = request(path, body.remaining(), left);
    let exchange = sender.send(request, body).map_err(|refusal| match refusal {
        Broken::Http2(error) => Fault::Unsent(Arc::new(status::into_io(&error))),
        // It may be on its way.
        Broken::Panicked(error) => Fault::Lost(Cause::Disconnected(error)),
    })?;
    let (head, body) = exchange.response().await.map_err(|error| match error {
        Broken::Http2(error) if status::is_passed_over(&error) => {
            let reason = "the server is stopping, and has not begun this call";
            Fault::PassedOver(Arc::new(io::Error::other(reason)))
        }
        error => broken(error),
    })?;
    if head.status != StatusCode::OK {
        return Err(Fault::Status(Status::of_http(head.status)));
    }
    let content_type = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if !is_grpc(content_type) {
        let found = status::legible(&String::from_utf8_lossy(content_type));
        return Err(unframed(format!(
            "the content-type of the reply is `{found}`, so it is no gRPC"
        )));
    }
    let early = Status::of(&head.headers);
    match early {
        // All of the reply: there is no message.
        Some(status) if status.code != status::OK => Err(Fault::Status(status)),
        _ => read(body, early, max_reply_len).await,
    }
}

fn request(path: &Uri, body_len: usize, left: Duration) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = path.clone();
    *request.version_mut() = http::Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    // A proxy can refuse at once what is too long for it.
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body_len));
    if let Ok(mut left) = HeaderValue::try_from(timeout(left)) {
        // To HPACK: it is hardly ever the same again, and would only fill the tables of both sides.
        left.set_sensitive(true);
        headers.insert(GRPC_TIMEOUT, left);
    }
    request
}

/// At most eight digits and a unit.
pub(crate) fn timeout(left: Duration) -> String {
    const MOST: u128 = 99_999_999;
    if left.as_micros() <= MOST {
        format!("{}u", left.as_micros())
    } else if left.as_millis() <= MOST {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", u128::from(left.as_secs()).min(MOST))
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The one message, and the status behind it.
async fn read(
    mut body: Exchange<RecvStream>,
    early: Option<Status>,
    max_reply_len: usize,
) -> Result<Bytes, Fault> {
    // Once there is a reply, the server has looked at the request, whatever it says now.
    let broken = |error| match broken(error) {
        Fault::Refused(error) => Fault::Failed(Cause::Disconnected(error)),
        fault => fault,
    };
    let mut reply = Reply::new(max_reply_len);
    while let Some(data) = body.data().await.map_err(broken)? {
        reply.push(data).map_err(unframed)?;
    }
    let trailers = body.trailers().await.map_err(broken)?;
    let status = trailers.as_ref().and_then(Status::of).or(early);
    match status {
        Some(status) if status.code == status::OK => reply.finish().map_err(unframed),
        Some(status) => Err(Fault::Status(status)),
        None => Err(unframed("the reply ended without a status")),
    }
}

/// What came of a reply, of which there may be more than fits, or too much.
pub(crate) struct Reply {
    max_len: usize,
    /// Mostly a reply comes in one piece, and is given on as it came.
    first: Bytes,
    rest: BytesMut,
}

impl Reply {
    pub(crate) fn new(max_len: usize) -> Self {
        Self { max_len, first: Bytes::new(), rest: BytesMut::new() }
    }

    pub(crate) fn push(&mut self, data: Bytes) -> Result<(), String> {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&data);
        }
        let so_far = self.so_far().len();
        let Some(length) = self.length()? else { return Ok(()) };
        if so_far > PREFIX + length {
            return Err("the reply is more than one message".to_owned());
        }
        if so_far < PREFIX + length && self.rest.is_empty() {
            self.rest.reserve((PREFIX + length).min(TRUSTED));
        }
        Ok(())
    }

    fn so_far(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    /// The message's length, once it is known.
    fn length(&self) -> Result<Option<usize>, String> {
        let Some(&[flag, a, b, c, d]) = self.so_far().first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        if flag != 0 {
            return Err("the reply is compressed, which was not asked for".to_owned());
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.max_len {
            let limit = self.max_len;
            return Err(format!(
                "the reply is {length} bytes, the limit is {limit}; raise `max_reply_len`, or have \
                 the plugin send less"
            ));
        }
        Ok(Some(length))
    }

    pub(crate) fn finish(self) -> Result<Bytes, String> {
        let whole = self.length()?.is_some_and(|length| self.so_far().len() == PREFIX + length);
        if !whole {
            return Err("the reply ended within its message".to_owned());
        }
        let mut message = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        message.advance(PREFIX);
        Ok(message)
    }
}

fn broken(error: Broken) -> Fault {
    let error = match error {
        Broken::Http2(error) => error,
        Broken::Panicked(error) => return Fault::Lost(Cause::Disconnected(error)),
    };
    let ended = |reason: h2::Reason| {
        let words = format!("the server, or a proxy, ended the call (RST_STREAM with {reason:?})");
        Arc::new(io::Error::other(Ended(words)))
    };
    match status::reset(&error) {
        Some(Reset::ByServer(h2::Reason::REFUSED_STREAM)) => {
            Fault::Refused(ended(h2::Reason::REFUSED_STREAM))
        }
        Some(Reset::ByServer(reason)) => Fault::Failed(Cause::Disconnected(ended(reason))),
        Some(Reset::Here(reason)) => unframed(format!(
            "the reply breaks the rules of HTTP/2 ({reason:?}), or has more headers than are read here"
        )),
        None => Fault::Lost(Cause::Disconnected(Arc::new(status::into_io(&error)))),
    }
}

fn unframed(what: impl Into<String>) -> Fault {
    let error = io::Error::new(io::ErrorKind::InvalidData, what.into());
    Fault::Failed(Cause::Framing(Arc::new(error)))
}

/// The size of a frame's message.
pub(crate) fn message_len(frame: &[u8]) -> usize {
    frame.len().saturating_sub(FRAME_HEADER)
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
