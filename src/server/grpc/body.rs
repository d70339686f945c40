//! The body of a response: at most one message, or a health's changes; then the status.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use bytes::buf::{Buf as _, Chain};
use futures::stream::Stream;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::status::Status;
use crate::wire::request::EncodedFrame;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A message with its prefix: the frame of the Unix socket, behind the byte that says that
/// it is not compressed.
pub(super) type Message = Chain<&'static [u8], Bytes>;

pub(super) type Messages = Pin<Box<dyn Stream<Item = EncodedFrame> + Send>>;

pub(super) enum Reply {
    Nothing,
    One(Option<Message>),
    Many(Messages),
    Ended,
}

/// A reply that is one message.
pub(super) fn unary(frame: EncodedFrame) -> Response<Reply> {
    response(Reply::One(Some(message(frame))))
}

/// A reply that goes on until its stream ends.
pub(super) fn stream(messages: Messages) -> Response<Reply> {
    response(Reply::Many(messages))
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

fn message(frame: EncodedFrame) -> Message {
    (&[0_u8][..]).chain(Bytes::from(frame))
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
            Self::Many(messages) => match messages.as_mut().poll_next(cx) {
                Poll::Ready(frame) => frame.map(message),
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
            Self::One(_) | Self::Many(_) => SizeHint::default(),
        }
    }
}
