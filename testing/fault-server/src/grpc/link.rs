//! One HTTP/2 connection as a value that is polled by its script's steps and by nothing else:
//! between two steps the server neither reads nor writes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::valve::{Valve, Valved};
use super::{Health, Settings};
use crate::record::Record;

/// SERVING, as a gRPC message.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

pub(super) const CHECK: &str = "/cpex.Health/Check";

pub(super) type Stream = (Request<RecvStream>, SendResponse<Bytes>);

pub(super) struct Link<S> {
    pub(super) connection: h2::server::Connection<Valved<S>, Bytes>,
    pub(super) valve: Valve,
    settings: Arc<Mutex<Settings>>,
    record: Arc<Record>,
    /// Calls that have begun and were not read yet.
    arrived: VecDeque<Stream>,
    /// Checks that nobody will answer; dropped, they would be reset.
    ignored: Vec<SendResponse<Bytes>>,
    is_checked: bool,
    /// The client has closed, or this side has and all is said.
    is_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(super) async fn accept(
        stream: S,
        settings: Arc<Mutex<Settings>>,
        record: Arc<Record>,
    ) -> io::Result<Self> {
        let mut builder = h2::server::Builder::new();
        if let Some(streams) = lock(&settings).max_streams {
            builder.max_concurrent_streams(streams);
        }
        let valve = Valve::default();
        let connection = builder.handshake(valve.around(stream)).await.map_err(into_io)?;
        let mut link = Self {
            connection,
            valve,
            settings,
            record,
            arrived: VecDeque::new(),
            ignored: Vec::new(),
            is_checked: false,
            is_closed: false,
        };
        // A client that asks whether anybody is there makes no call before it knows.
        poll_fn(|cx| {
            link.poll(cx)?;
            let begun = link.is_checked || !link.arrived.is_empty() || link.is_closed;
            if begun { Poll::Ready(io::Result::Ok(())) } else { Poll::Pending }
        })
        .await?;
        link.settled().await?;
        Ok(link)
    }

    /// Reads and writes what can be, and answers checks on the way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.is_closed {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok(stream))) => self.take(stream),
                Poll::Ready(Some(Err(error))) => return Err(into_io(error)),
                Poll::Ready(None) => self.is_closed = true,
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, (request, mut respond): Stream) {
        if request.uri().path() != CHECK {
            return self.arrived.push_back((request, respond));
        }
        self.is_checked = true;
        self.record.check();
        let health = lock(&self.settings).health;
        // Of clients that have left meanwhile.
        let _ = match health {
            Health::Serving => respond.send_response(head(), false).and_then(|mut body| {
                body.send_data(Bytes::from_static(SERVING), false)?;
                body.send_trailers(status(0, ""))
            }),
            Health::Status(code) => {
                let mut head = head();
                head.headers_mut().extend(status(code, "as the script says"));
                respond.send_response(head, true).map(drop)
            }
            Health::Reset(reason) => {
                respond.send_reset(Reason::from(reason));
                Ok(())
            }
            Health::Silent => {
                self.ignored.push(respond);
                Ok(())
            }
        };
    }

    /// The next call, from its head on; nothing once the client has closed.
    pub(super) fn poll_arrived(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        self.poll(cx)?;
        match self.arrived.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None if self.is_closed => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            None => Poll::Pending,
        }
    }

    /// Fails once nobody is on the other side any more.
    pub(super) fn check_open(&self) -> io::Result<()> {
        if self.is_closed { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    /// Waits until all that was said is on its way, as far as the client and the valve let it.
    pub(super) async fn settled(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            self.poll(cx)?;
            let is_full = self.valve.state().is_full && !self.is_closed;
            if is_full { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    }
}

/// Those of every reply.
pub(super) fn head() -> Response<()> {
    let mut head = Response::new(());
    let kind = http::HeaderValue::from_static("application/grpc");
    head.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    head
}

/// How a call ended, as trailers.
pub(super) fn status(code: u32, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    if !message.is_empty() {
        let message = message.parse().expect("words of plain ASCII");
        trailers.insert("grpc-message", message);
    }
    trailers
}

pub(crate) fn lock(settings: &Mutex<Settings>) -> std::sync::MutexGuard<'_, Settings> {
    settings.lock().expect("nothing panics while it is locked")
}

pub(super) fn into_io(error: h2::Error) -> io::Error {
    if error.is_io() { error.into_io().expect("it is one") } else { io::Error::other(error) }
}
