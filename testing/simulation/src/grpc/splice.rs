//! The server's end of a stream, with bytes between two frames of h2's that are not h2's.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use crate::stream::Far;

/// What is to be written in between. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Asides(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Asides {
    /// To be written as soon as a frame is over. The connection has to be polled after that.
    pub fn push(&self, bytes: Vec<u8>) {
        self.lock().push_back(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Spliced {
    far: Far,
    frames: Frames,
    asides: Asides,
    /// Of an aside that has begun.
    rest: Vec<u8>,
}

impl Spliced {
    pub fn new(far: Far, asides: Asides) -> Self {
        Self { far, frames: Frames::default(), asides, rest: Vec::new() }
    }

    fn poll_asides(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.rest.is_empty() {
                let next =
                    if self.frames.is_between() { self.asides.lock().pop_front() } else { None };
                let Some(next) = next else { return Poll::Ready(Ok(())) };
                self.rest = next;
            }
            let count = ready!(Pin::new(&mut self.far).poll_write(cx, &self.rest))?;
            self.rest.drain(..count);
        }
    }
}

impl AsyncRead for Spliced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.far).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Spliced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_asides(cx))?;
        let waits = !self.asides.lock().is_empty();
        let most = if waits { self.frames.until_end(bytes) } else { bytes.len() };
        let count = ready!(Pin::new(&mut self.far).poll_write(cx, &bytes[..most]))?;
        self.frames.push(&bytes[..count], |_, _, _| {});
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_asides(cx))?;
        Pin::new(&mut self.far).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.far).poll_shutdown(cx)
    }
}
