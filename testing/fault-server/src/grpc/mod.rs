//! The server's side of one gRPC connection: what [`Connection`](crate::Connection) does over
//! HTTP/2, and the steps that only HTTP/2 has.
//!
//! The h2 crate frames it. What h2 would not write goes past it through a [`valve`].

mod calls;
mod link;
mod valve;

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use h2::Reason;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};

use self::calls::{Call, Reading};
pub(crate) use self::link::lock;
use self::link::{Link, into_io, status};
use crate::messages::Request;
use crate::record::Record;

/// What becomes of `cpex.Health/Check`. Scripts do not see these calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It is answered as the reference's server does: SERVING.
    #[default]
    Serving,
    /// It ends with this gRPC status.
    Status(u32),
    /// Its stream is reset with this code of HTTP/2.
    Reset(u32),
    /// Nothing.
    Silent,
}

/// What a server's connections are like from the next one on; [`Health`] at once.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) health: Health,
    pub(crate) max_streams: Option<u32>,
}

/// The steps of a script that only gRPC has; those of both are [`Connection`]'s, which gives
/// this one away as [`grpc`](crate::Connection::grpc).
///
/// Calls are answered oldest first, as they are over a socket. "The next call" is the one
/// that the next reply goes to.
///
/// [`Connection`]: crate::Connection
pub struct Grpc<S> {
    link: Link<S>,
    /// Not read to its end.
    reading: Option<Reading>,
    /// Read and not answered, the next one first.
    calls: std::collections::VecDeque<Call>,
    /// Those that stay without an answer; dropped, they would be reset.
    left: Vec<Call>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Grpc<S> {
    /// Agrees with the client on HTTP/2, and answers it whether anybody is there.
    pub(crate) async fn accept(
        stream: S,
        settings: Arc<Mutex<Settings>>,
        record: Arc<Record>,
    ) -> io::Result<Self> {
        let link = Link::accept(stream, settings, record).await?;
        Ok(Self { link, reading: None, calls: Default::default(), left: Vec::new() })
    }

    /// The next request, and whose stream is reset before it is whole is none.
    pub(crate) async fn request(&mut self) -> io::Result<Request> {
        let (request, call) = poll_fn(|cx| {
            loop {
                let reading = match &mut self.reading {
                    Some(reading) => {
                        self.link.poll(cx)?;
                        reading
                    }
                    none => match self.link.poll_arrived(cx)? {
                        Poll::Ready(stream) => none.insert(Reading::new(stream)),
                        Poll::Pending => return Poll::Pending,
                    },
                };
                let is_whole = std::task::ready!(reading.poll(cx));
                let reading = self.reading.take().filter(|_| is_whole);
                if let Some(reading) = reading {
                    return Poll::Ready(io::Result::Ok(reading.finish()));
                }
            }
        })
        .await?;
        self.calls.push_back(call);
        Ok(request)
    }

    /// Writes frames as they go onto a socket, each to the next call of those that wait.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.link.check_open()?;
        while !bytes.is_empty() {
            self.forget_half_answered().await;
            let call = self.calls.front_mut().ok_or_else(nobody)?;
            let part = call.part(bytes);
            bytes = &bytes[part.len()..];
            call.write_frame(&mut self.link, part).await?;
            if call.is_whole() {
                self.status(0, "").await?;
            }
        }
        self.link.settled().await
    }

    /// What is missing of a reply whose caller has left is not waited for.
    async fn forget_half_answered(&mut self) {
        while let Some(call) = self.calls.front_mut().filter(|call| call.is_begun()) {
            if poll_fn(|cx| Poll::Ready(call.poll_reset(cx))).await.is_pending() {
                return;
            }
            self.calls.pop_front();
        }
    }

    /// Reads on, and answers nobody, until the client closes.
    pub(crate) async fn client_closed(&mut self) -> io::Result<()> {
        loop {
            self.request().await?;
        }
    }

    /// How many calls wait for an answer.
    pub fn waiting(&self) -> usize {
        self.calls.len()
    }

    /// Makes the call at `index` of those that wait, 0 being the next, the next one.
    pub fn bring_forward(&mut self, index: usize) {
        let call = self.calls.remove(index).expect("so many calls wait");
        self.calls.push_front(call);
    }

