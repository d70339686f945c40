//! What a client shows of itself, and files that are replaced.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::sync::oneshot;

use super::*;

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_has_one() {
    let ca = Authority::new("CA");
    let clients = Authority::new("Clients");
    for tls_1_2 in [false, true] {
        let side = ServerSide::new(ca.server("localhost"));
        let server = ServerSide { clients: Some(clients.pem()), tls_1_2, ..side }.start().await;
        let client = ClientSide::trusting(&ca).with_identity(&clients.client("gateway"));
        ask(&client.connector(&server, "localhost")).await.unwrap();
    }
}

/// With TLS 1.3 the handshake is over for the client before the server has looked.
#[tokio::test]
async fn a_client_certificate_that_is_missing_or_not_trusted_is_told_by_the_first_read() {
    let (ca, clients) = (Authority::new("CA"), Authority::new("Clients"));
    let server =
        ServerSide { clients: Some(clients.pem()), ..ServerSide::new(ca.server("localhost")) }
            .start()
            .await;
    let stranger = Authority::new("Other").client("gateway");
    for (client, expected) in [
        (ClientSide::trusting(&ca), "demands a client certificate"),
        (ClientSide::trusting(&ca).with_identity(&stranger), "does not trust the authority"),
    ] {
        let connector = client.connector(&server, "localhost");
        let mut stream = within(connector.connect()).await.unwrap();
        let error = within(stream.read_u8()).await.unwrap_err();
        assert!(is_refusal(&error), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// With TLS 1.2 the server looks before the handshake is over.
#[tokio::test]
async fn a_client_certificate_that_is_missing_fails_the_handshake_of_tls_1_2() {
    let ca = Authority::new("CA");
    let side = ServerSide::new(ca.server("localhost"));
    let side = ServerSide { clients: Some(ca.pem()), tls_1_2: true, ..side };
    let server = side.start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("client certificate"), "{told}");
}

#[tokio::test]
async fn certificates_that_are_replaced_on_disk_are_those_of_the_next_connection() {
    let (ca, old, new) = (Authority::new("CA"), Authority::new("Old"), Authority::new("New"));
    let for_new_clients = ServerSide::new(ca.server("localhost"));
    let server = ServerSide { clients: Some(new.pem()), ..for_new_clients }.start().await;
    let client = ClientSide::trusting(&ca).with_identity(&old.client("gateway"));
    let connector = client.connector(&server, "localhost");
    assert!(is_refusal(&ask(&connector).await.unwrap_err()));

    client.files.identity("client", &new.client("gateway"));
    ask(&connector).await.unwrap();

    // And the authorities that are trusted.
    client.files.write("ca", &old.pem());
    let told = refusal(&connector).await;
    assert!(told.contains("not signed by a trusted authority"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_half_replaced_is_told_before_anything_is_sent() {
    let ca = Authority::new("CA");
    let server = Server::start(|_| async { panic!("nobody connects") }).await;
    let client = ClientSide::trusting(&ca).with_identity(&ca.client("gateway"));
    let keyfile: PathBuf = client.files.write("client.key", &ca.client("gateway").key);
    let error = within(client.connector(&server, "localhost").connect()).await.err().unwrap();
    assert!(!is_refusal(&error), "{error:?}");
    assert!(error.to_string().contains(&*keyfile.to_string_lossy()), "{error}");
    assert!(error.to_string().contains("does not belong to the certificate"), "{error}");
}

/// A stream to a server that has closed it: what is written goes nowhere, and fails when the
/// server's last words are here.
struct Broken {
    inner: Box<dyn Transport>,
    /// What may still be written, once the server has said something.
    left: Arc<AtomicUsize>,
    heard: bool,
    closed: oneshot::Receiver<()>,
}

impl Transport for Broken {}

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.heard |= !buffer.filled().is_empty();
        read
    }
}

impl AsyncWrite for Broken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.heard {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        let len = bytes.len().min(self.left.load(SeqCst));
        if len == 0 {
            let _ = ready!(Pin::new(&mut self.closed).poll(cx));
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes[..len]))?;
        self.left.fetch_sub(count, SeqCst);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The way to a server that a stream is there of already.
struct There(Mutex<Option<Broken>>);

impl Connect for There {
    fn connect(&self) -> Connecting {
        let stream = self.0.lock().unwrap().take().unwrap();
        Box::pin(async { Ok(Box::new(stream) as Box<dyn Transport>) })
    }
}

/// What a client without a certificate hears that may write so many bytes after the server's
/// first words: with TLS 1.2 in the handshake, with 1.3 after it.
async fn heard_behind_a_write_that_fails(tls_1_2: bool, left: usize) -> io::Error {
    let ca = Authority::new("CA");
    let side = ServerSide::new(ca.server("localhost"));
    let side = ServerSide { clients: Some(ca.pem()), tls_1_2, ..side };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, closed) = oneshot::channel();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        assert!(side.acceptor().accept(stream).await.is_err());
        let _ = sender.send(());
    });
    let inner = within(TcpConnector::new(address).connect()).await.unwrap();
    let left = Arc::new(AtomicUsize::new(left));
    let stream = Broken { inner, left: Arc::clone(&left), heard: false, closed };
    let inner = Arc::new(There(Mutex::new(Some(stream))));
    let client = ClientSide::trusting(&ca);
    let config = Arc::new(client.config.clone());
    let connector = TlsConnector::new(inner, config, Some("localhost")).unwrap();
    let told = within(async {
        let mut stream = connector.connect().await?;
        left.store(0, SeqCst);
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        stream.read_u8().await.map(drop)
    })
    .await;
    within(server).await.unwrap();
    told.unwrap_err()
}

#[tokio::test]
async fn why_a_server_has_closed_is_told_and_not_that_nothing_can_be_written() {
    // A certificate message without one is 12 bytes.
    for (tls_1_2, left) in [(true, 12), (false, usize::MAX)] {
        let error = heard_behind_a_write_that_fails(tls_1_2, left).await;
        assert!(is_refusal(&error), "TLS 1.2 {tls_1_2}: {error:?}");
        assert!(error.to_string().contains("demands a client certificate"), "{error}");
    }
}
