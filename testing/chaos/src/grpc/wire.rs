//! The bytes of one connection, as a faulty way to a server has them: held back, lost, or cut
//! anywhere.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Free,
    /// Nothing is read: the client can write until everything between is full.
    Unread,
    /// Nothing is read and nothing written.
    Still,
    /// What the client sends is lost, and what the server sends too. Both believe that it went.
    Lost,
}

/// Changes the flow of a connection from outside.
pub(crate) struct Valve(Mutex<State>);

struct State {
    flow: Flow,
    /// So many bytes come yet, and go, and then the connection is cut.
    left: [usize; 2],
    wakers: [Option<Waker>; 2],
    /// Frames of our own, to be written between two of the server's.
    aside: Vec<u8>,
    /// Bytes that become others on their way, once.
    instead: Option<([u8; SETTING], [u8; SETTING])>,
}

/// No more is read at a time.
const PIECE: usize = 16 * 1024;

/// A frame of SETTINGS with one of them.
pub(crate) const SETTING: usize = 15;

const READ: usize = 0;
const WRITE: usize = 1;

impl Valve {
    pub(crate) fn new(flow: Flow) -> Arc<Self> {
        let state = State {
            flow,
            left: [usize::MAX; 2],
            wakers: [None, None],
            aside: Vec::new(),
            instead: None,
        };
        Arc::new(Self(Mutex::new(state)))
    }

    pub(crate) fn set(&self, flow: Flow) {
        self.lock().flow = flow;
        self.wake();
    }

    /// Writes a frame that the server knows nothing of, after what it writes next.
    pub(crate) fn write_aside(&self, frame: &[u8]) {
        self.lock().aside.extend_from_slice(frame);
        self.wake();
    }

    /// Writes one frame of the server as another.
    pub(crate) fn write_instead(&self, of: [u8; SETTING], other: [u8; SETTING]) {
        self.lock().instead = Some((of, other));
    }

    /// These bytes as they are to be written, if that is otherwise.
    fn other(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let (of, other) = state.instead?;
        let at = bytes.windows(SETTING).position(|bytes| bytes == of)?;
        state.instead = None;
        Some([&bytes[..at], &other[..], &bytes[at + SETTING..]].concat())
    }

    /// Cuts the connection once so many bytes more have come.
    pub(crate) fn cut_when_read(&self, count: usize) {
        self.lock().left[READ] = count;
        self.wake();
    }

    /// Cuts the connection once so many bytes more have gone.
    pub(crate) fn cut_when_written(&self, count: usize) {
        self.lock().left[WRITE] = count;
        self.wake();
    }

    fn wake(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// What may happen in this direction now, and how many bytes of it.
    fn poll(&self, direction: usize, cx: &Context<'_>) -> Poll<io::Result<(Flow, usize)>> {
        let mut state = self.lock();
        state.wakers[direction] = Some(cx.waker().clone());
        if state.left.contains(&0) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match (state.flow, direction) {
            (Flow::Still, _) | (Flow::Unread, READ) => Poll::Pending,
            (flow, _) => Poll::Ready(Ok((flow, state.left[direction]))),
        }
    }

    fn passed(&self, direction: usize, count: usize) {
        let mut state = self.lock();
        let left = &mut state.left[direction];
        if *left == usize::MAX {
            return;
        }
        *left = left.saturating_sub(count);
        let is_cut = *left == 0;
        drop(state);
        if is_cut {
            self.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's bytes, behind a valve.
pub(crate) struct Wire {
    stream: TcpStream,
    valve: Arc<Valve>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, valve: Arc<Valve>) -> Self {
        Self { stream, valve }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let (flow, most) = ready!(self.valve.poll(READ, cx))?;
            let most = most.min(buffer.remaining()).min(PIECE);
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece[..most]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            let count = piece.filled().len();
            if flow == Flow::Lost && count > 0 {
                continue;
            }
            buffer.put_slice(piece.filled());
            self.valve.passed(READ, count);
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (flow, most) = ready!(self.valve.poll(WRITE, cx))?;
        if flow == Flow::Lost {
            return Poll::Ready(Ok(bytes.len()));
        }
        let most = most.min(bytes.len());
        let other = self.valve.other(bytes);
        let bytes = other.as_deref().unwrap_or(bytes);
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]))?;
        self.valve.passed(WRITE, count);
        Poll::Ready(Ok(count))
    }

    /// HTTP/2 flushes where it has written whole frames.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let aside = std::mem::take(&mut self.valve.lock().aside);
            if aside.is_empty() {
                break;
            }
            let written = self.as_mut().poll_write(cx, &aside);
            let count = if let Poll::Ready(Ok(count)) = written { count } else { 0 };
            self.valve.lock().aside.splice(..0, aside[count..].iter().copied());
            ready!(written)?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
