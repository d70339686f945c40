//! The client's end of a socket as a plain value: a script in, who got which
//! reply and how it ended out.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::unix::closed::Closed;
use crate::unix::connect::Transport;
use crate::unix::message::{Method, Origin, Reply, Request, Responder};
use crate::unix::slot::Traffic;
use crate::unix::socket::{Delivery, Reading, Socket};

/// What happens to a socket.
#[derive(Debug, Clone)]
pub struct Script {
    pub max_frame_len: usize,
    /// The size of each request, and whether its caller has left.
    pub requests: Vec<(usize, bool)>,
    /// How many bytes of the requests leave.
    pub written: usize,
    /// What is there at once. A read takes as much of it as it has room for.
    pub reads: VecDeque<Vec<u8>>,
    /// Whether the server closes the socket after that.
    pub eof: bool,
    /// How many replies are delivered in one turn.
    pub share: NonZeroUsize,
}

/// How far a socket came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It waits for more.
    Waiting,
    Eof,
    Framing,
    Unasked,
}

/// What came of a script.
#[derive(Debug, PartialEq, Eq)]
pub struct Played {
    /// The reply that each caller got.
    pub replies: Vec<Option<Vec<u8>>>,
    pub ended: Ended,
}

/// Plays the script; also, how many bytes each read took.
#[must_use]
pub fn play(script: Script) -> (Played, Vec<usize>) {
    let Script { max_frame_len, requests, written, reads, eof, share } = script;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let scripted = Scripted { reads, taken: Arc::clone(&taken), eof, room: written };
    let mut socket = Socket::new(scripted, max_frame_len);
    let mut cx = Context::from_waker(Waker::noop());
    let traffic = Traffic::default();
    let deadline = Instant::now();
    let mut callers = Vec::new();
    for (size, has_left) in requests {
        let (responder, answer) = Responder::new();
        let frame = vec![0; size.max(1)];
        let method = Method::InvokeHook;
        socket.send(Request { method, frame, deadline, responder }, deadline);
        callers.push((!has_left).then_some(answer));
    }
    while let Poll::Ready(Ok(())) = socket.poll_write(&mut cx, &traffic) {}
    let ended = loop {
        let deliver = |Delivery { responder, message, .. }: Delivery| {
            if let Some(responder) = responder {
                let origin = Origin { slot: 0, socket: 1 };
                responder.reply(Reply { message, origin, arrived: deadline });
            }
        };
        let outcome = socket.poll_read(&mut cx, &traffic, share.get(), Reading::AsTold, deliver);
        match outcome {
            Poll::Ready(Ok(())) => {}
            Poll::Pending => break Ended::Waiting,
            Poll::Ready(Err(Closed::Eof)) => break Ended::Eof,
            Poll::Ready(Err(Closed::Unasked)) => break Ended::Unasked,
            Poll::Ready(Err(_)) => break Ended::Framing,
        }
    };
    let replies = callers.into_iter().map(|answer| {
        let reply = answer?.try_recv().ok()?.ok()?;
        Some(reply.message.to_vec())
    });
    let played = Played { replies: replies.collect(), ended };
    let taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
    (played, taken)
}

/// The server's end.
struct Scripted {
    reads: VecDeque<Vec<u8>>,
    taken: Arc<Mutex<Vec<usize>>>,
    eof: bool,
    /// What the kernel still takes.
    room: usize,
}

impl Transport for Scripted {}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.reads.pop_front() {
            Some(mut read) => {
                let rest = read.split_off(read.len().min(buffer.remaining()));
                buffer.put_slice(&read);
                self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(read.len());
                if !rest.is_empty() {
                    self.reads.push_front(rest);
                }
            }
            None if self.eof => {}
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        if taken > 0 { Poll::Ready(Ok(taken)) } else { Poll::Pending }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