    /// Leaves the next call without an answer for good, and its stream open.
    pub fn pass_over(&mut self) {
        let call = self.calls.pop_front().expect("a call waits");
        self.left.push(call);
    }

    /// Bytes of the next call's reply as they are: without the five in front of a message, and
    /// without an end.
    pub async fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.link.check_open()?;
        let call = self.calls.front_mut().ok_or_else(nobody)?;
        call.write(&mut self.link, Bytes::copy_from_slice(bytes)).await?;
        self.link.settled().await
    }

    /// Ends the next call with a gRPC status, in trailers if a part of its reply is there. The
    /// words are plain ASCII.
    pub async fn status(&mut self, code: u32, message: &str) -> io::Result<()> {
        self.link.check_open()?;
        let call = self.calls.pop_front().ok_or_else(nobody)?;
        call.end(status(code, message));
        self.link.settled().await
    }

    /// Ends the next call without a status.
    pub async fn end(&mut self) -> io::Result<()> {
        self.link.check_open()?;
        self.calls.pop_front().ok_or_else(nobody)?.end_without_status();
        self.link.settled().await
    }

    /// Answers the next call with what is no gRPC, as a proxy does.
    pub async fn http(&mut self, status: u16, kind: &str, body: &str) -> io::Result<()> {
        self.link.check_open()?;
        let mut head = Response::new(());
        *head.status_mut() = status.try_into().expect("a status of HTTP");
        let kind = kind.parse().expect("a content type");
        head.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        let call = self.calls.pop_front().ok_or_else(nobody)?;
        call.answer_otherwise(head, body.to_owned().into());
        self.link.settled().await
    }

    /// Resets the stream of the next call, with a code of HTTP/2: 7 is REFUSED_STREAM.
    pub async fn reset(&mut self, code: u32) -> io::Result<()> {
        self.calls.pop_front().ok_or_else(nobody)?.reset(Reason::from(code));
        self.link.settled().await
    }

    /// Waits until the client resets the stream of the next call, and forgets that call; the
    /// client's code of HTTP/2.
    pub async fn client_reset(&mut self) -> io::Result<u32> {
        let call = self.calls.front_mut().ok_or_else(nobody)?;
        let link = &mut self.link;
        let reason = poll_fn(|cx| {
            link.poll(cx)?;
            link.check_open()?;
            call.poll_reset(cx).map_err(into_io)
        })
        .await?;
        self.calls.pop_front();
        Ok(reason.into())
    }

    /// Says in good order that no new call is taken (GOAWAY). Those that are under way, and those
    /// that cross it, can still be read and answered; once they are, requests end with
    /// `UnexpectedEof`.
    pub async fn go_away(&mut self) -> io::Result<()> {
        self.link.connection.graceful_shutdown();
        self.link.settled().await
    }

    /// GOAWAY with this code of HTTP/2 (0: in good order), in which the call at `index` of those
    /// that wait is the last one that will be looked at: those after it are passed over. They
    /// can still be answered, if the client lets them.
    pub async fn go_away_behind(&mut self, index: usize, code: u32) -> io::Result<()> {
        let last = self.calls.get(index).expect("so many calls wait").id();
        self.frame(7, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await
    }

    /// Writes one frame of HTTP/2 that h2 knows nothing of, in between its own.
    pub async fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a frame of fewer bytes").to_be_bytes();
        let stream = stream.to_be_bytes();
        self.bytes(&[&length[1..], &[kind, flags], &stream, payload].concat()).await
    }

    /// Writes bytes that need not be a frame of HTTP/2, in between two of h2's.
    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.link.settled().await?;
        self.link.valve.state().aside.extend_from_slice(bytes);
        self.link.settled().await
    }

    /// From now on at most `more` bytes go out, in the middle of a frame or not, and what is
    /// said after them stays with the server.
    pub fn write_at_most(&mut self, more: usize) {
        self.link.valve.state().writes_left = Some(more);
    }

    /// From now on at most `more` bytes of the client are read: 0 is none, and it can still be
    /// written to.
    pub fn read_at_most(&mut self, more: usize) {
        self.link.valve.state().reads_left = Some(more);
    }
}

fn nobody() -> io::Error {
    io::Error::other("nobody waits for an answer")
}
