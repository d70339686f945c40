//! A server over in-memory pipes that does what it is told.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::unix::connect::{Connect, Connecting, Transport};

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(super) enum Do {
    /// The request comes back.
    Echo,
    /// Nothing, until the stream is reset.
    Stall,
    Reset(Reason),
    /// The status of these headers alone.
    Status(u32, &'static str),
    /// A message, and then this status.
    Late(u32),
    Http(u16),
    ContentType(&'static str),
    /// These bytes, and an OK.
    Raw(Vec<u8>),
    /// A message in pieces of one byte.
    Pieces,
    /// The same without an end, one in a second.
    Trickle,
    /// A message, and no trailers.
    NoTrailers,
}

/// What a server saw.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Call { path: String, timeout: String },
    Reset(Reason),
}

/// Whether a server is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mode {
    Up,
    /// Nobody listens; what was open is closed.
    Down,
    /// It is connected to, and says nothing any more.
    Frozen,
    /// It takes no new calls, finishes those under way, and closes.
    GoAway,
}

pub(super) struct Inner {
    script: Mutex<VecDeque<Do>>,
    otherwise: Mutex<Do>,
    check: Mutex<Do>,
    mode: watch::Sender<Mode>,
    max_streams: Mutex<u32>,
    refuse: Mutex<Option<(io::ErrorKind, &'static str)>>,
    seen: mpsc::UnboundedSender<Seen>,
    pub(super) connects: std::sync::atomic::AtomicUsize,
    pub(super) checks: std::sync::atomic::AtomicUsize,
    runtime: OnceLock<Handle>,
}

pub(super) struct Fake {
    pub(super) inner: Arc<Inner>,
    pub(super) seen: mpsc::UnboundedReceiver<Seen>,
}

impl Fake {
    pub(super) fn new() -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let inner = Inner {
            script: Mutex::default(),
            otherwise: Mutex::new(Do::Echo),
            check: Mutex::new(Do::Raw(vec![0, 0, 0, 0, 2, 8, 1])),
            mode: watch::Sender::new(Mode::Up),
            max_streams: Mutex::new(1000),
            refuse: Mutex::default(),
            seen: sender,
            connects: Default::default(),
            checks: Default::default(),
            runtime: OnceLock::new(),
        };
        Self { inner: Arc::new(inner), seen }
    }

    /// What becomes of all calls from now on.
    pub(super) fn does(&self, what: Do) {
        *self.inner.otherwise.lock().unwrap() = what;
    }

    /// What becomes of the next call, or of the one after those.
    pub(super) fn next(&self, what: Do) {
        self.inner.script.lock().unwrap().push_back(what);
    }

    pub(super) fn checks(&self, what: Do) {
        *self.inner.check.lock().unwrap() = what;
    }

    pub(super) fn is(&self, mode: Mode) {
        self.inner.mode.send_replace(mode);
    }

    pub(super) fn max_streams(&self, streams: u32) {
        *self.inner.max_streams.lock().unwrap() = streams;
    }

    /// It is a process of its own, and not where its clients are.
    pub(super) fn runs_on(&self, runtime: Handle) {
        self.inner.runtime.set(runtime).unwrap();
    }

    /// Connecting fails with this.
    pub(super) fn refuses(&self, kind: io::ErrorKind, words: &'static str) {
        *self.inner.refuse.lock().unwrap() = Some((kind, words));
    }

    pub(super) fn connects(&self) -> usize {
        self.inner.connects.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The path of the next call.
    pub(super) async fn called(&mut self) -> String {
        match self.seen.recv().await.unwrap() {
            Seen::Call { path, .. } => path,
            other => panic!("{other:?}"),
        }
    }

    /// How many calls have come since it was last asked.
    pub(super) fn calls(&mut self) -> usize {
        let seen = std::iter::from_fn(|| self.seen.try_recv().ok());
        seen.filter(|seen| matches!(seen, Seen::Call { .. })).count()
    }
}

pub(super) struct Connector(pub(super) Arc<Inner>);

impl Connect for Connector {
    fn connect(&self) -> Connecting {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            inner.connects.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if let Some((kind, words)) = *inner.refuse.lock().unwrap() {
                return Err(io::Error::new(kind, words));
            }
            if *inner.mode.borrow() == Mode::Down {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (client, server) = tokio::io::duplex(1 << 16);
            let runtime = inner.runtime.get().cloned();
            runtime.unwrap_or_else(Handle::current).spawn(serve(server, inner));
            Ok(Box::new(client) as Box<dyn Transport>)
        })
    }
}

