//! How a plugin's sockets are made.

use std::{
    fs,
    io::{self, IoSlice},
    os::unix::fs::FileTypeExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use super::place::Place;
use crate::config::UnixSocketConfig;
use crate::nosignal::{NoSignal, Socket};
use crate::trust::{Kind, Trust};

/// What a socket's task reads from and writes to.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// As `poll_read`, but what is there is read even if the runtime has not heard of it
    /// yet. A process that was stopped finds its timers over before it finds that its
    /// sockets are readable.
    fn poll_read_now(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read(cx, buffer)
    }

    /// Ends what the server may write, where that can be done: what it has written before
    /// can still be read, and it cannot mistake a later reply for one that was taken.
    fn stop_reading(&self) {}
}

impl<S: Socket> Transport for NoSignal<S> {
    fn stop_reading(&self) {
        // Fails only where the socket has ended already.
        let _ = Self::stop_reading(self);
    }

    fn poll_read_now(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.read_now(buffer.initialize_unfilled()) {
            Ok(count) => {
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
            // An earlier `poll_read` has asked for the wake-up.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn poll_read_now(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_read_now(cx, buffer)
    }

    fn stop_reading(&self) {
        (**self).stop_reading();
    }
}

/// A stream of any kind, that of a [`FnConnector`].
struct Plain<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for Plain<S> {}

#[cfg(test)]
impl Transport for tokio::io::DuplexStream {}

#[cfg(test)]
impl<R, W> Transport for tokio::io::Join<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
}

/// An attempt to connect.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// Makes sockets; tests make in-memory pipes instead.
pub(crate) trait Connect: Send + Sync + 'static {
    /// Starts one attempt.
    fn connect(&self) -> Connecting;

    /// Where an attempt would lead now; `None` if to no server, or if that is not known.
    fn place(&self) -> Option<Place> {
        None
    }

    /// The way to the server of this name, of a connector that leads to several: that of a test.
    #[cfg(feature = "grpc")]
    fn to_server(&self, _name: &str) -> Option<Arc<dyn Connect>> {
        None
    }

    /// True if its streams know no time but the runtime's, which a test may have paused.
    #[cfg(feature = "grpc")]
    fn is_in_memory(&self) -> bool {
        false
    }
}

/// Connects to a plugin's Unix socket, if who listens there is to be trusted.
#[derive(Debug)]
pub(crate) struct UnixConnector {
    path: Arc<Path>,
    trust: Arc<Trust>,
}

impl UnixConnector {
    pub(crate) fn new(path: Arc<Path>, trust: Trust) -> Self {
        Self { path, trust: Arc::new(trust) }
    }
}

impl From<&UnixSocketConfig> for UnixConnector {
    fn from(socket: &UnixSocketConfig) -> Self {
        Self::new(socket.path().into(), socket.into())
    }
}

impl Connect for UnixConnector {
    fn connect(&self) -> Connecting {
        let (path, trust) = (Arc::clone(&self.path), Arc::clone(&self.trust));
        Box::pin(async move {
            trust.check_path(&path)?;
            let stream = UnixStream::connect(&path).await;
            let stream = stream.map_err(|error| explained(error, &path))?;
            trust.check_peer(&stream)?;
            let transport: Box<dyn Transport> = Box::new(NoSignal::new(stream));
            Ok(transport)
        })
    }

    /// One `stat`, which waits for the file system as connecting does.
    fn place(&self) -> Option<Place> {
        let found = fs::metadata(&self.path).ok()?;
        found.file_type().is_socket().then(|| Place::of(&found))
    }
}

/// Connects by calling a function of the application's.
pub(crate) struct FnConnector<F>(pub(crate) F);

impl<F, Fut, S> Connect for FnConnector<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn connect(&self) -> Connecting {
        let connecting = (self.0)();
        Box::pin(async move {
            let transport: Box<dyn Transport> = Box::new(Plain(connecting.await?));
            Ok(transport)
        })
    }
}

