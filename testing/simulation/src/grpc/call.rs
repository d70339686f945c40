//! One call as it is on its stream: its request is read, and it is answered with a body, a status,
//! or what is neither.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::time::sleep;

use super::line::Line;
use super::tap::End;
use crate::event::{self, Event, Kind};
use crate::mood::Fault;

/// A flag, and the length of the message in four bytes.
const PREFIX: usize = 5;

pub(super) const OK: u32 = 0;

/// How a body ends.
pub(super) enum Ending {
    Status(u32),
    Silence,
    Reset(Reason),
}

pub struct Call {
    pub(super) line: Arc<Line>,
    body: RecvStream,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) rng: fastrand::Rng,
}

/// The client has left.
pub(super) struct Left;

impl Call {
    pub fn new(
        line: Arc<Line>,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        rng: fastrand::Rng,
    ) -> Self {
        Self { line, body, respond, rng }
    }

    pub(super) fn fault(&mut self, candidates: &[Fault]) -> Option<Fault> {
        self.line.fault(&mut self.rng, candidates)
    }

    /// The message of the request.
    pub(super) async fn read(&mut self) -> Result<Bytes, Left> {
        let mut bytes = BytesMut::new();
        while let Some(data) = self.body.data().await {
            let data = data.map_err(|_| Left)?;
            // Of a stream that is over, nothing is waited for.
            let _ = self.body.flow_control().release_capacity(data.len());
            bytes.extend_from_slice(&data);
        }
        if bytes.len() < PREFIX { Err(Left) } else { Ok(bytes.freeze().split_off(PREFIX)) }
    }

    /// Waits so many milliseconds, unless everything that hangs is released.
    pub(super) async fn pause(&mut self, least: u64, most: u64) -> Result<(), Left> {
        let pause = Duration::from_millis(self.rng.u64(least..=most));
        let (respond, released) = (&mut self.respond, &self.line.world.released);
        tokio::select! {
            biased;
            _ = poll_fn(|cx| respond.poll_reset(cx)) => Err(Left),
            () = released.beyond(released.count()) => Ok(()),
            () = sleep(pause) => Ok(()),
        }
    }

    /// Waits for very long, or until the client has had enough.
    pub(super) async fn hang(&mut self) -> Result<(), Left> {
        if self.rng.bool() {
            return self.pause(60_000, 86_400_000).await;
        }
        let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
        Err(Left)
    }

    /// The right reply to a hook.
    pub(super) async fn reply(
        &mut self,
        call: event::Call,
        bytes: &[u8],
        fault: Option<Fault>,
    ) -> Result<(), Left> {
        let events = vec![Event::Replied { conn: self.line.conn, call, kind: Kind::Hook }];
        let end = End { events, closes: fault == Some(Fault::Close) };
        self.send(framed(bytes), Ending::Status(OK), end).await;
        Ok(())
    }

    /// Something else in its place.
    pub(super) async fn misanswer(&mut self, call: event::Call, bytes: &[u8]) -> Result<(), Left> {
        let events = vec![Event::Misanswered { conn: self.line.conn, call }];
        self.send(framed(bytes), Ending::Status(OK), End { events, closes: false }).await;
        Ok(())
    }

    /// Nothing but a status.
    pub(super) fn decline(&mut self, code: u32, events: Vec<Event>) {
        let mut head = head();
        head.headers_mut().extend(status(code));
        self.line.ends.expect(self.respond.stream_id().into(), End { events, closes: false });
        let _ = self.respond.send_response(head, true);
    }

    /// A body, whose end is heard of when it is in the kernel.
    pub(super) async fn send(&mut self, mut rest: Bytes, ending: Ending, end: End) {
        let trickles = self.fault(&[Fault::Trickle]).is_some();
        let Ok(mut body) = self.respond.send_response(head(), false) else { return };
        self.line.ends.expect(self.respond.stream_id().into(), end);
        while !rest.is_empty() {
            let size = if trickles { self.rng.usize(1..=rest.len()) } else { rest.len() };
            let piece = rest.split_to(size);
            let is_end = rest.is_empty() && matches!(ending, Ending::Silence);
            if body.send_data(piece, is_end).is_err() {
                return;
            }
            if !rest.is_empty() && self.rest_between(&mut body).await.is_err() {
                return;
            }
        }
        match ending {
            // It may have left.
            Ending::Status(code) => drop(body.send_trailers(status(code))),
            Ending::Silence => {}
            Ending::Reset(reason) => body.send_reset(reason),
        }
    }

    async fn rest_between(&mut self, body: &mut SendStream<Bytes>) -> Result<(), Left> {
        let pause = Duration::from_millis(self.rng.u64(0..=60));
        let released = &self.line.world.released;
        tokio::select! {
            biased;
            _ = poll_fn(|cx| body.poll_reset(cx)) => Err(Left),
            () = released.beyond(released.count()) => Ok(()),
            () = sleep(pause) => Ok(()),
        }
    }

    /// A page in the place of a reply, or around it.
    pub(super) fn answer_as_a_proxy(&mut self, whole: Bytes, end: End) {
        let mut head = Response::new(());
        let kinds = ["text/html", "application/grpcx"];
        let kind = HeaderValue::from_static(kinds[self.rng.usize(0..2)]);
        head.headers_mut().insert("content-type", kind);
        if self.rng.bool() {
            *head.status_mut() = StatusCode::BAD_GATEWAY;
        }
        let Ok(mut body) = self.respond.send_response(head, false) else { return };
        self.line.ends.expect(self.respond.stream_id().into(), end);
        let _ = body.send_data(whole, true);
    }
}

pub(super) fn framed(frame: &[u8]) -> Bytes {
    [&[0], frame].concat().into()
}

fn head() -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    head
}

fn status(code: u32) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    trailers
}