async fn serve(io: DuplexStream, inner: Arc<Inner>) {
    let mut mode = inner.mode.subscribe();
    if *mode.borrow_and_update() == Mode::GoAway {
        // That was the last connection.
        inner.mode.send_replace(Mode::Up);
        mode.mark_unchanged();
    }
    while *mode.borrow_and_update() == Mode::Frozen {
        if mode.changed().await.is_err() {
            return;
        }
    }
    let max_streams = *inner.max_streams.lock().unwrap();
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(max_streams);
    let handshake = builder.handshake::<_, Bytes>(io);
    let mut connection = tokio::select! {
        biased;
        () = becomes(&inner, Mode::Down) => return,
        connection = handshake => match connection {
            Ok(connection) => connection,
            Err(_) => return,
        },
    };
    loop {
        let now = *mode.borrow();
        match now {
            Mode::Down => return,
            Mode::Frozen => {
                if mode.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Mode::GoAway => connection.graceful_shutdown(),
            Mode::Up => {}
        }
        tokio::select! {
            biased;
            changed = mode.changed() => if changed.is_err() { return },
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(request, respond, Arc::clone(&inner)));
                }
                _ => return,
            },
        }
    }
}

async fn becomes(inner: &Inner, expected: Mode) {
    let mut mode = inner.mode.subscribe();
    drop(mode.wait_for(|mode| *mode == expected).await);
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, inner: Arc<Inner>) {
    let path = request.uri().path().to_owned();
    let what = if path == "/cpex.Health/Check" {
        inner.checks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        inner.check.lock().unwrap().clone()
    } else {
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
        let timeout = request.headers()["grpc-timeout"].to_str().unwrap().to_owned();
        let _ = inner.seen.send(Seen::Call { path, timeout });
        let next = inner.script.lock().unwrap().pop_front();
        next.unwrap_or_else(|| inner.otherwise.lock().unwrap().clone())
    };
    if let Do::Reset(reason) = what {
        return respond.send_reset(reason);
    }
    let mut body = request.into_body();
    let mut message = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        message.extend_from_slice(&data);
    }
    let head = Response::builder().header("content-type", "application/grpc+proto");
    let status = |code: u32| HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.into())]);
    let (head, pieces, code) = match what {
        Do::Echo => (head, vec![message], Some(0)),
        Do::Late(code) => (head, vec![message], Some(code)),
        Do::Raw(bytes) => (head, vec![bytes], Some(0)),
        Do::Pieces => (head, message.into_iter().map(|byte| vec![byte]).collect(), Some(0)),
        Do::NoTrailers => (head, vec![message], None),
        Do::ContentType(kind) => {
            (Response::builder().header("content-type", kind), vec![message], Some(0))
        }
        Do::Http(code) => (Response::builder().status(code), vec![b"<html>".to_vec()], None),
        Do::Status(code, message) => {
            let head = head.header("grpc-status", code).header("grpc-message", message);
            let _ = respond.send_response(head.body(()).unwrap(), true);
            return;
        }
        Do::Stall => {
            if let Ok(reason) = std::future::poll_fn(|cx| respond.poll_reset(cx)).await {
                let _ = inner.seen.send(Seen::Reset(reason));
            }
            return;
        }
        Do::Trickle => {
            let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else {
                return;
            };
            let _ = stream.send_data(Bytes::from_static(&[0, 0, 0, 1, 0]), false);
            loop {
                tokio::select! {
                    Ok(reason) = std::future::poll_fn(|cx| stream.poll_reset(cx)) => {
                        let _ = inner.seen.send(Seen::Reset(reason));
                        return;
                    }
                    () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {
                        let _ = stream.send_data(Bytes::from_static(b"x"), false);
                    }
                }
            }
        }
        Do::Reset(_) => return,
    };
    let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else { return };
    let last = pieces.len() - 1;
    for (index, piece) in pieces.into_iter().enumerate() {
        let _ = stream.send_data(piece.into(), code.is_none() && index == last);
    }
    if let Some(code) = code {
        let _ = stream.send_trailers(status(code));
    }
}
