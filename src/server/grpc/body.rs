//! The body of a response: at most one message, or a health's changes; then the status.

use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use bytes::buf::{Buf, Chain};
use futures::stream::Stream;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::activity::Busy;
use super::memory::Held;
use super::status::Status;
use crate::wire::request::EncodedFrame;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A message with its prefix: the frame of the Unix socket, behind the byte that says that
/// it is not compressed.
///
/// It is dropped when the kernel has all of it, or nobody wants it any more. Until then its
/// call goes on, and it is held.
pub(super) struct Message {
    bytes: Chain<&'static [u8], Bytes>,
    _until_taken: (Busy, Option<Held>),
}

impl Message {
    fn new(frame: EncodedFrame, busy: Busy, held: Option<Held>) -> Self {
        let bytes = (&[0_u8][..]).chain(Bytes::from(frame));
        Self { bytes, _until_taken: (busy, held) }
    }
}

impl Buf for Message {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(chunks)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

pub(super) type Messages = Pin<Box<dyn Stream<Item = EncodedFrame> + Send>>;

pub(super) enum Reply {
    Nothing,
    One(Option<Message>),
    Many { messages: Messages, watch: Busy, _held: Held },
    Ended,
}

/// A reply that is one message, of a call that holds this.
pub(super) fn unary(frame: EncodedFrame, busy: Busy, held: Held) -> Response<Reply> {
    let busy = busy.reply(frame.len());
    response(Reply::One(Some(Message::new(frame, busy, Some(held)))))
}

/// A reply that goes on until its stream ends.
pub(super) fn stream(messages: Messages, watch: Busy, held: Held) -> Response<Reply> {
    response(Reply::Many { messages, watch, _held: held })
}

/// No reply: all there is to say is in the headers.
pub(super) fn refused(status: &Status) -> Response<Reply> {
    let mut response = response(Reply::Nothing);
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(status.code() as u16));
    if let Ok(message) = HeaderValue::from_str(status.message()) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// For what is no gRPC.
pub(super) fn http_error(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::Nothing);
    *response.status_mut() = status;
    response
}

fn response(reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

fn ok() -> Frame<Message> {
    Frame::trailers(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]))
}

impl Body for Reply {
    type Data = Message;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Message>, Infallible>>> {
        let message = match &mut *self {
            Self::Nothing | Self::Ended => return Poll::Ready(None),
            Self::One(message) => message.take(),
            Self::Many { messages, watch, .. } => match messages.as_mut().poll_next(cx) {
                Poll::Ready(frame) => frame.map(|frame| Message::new(frame, watch.tell(), None)),
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(Some(Ok(match message {
            Some(message) => Frame::data(message),
            None => {
                *self = Self::Ended;
                ok()
            }
        })))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing | Self::Ended)
    }

    /// Never exact but for nothing: a `content-length` has no place in gRPC.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing | Self::Ended => SizeHint::with_exact(0),
            Self::One(_) | Self::Many { .. } => SizeHint::default(),
        }
    }
}
