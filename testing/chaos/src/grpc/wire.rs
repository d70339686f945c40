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
}

/// No more is read at a time.
const PIECE: usize = 16 * 1024;

const READ: usize = 0;
const WRITE: usize = 1;

impl Valve {
    pub(crate) fn new(flow: Flow) -> Arc<Self> {
        let state = State { flow, left: [usize::MAX; 2], wakers: [None, None] };
        Arc::new(Self(Mutex::new(state)))
    }

    pub(crate) fn set(&self, flow: Flow) {
        self.lock().flow = flow;
        self.wake();
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
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]))?;
        self.valve.passed(WRITE, count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