/// Tells the number of the server that a connector leads to.
pub(crate) type Generation = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A connector that tells which server it leads to.
pub(crate) struct Numbered {
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) generation: Generation,
}

impl Connect for Numbered {
    fn connect(&self) -> Connecting {
        self.connector.connect()
    }

    /// It is the application's code: a panic in it must not end a socket with calls on it.
    fn place(&self) -> Option<Place> {
        let number = catch_unwind(AssertUnwindSafe(|| (self.generation)()));
        number.ok().map(Place::numbered)
    }
}

/// What the system's words leave open. "Resource temporarily unavailable" tells nobody what
/// to do, and a file that is no socket is refused in the same words as a socket without a
/// server.
fn explained(error: io::Error, path: &Path) -> io::Error {
    let found = || fs::metadata(path).ok().map(|metadata| Kind::from(metadata.file_type()));
    let reason = if is_busy(&error) {
        format!("the server is busy, its backlog of connections is full ({error})")
    } else if error.kind() == io::ErrorKind::NotFound {
        format!("there is no such socket; is the plugin's server running? ({error})")
    } else {
        match found() {
            Some(Kind::Socket) if error.kind() == io::ErrorKind::ConnectionRefused => {
                format!("nobody listens there; is the plugin's server running? ({error})")
            }
            Some(Kind::Socket) | None => return error,
            Some(Kind::Directory) => "the path is a directory, not a socket".to_owned(),
            Some(_) => "the path is a file, not a socket".to_owned(),
        }
    };
    io::Error::new(error.kind(), reason)
}

/// A full backlog is told by EAGAIN, with no readiness to wait for: the server
/// is there, but busy.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that is given up must not find out that it could write after all.
    #[tokio::test]
    async fn a_socket_that_is_read_no_more_tells_so_to_its_server() {
        let (near, mut far) = tokio::net::UnixStream::pair().unwrap();
        let near: Box<dyn Transport> = Box::new(NoSignal::new(near));
        Transport::stop_reading(&near);
        let late = tokio::io::AsyncWriteExt::write(&mut far, b"late").await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_stream_that_takes_one_buffer_at_a_time_gets_all_bytes() {
        let mut written = Plain(tokio::io::join(tokio::io::empty(), Vec::new()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let wrote = Pin::new(&mut written).poll_write(&mut cx, b"abc");
        assert!(matches!(wrote, Poll::Ready(Ok(3))), "{wrote:?}");
        let both = [IoSlice::new(b"de"), IoSlice::new(b"f")];
        let wrote = Pin::new(&mut written).poll_write_vectored(&mut cx, &both);
        assert!(matches!(wrote, Poll::Ready(Ok(3))), "{wrote:?}");
        assert_eq!(written.0.writer(), b"abcdef");
    }

    #[test]
    fn what_is_found_where_no_server_is_tells_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let told = |kind: io::ErrorKind, path: &Path| explained(kind.into(), path).to_string();
        let refused = io::ErrorKind::ConnectionRefused;
        let missing = folder.path().join("missing");
        assert!(told(io::ErrorKind::NotFound, &missing).starts_with("there is no such socket"));
        assert!(told(io::ErrorKind::WouldBlock, &missing).starts_with("the server is busy"));
        assert_eq!(told(refused, folder.path()), "the path is a directory, not a socket");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(told(refused, &file), "the path is a file, not a socket");
        let socket = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(told(refused, &socket).starts_with("nobody listens there"));
        // Where the system's own words say it.
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!(told(denied, &socket), io::Error::from(denied).to_string());
    }

    #[test]
    fn a_generation_that_panics_is_not_known() {
        let connector = Arc::new(FnConnector(|| async { Ok(tokio::io::duplex(1).0) }));
        let numbered = |generation: Generation| {
            Numbered { connector: Arc::clone(&connector) as _, generation }.place()
        };
        assert_eq!(numbered(Arc::new(|| panic!("a generation"))), None);
        assert_eq!(numbered(Arc::new(|| 7)), Some(Place::numbered(7)));
    }
}
