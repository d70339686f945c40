//! The client's end of a socket as a plain value: a script in, who got which
//! reply and how it ended out.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::connection::gauge::Traffic;
use crate::connection::message::{Freedom, Reply, Request, Responder};
use crate::connection::socket::{End, Socket};

/// What happens to a socket.
#[derive(Debug, Default)]
pub struct Script {
    pub max_frame_len: usize,
    /// The size of each request, and whether its caller has left.
    pub requests: Vec<(usize, bool)>,
    /// How many bytes of the requests leave.
    pub written: usize,
    /// What each read brings; 4096 bytes at most.
    pub reads: VecDeque<Vec<u8>>,
    /// Whether the server closes the socket after that.
    pub eof: bool,
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

/// Plays the script: the reply that each caller got.
#[must_use]
pub fn play(script: Script) -> (Vec<Option<Vec<u8>>>, Ended) {
    let Script { max_frame_len, requests, written, reads, eof } = script;
    let mut socket = Socket::new(Scripted { reads, eof, room: written }, 1, max_frame_len);
    let mut cx = Context::from_waker(Waker::noop());
    let traffic = Traffic::default();
    let deadline = Instant::now();
    let mut callers = Vec::new();
    for (size, has_left) in requests {
        let (responder, answer) = Responder::new();
        let frame = vec![0; size.max(1)];
        socket.send(Request { frame, deadline, freedom: Freedom::Stay, responder });
        callers.push((!has_left).then_some(answer));
    }
    while let Poll::Ready(Ok(())) = socket.poll_write(&mut cx, &traffic) {}
    let ended = loop {
        let outcome = socket.poll_read(&mut cx, &traffic, |(responder, message)| {
            if let Some(responder) = responder {
                responder.reply(Reply { message, socket: 1 });
            }
        });
        match outcome {
            Poll::Ready(Ok(())) => {}
            Poll::Pending => break Ended::Waiting,
            Poll::Ready(Err(End::Eof)) => break Ended::Eof,
            Poll::Ready(Err(End::Framing(_) | End::Io(_))) => break Ended::Framing,
            Poll::Ready(Err(End::Unasked)) => break Ended::Unasked,
        }
    };
    let replies = callers.into_iter().map(|answer| {
        let reply = answer?.try_recv().ok()?.ok()?;
        Some(reply.message.to_vec())
    });
    (replies.collect(), ended)
}

/// The server's end.
struct Scripted {
    reads: VecDeque<Vec<u8>>,
    eof: bool,
    /// What the kernel still takes.
    room: usize,
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.reads.pop_front() {
            Some(read) => buffer.put_slice(&read),
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
