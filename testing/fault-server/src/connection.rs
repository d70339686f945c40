//! The server's side of one connection: the steps that a script is made of.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::messages::{Reply, Request, answer, frame};
use super::record::Record;

/// The length in front of a message.
const HEADER: usize = 4;

/// Over a socket, or over an in-memory pipe for scripts in paused time. Dropping it
/// closes the connection.
pub struct Connection<S = UnixStream> {
    /// How many connections the server had accepted before this one.
    pub number: usize,
    stream: S,
    inbox: BytesMut,
    record: Arc<Record>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Connection `number` over `stream`. What it reads is counted in `record`.
    pub fn new(number: usize, stream: S, record: Arc<Record>) -> Self {
        Self { number, stream, inbox: BytesMut::new(), record }
    }

    /// The next request; an `UnexpectedEof` once the client has closed. Dropped
    /// half-way it loses nothing: the next one goes on from there.
    pub async fn request(&mut self) -> io::Result<Request> {
        self.fill(HEADER).await?;
        let size = (&self.inbox[..HEADER]).get_u32() as usize;
        self.fill(HEADER + size).await?;
        self.inbox.advance(HEADER);
        let request = Request::read(&self.inbox.split_to(size));
        self.record.request(&request);
        Ok(request)
    }

    /// The next hook call. Questions about the configuration are answered on the way.
    pub async fn hook(&mut self) -> io::Result<Request> {
        loop {
            let request = self.request().await?;
            if matches!(request, Request::Hook(_)) {
                return Ok(request);
            }
            self.answer(&request).await?;
        }
    }

    /// The next bytes, however little or much of a request they are.
    pub async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.fill(count).await?;
        Ok(self.inbox.split_to(count).to_vec())
    }

    /// Takes at most `most` bytes from the socket, which the next requests are read
    /// from: a reader that is slower than its client writes.
    pub async fn sip(&mut self, most: usize) -> io::Result<()> {
        let mut limited = (&mut self.stream).take(most as u64);
        match limited.read_buf(&mut self.inbox).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn fill(&mut self, size: usize) -> io::Result<()> {
        while self.inbox.len() < size {
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Answers as a plugin would that allows everything and changes nothing.
    pub async fn answer(&mut self, request: &Request) -> io::Result<()> {
        self.raw(&frame(&answer(request))).await
    }

    /// Sends a reply to a hook call, fitting or not.
    pub async fn reply(&mut self, reply: Reply) -> io::Result<()> {
        self.raw(&reply.frame()).await
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Answers one request after the other until the client closes.
    pub async fn serve(&mut self) -> io::Result<()> {
        loop {
            let request = self.request().await?;
            self.answer(&request).await?;
        }
    }

    /// Says that nothing more will come, and stays open for reading.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads, and throws away, what comes until the client closes.
    pub async fn client_closed(&mut self) -> io::Result<()> {
        loop {
            self.inbox.clear();
            self.fill(1).await?;
        }
    }

    /// Stays open, and neither reads nor writes any more.
    pub async fn stall(self) -> io::Result<()> {
        std::future::pending().await
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.record.ended();
    }
}
