//! One call on its stream: read, and answered well or badly.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::{Link, Stream, head};
use crate::messages::Request;

/// A flag, and the length of the message in four bytes.
const PREFIX: usize = 5;
/// The length in front of a message on a socket.
const HEADER: usize = 4;

/// A request that is being read.
pub(super) struct Reading {
    path: String,
    body: RecvStream,
    message: BytesMut,
    respond: SendResponse<Bytes>,
}

impl Reading {
    pub(super) fn new((request, respond): Stream) -> Self {
        let path = request.uri().path().to_owned();
        Self { path, body: request.into_body(), message: BytesMut::new(), respond }
    }

    /// Whether it is here in whole; false if its caller has left before.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Of a stream that is over, nothing is waited for.
                    let _ = self.body.flow_control().release_capacity(data.len());
                    self.message.extend_from_slice(&data);
                }
                Some(Err(_)) => return Poll::Ready(false),
                None => return Poll::Ready(true),
            }
        }
    }

    pub(super) fn finish(self) -> (Request, Call) {
        let message = self.message.get(PREFIX..).unwrap_or_default();
        let call = Call {
            respond: self.respond,
            body: None,
            begun: Vec::new(),
            left: None,
            is_over: false,
        };
        (Request::of_method(&self.path, message), call)
    }
}

/// A call that has no whole answer yet.
pub(super) struct Call {
    respond: SendResponse<Bytes>,
    /// Once a part of the answer was sent.
    body: Option<SendStream<Bytes>>,
    /// What there is of the length in front of the reply.
    begun: Vec<u8>,
    /// What is missing of the reply, once that is known.
    left: Option<usize>,
    /// Its caller has left: the rest is said to nobody.
    is_over: bool,
}

impl Call {
    /// The number of its stream.
    pub(super) fn id(&self) -> u32 {
        self.respond.stream_id().into()
    }

    /// What of `bytes` is this call's: at most one frame.
    pub(super) fn part<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let of_header = bytes.len().min(HEADER - self.begun.len());
        self.begun.extend_from_slice(&bytes[..of_header]);
        if self.left.is_none()
            && let Ok(header) = self.begun[..].try_into()
        {
            self.left = Some(u32::from_be_bytes(header) as usize);
        }
        let of_message = (bytes.len() - of_header).min(self.left.unwrap_or(0));
        self.left = self.left.map(|left| left - of_message);
        &bytes[..of_header + of_message]
    }

    /// Whether a part of a reply was told by [`part`](Self::part).
    pub(super) fn is_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Whether the last part of a reply was told by [`part`](Self::part).
    pub(super) fn is_whole(&self) -> bool {
        self.left == Some(0)
    }

    /// Sends a part of a frame; in front of the first one goes what gRPC has and a socket has not.
    pub(super) async fn write_frame<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<S>,
        part: &[u8],
    ) -> io::Result<()> {
        let flag: &[u8] = if self.body.is_none() { &[0] } else { &[] };
        self.write(link, [flag, part].concat().into()).await
    }

    /// Sends `data` as fast as the client takes it.
    pub(super) async fn write<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<S>,
        mut data: Bytes,
    ) -> io::Result<()> {
        if self.body.is_none() && !self.is_over {
            self.body = self.respond.send_response(head(), false).ok();
        }
        let Some(body) = &mut self.body else {
            self.is_over = true;
            return Ok(());
        };
        while !data.is_empty() && !self.is_over {
            body.reserve_capacity(data.len());
            let room = poll_fn(|cx| {
                link.poll(cx)?;
                match body.capacity() {
                    0 => {}
                    room => return Poll::Ready(io::Result::Ok(room)),
                }
                match ready!(body.poll_capacity(cx)) {
                    Some(Ok(room)) => Poll::Ready(Ok(room)),
                    Some(Err(_)) | None => link.check_open().map(|()| 0).into(),
                }
            })
            .await?;
            let part = data.split_to(room.min(data.len()));
            self.is_over = room == 0 || body.send_data(part, false).is_err();
        }
        Ok(())
    }

    pub(super) fn end(mut self, status: HeaderMap) {
        // Of callers that have left, and of heads that were sent; both are no fault here.
        let _ = match &mut self.body {
            Some(body) => body.send_trailers(status),
            None => {
                let mut head = head();
                head.headers_mut().extend(status);
                self.respond.send_response(head, true).map(drop)
            }
        };
    }

    pub(super) fn end_without_status(mut self) {
        let _ = match &mut self.body {
            Some(body) => body.send_data(Bytes::new(), true),
            None => self.respond.send_response(head(), true).map(drop),
        };
    }

    pub(super) fn answer_otherwise(mut self, head: Response<()>, body: Bytes) {
        let _ =
            self.respond.send_response(head, false).and_then(|mut sent| sent.send_data(body, true));
    }

    pub(super) fn reset(mut self, reason: Reason) {
        match &mut self.body {
            Some(body) => body.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        match &mut self.body {
            Some(body) => body.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        }
    }
}
