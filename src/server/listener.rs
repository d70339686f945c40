//! Accepts connections, and owns their tasks.

use std::io;
use std::iter;
use std::mem;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::PluginService;
use super::socket_file::BACKLOG;
use crate::nosignal::NoSignal;
use crate::trust::Peers;

/// How long not to accept after a failure such as too many open files: trying
/// again at once would fail again, and keep a core busy.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// No more than one line about refused clients in this time: whoever may connect may do
/// so over and over.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How far the server is with its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Run {
    Serve,
    /// Answer what was received.
    Drain,
    /// Cancel them.
    Stop,
}

impl Run {
    /// Waits until the server is so far, or its handle is gone.
    pub(super) async fn reaches(self, run: &mut watch::Receiver<Run>) {
        drop(run.wait_for(|run| *run >= self).await);
    }
}

/// Where connections come from; tests make their own.
pub(super) trait Accept: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The connections that wait to be accepted; no more are taken.
    fn finish(self) -> impl Iterator<Item = Self::Stream> + Send;

    /// What has come on a stream, whether its runtime has noticed or not.
    fn received(stream: &Self::Stream, input: &mut BytesMut) -> io::Result<()>;
}

/// A socket that serves only some of those who can connect to it.
#[derive(Debug)]
pub(super) struct Guarded {
    listener: UnixListener,
    guard: Guard,
}

impl Guarded {
    pub(super) fn new(listener: UnixListener, peers: Peers) -> Self {
        Self { listener, guard: Guard { peers, refusals: Refusals::default() } }
    }
}

/// Tells those who may be served from others, and the log of these.
#[derive(Debug)]
struct Guard {
    peers: Peers,
    refusals: Refusals,
}

impl Guard {
    fn admits(&mut self, stream: &UnixStream) -> bool {
        let Err(error) = self.peers.check(stream) else { return true };
        if let Some(untold) = self.refusals.count(Instant::now()) {
            let local = stream.local_addr().ok();
            let socket = local.as_ref().and_then(|local| local.as_pathname());
            tracing::warn!(?socket, %error, untold, "a client was refused");
        }
        false
    }
}

/// The clients that were refused, and which of them are worth a line in the log.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    /// Counts one. Where it is to be told: how many were not since the last that was.
    pub(super) fn count(&mut self, now: Instant) -> Option<u64> {
        if self.told.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(mem::take(&mut self.untold))
    }
}

impl Accept for Guarded {
    type Stream = NoSignal;

    /// The next client that may be served; others are closed before a byte is read.
    async fn accept(&mut self) -> io::Result<NoSignal> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if self.guard.admits(&stream) {
                return Ok(NoSignal::new(stream));
            }
        }
    }

    fn finish(self) -> impl Iterator<Item = NoSignal> + Send {
        let Self { listener, mut guard } = self;
        // It does not block, and stays so.
        let listener = listener.into_std().ok();
        let waiting = iter::from_fn(move || listener.as_ref()?.accept().ok());
        waiting.take(BACKLOG as usize).filter_map(move |(stream, _)| {
            stream.set_nonblocking(true).ok()?;
            let stream = UnixStream::from_std(stream).ok()?;
            guard.admits(&stream).then(|| NoSignal::new(stream))
        })
    }

    fn received(stream: &NoSignal, input: &mut BytesMut) -> io::Result<()> {
        stream.received(input)
    }
}

/// Serves until told otherwise. When it returns, every connection is closed.
pub(super) async fn run<A: Accept>(
    mut listener: A,
    service: PluginService,
    run: watch::Receiver<Run>,
) {
    let mut told = run.clone();
    let mut connections = JoinSet::new();
    let serve = |stream| {
        let (service, run) = (service.clone(), run.clone());
        async move { service.serve_until(stream, run, A::received).await }
    };
    loop {
        tokio::select! {
            () = Run::Drain.reaches(&mut told) => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    connections.spawn(serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    for stream in listener.finish() {
        connections.spawn(serve(stream));
    }
    tokio::select! {
        () = Run::Stop.reaches(&mut told) => {}
        () = async { while connections.join_next().await.is_some() {} } => {}
    }
    connections.shutdown().await;
}
