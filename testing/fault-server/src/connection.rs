//! The server's side of one connection: the steps that a script is made of.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

use super::grpc::{Grpc, Settings};
use super::messages::{Reply, Request, answer, frame};
use super::record::Record;

/// The length in front of a message.
const HEADER: usize = 4;

/// What a server's connections are made of.
pub type Stream = Either<UnixStream, TcpStream>;

/// Over a socket, or over an in-memory pipe for scripts in paused time. Dropping it
/// closes the connection.
///
/// Over gRPC the steps are the same: a frame goes to the oldest call that has no whole answer,
/// and whatever a script writes to somebody who has left is dropped. What gRPC alone has is in
/// [`grpc`](Self::grpc). Between two steps nothing is read, written or answered, on either.
pub struct Connection<S = Stream> {
    /// How many connections the server had accepted before this one.
    pub number: usize,
    wire: Wire<S>,
    record: Arc<Record>,
}

enum Wire<S> {
    Frames { stream: S, inbox: BytesMut },
    Grpc(Box<Grpc<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Connection `number` over `stream`. What it reads is counted in `record`.
    pub fn new(number: usize, stream: S, record: Arc<Record>) -> Self {
        Self { number, wire: Wire::Frames { stream, inbox: BytesMut::new() }, record }
    }

    /// As [`new`](Self::new) for one of gRPC; an error if the client gives up before it has
    /// agreed on HTTP/2 and was told that somebody is there.
    pub async fn over_grpc(number: usize, stream: S, record: Arc<Record>) -> io::Result<Self> {
        Self::accept(number, stream, record, Arc::default()).await
    }

    pub(crate) async fn accept(
        number: usize,
        stream: S,
        record: Arc<Record>,
        settings: Arc<Mutex<Settings>>,
    ) -> io::Result<Self> {
        let mut ended = EndsUnless { record: Some(Arc::clone(&record)) };
        let grpc = Grpc::accept(stream, settings, Arc::clone(&record)).await?;
        ended.record = None;
        Ok(Self { number, wire: Wire::Grpc(Box::new(grpc)), record })
    }

    /// What only gRPC has.
    ///
    /// # Panics
    ///
    /// Over a socket.
    pub fn grpc(&mut self) -> &mut Grpc<S> {
        match &mut self.wire {
            Wire::Grpc(grpc) => grpc,
            Wire::Frames { .. } => panic!("this step is for scripts over gRPC"),
        }
    }

    /// The next request; an `UnexpectedEof` once the client has closed. Dropped
    /// half-way it loses nothing: the next one goes on from there.
    pub async fn request(&mut self) -> io::Result<Request> {
        let request = match &mut self.wire {
            Wire::Grpc(grpc) => grpc.request().await?,
            Wire::Frames { stream, inbox } => {
                fill(stream, inbox, HEADER).await?;
                let size = (&inbox[..HEADER]).get_u32() as usize;
                fill(stream, inbox, HEADER + size).await?;
                inbox.advance(HEADER);
                Request::read(&inbox.split_to(size))
            }
        };
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
    ///
    /// # Panics
    ///
    /// Over gRPC, as do [`sip`](Self::sip) and [`half_close`](Self::half_close).
    pub async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let (stream, inbox) = self.frames();
        fill(stream, inbox, count).await?;
        Ok(inbox.split_to(count).to_vec())
    }

    /// Takes at most `most` bytes from the socket, which the next requests are read
    /// from: a reader that is slower than its client writes.
    pub async fn sip(&mut self, most: usize) -> io::Result<()> {
        let (stream, inbox) = self.frames();
        let mut limited = stream.take(most as u64);
        match limited.read_buf(inbox).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn frames(&mut self) -> (&mut S, &mut BytesMut) {
        match &mut self.wire {
            Wire::Frames { stream, inbox } => (stream, inbox),
            Wire::Grpc(_) => panic!("this step is for scripts over a socket"),
        }
    }

    /// Leaves the oldest call without an answer. Over a socket nothing can be answered behind it:
    /// there it ends with the connection, by an error.
    pub async fn leave_unanswered(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Frames { .. } => self.client_closed().await,
            Wire::Grpc(grpc) => {
                grpc.pass_over();
                Ok(())
            }
        }
    }

    /// Answers as a plugin would that allows everything and changes nothing.
    pub async fn answer(&mut self, request: &Request) -> io::Result<()> {
        self.raw(&frame(&answer(request))).await
    }

    /// Sends a reply to a hook call, fitting or not.
    pub async fn reply(&mut self, reply: Reply) -> io::Result<()> {
        self.raw(&reply.frame()).await
    }

    /// Sends bytes as they are: frames, parts of them, or neither. Over gRPC those that belong
    /// to no call are an error.
    pub async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Frames { stream, .. } => stream.write_all(bytes).await,
            Wire::Grpc(grpc) => grpc.write(bytes).await,
        }
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
        self.frames().0.shutdown().await
    }

    /// Reads, and throws away, what comes until the client closes.
    pub async fn client_closed(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Grpc(grpc) => grpc.client_closed().await,
            Wire::Frames { stream, inbox } => loop {
                inbox.clear();
                fill(stream, inbox, 1).await?;
            },
        }
    }

    /// Stays open, and neither reads nor writes any more.
    pub async fn stall(self) -> io::Result<()> {
        std::future::pending().await
    }
}

async fn fill(
    stream: &mut (impl AsyncRead + Unpin),
    inbox: &mut BytesMut,
    size: usize,
) -> io::Result<()> {
    while inbox.len() < size {
        if stream.read_buf(inbox).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Counts the end of a connection that never came about.
struct EndsUnless {
    record: Option<Arc<Record>>,
}

impl Drop for EndsUnless {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            record.ended();
        }
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.record.ended();
    }
}
