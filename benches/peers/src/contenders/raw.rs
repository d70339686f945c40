//! The upper bound: a task that moves frames over a socket and does nothing else.
//!
//! It has what any client over one socket has (a queue, replies matched by their
//! order, batches), and nothing of what makes a client safe to use: no protobuf,
//! no deadlines, no reconnects, no checks, no limits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};
use tokio_util::io::poll_read_buf;

use crate::load::Call;

const BATCH: usize = 256;
const BUFFER: usize = 64 * 1024;

type Request = (Bytes, oneshot::Sender<Bytes>);

/// A caller of the raw task.
#[derive(Clone)]
pub struct Raw {
    queue: mpsc::Sender<Request>,
    message: Bytes,
}

impl Raw {
    /// Connects and starts the task; `message` is what every call sends. A task
    /// that `gathers` lets those who just got a reply call again before it writes.
    pub async fn connect(socket: &Path, message: Bytes, gathers: bool) -> io::Result<Self> {
        let (queue, requests) = mpsc::channel(16_384);
        let mut task = Task {
            socket: UnixStream::connect(socket).await?,
            gathers,
            codec: LengthDelimitedCodec::new(),
            requests,
            taken: Vec::with_capacity(BATCH),
            waiting: VecDeque::new(),
            inbox: BytesMut::with_capacity(BUFFER),
            outbox: BytesMut::with_capacity(BUFFER),
        };
        tokio::spawn(async move { poll_fn(|cx| task.poll(cx)).await });
        Ok(Self { queue, message })
    }
}

impl Call for Raw {
    async fn call(&mut self) {
        let (sender, reply) = oneshot::channel();
        self.queue.send((self.message.clone(), sender)).await.expect("the task runs");
        black_box(reply.await.expect("the server answers"));
    }
}

struct Task {
    socket: UnixStream,
    gathers: bool,
    codec: LengthDelimitedCodec,
    requests: mpsc::Receiver<Request>,
    taken: Vec<Request>,
    waiting: VecDeque<oneshot::Sender<Bytes>>,
    inbox: BytesMut,
    outbox: BytesMut,
}

impl Task {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let delivered = ready_or(self.poll_read(cx), 0)?;
        while let Poll::Ready(count) = self.requests.poll_recv_many(cx, &mut self.taken, BATCH) {
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            for (message, sender) in self.taken.drain(..) {
                self.codec.encode(message, &mut self.outbox)?;
                self.waiting.push_back(sender);
            }
        }
        // One round of the scheduler.
        if self.gathers && delivered > 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while !self.outbox.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outbox))?;
            self.outbox.advance(written);
        }
        Poll::Pending
    }

    /// Reads all that is there and hands it out: how many replies.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut delivered = 0;
        loop {
            // In one large step, as replies still held by callers keep the old buffer.
            if self.inbox.capacity() - self.inbox.len() < BUFFER / 4 {
                self.inbox.reserve(BUFFER);
            }
            match poll_read_buf(Pin::new(&mut self.socket), cx, &mut self.inbox) {
                Poll::Pending if delivered > 0 => return Poll::Ready(Ok(delivered)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(_)) => {}
                other => return other,
            }
            while let Some(message) = self.codec.decode(&mut self.inbox)? {
                delivered += 1;
                if let Some(sender) = self.waiting.pop_front() {
                    // Fails only if that caller has left.
                    let _ = sender.send(message.freeze());
                }
            }
        }
    }
}

fn ready_or<T>(poll: Poll<io::Result<T>>, default: T) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(default),
    }
}
