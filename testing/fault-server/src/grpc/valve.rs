//! The bytes of one HTTP/2 connection, which can be held up and added to.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a valve lets through, and what it has.
#[derive(Default)]
pub(super) struct State {
    /// How many more bytes are read; `None`: all.
    pub(super) reads_left: Option<usize>,
    /// How many more bytes are written; `None`: all.
    pub(super) writes_left: Option<usize>,
    /// Frames that h2 knows nothing of, to be written before its next one.
    pub(super) aside: Vec<u8>,
    /// The client has to read before anything else can be written.
    pub(super) is_full: bool,
}

/// Its two ends are the same valve. A change takes effect when the connection is next polled,
/// which is what every step does.
#[derive(Clone, Default)]
pub(super) struct Valve(Arc<Mutex<State>>);

impl Valve {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is locked")
    }

    pub(super) fn around<S>(&self, stream: S) -> Valved<S> {
        Valved { stream, valve: self.clone() }
    }
}

/// A stream behind a valve.
pub(super) struct Valved<S> {
    stream: S,
    valve: Valve,
}

impl<S: AsyncWrite + Unpin> Valved<S> {
    /// Writes at most what may be written of `bytes`.
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.valve.state();
        let most = bytes.len().min(state.writes_left.unwrap_or(usize::MAX));
        if most == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]);
        state.is_full = written.is_pending();
        let written = ready!(written)?;
        if let Some(left) = &mut state.writes_left {
            *left -= written;
        }
        Poll::Ready(Ok(written))
    }

    /// Writes what h2 knows nothing of.
    fn write_aside(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let aside = std::mem::take(&mut self.valve.state().aside);
            if aside.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = self.write(cx, &aside);
            let done = if let Poll::Ready(Ok(written)) = &written { *written } else { 0 };
            self.valve.state().aside = aside[done..].to_vec();
            ready!(written)?;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Valved<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buf.remaining().min(self.valve.state().reads_left.unwrap_or(usize::MAX));
        if most == 0 {
            return Poll::Pending;
        }
        let mut part = vec![0; most];
        let mut part = ReadBuf::new(&mut part);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        let mut state = self.valve.state();
        if let Some(left) = &mut state.reads_left {
            *left -= part.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Valved<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_aside(cx))?;
        self.write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_aside(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
