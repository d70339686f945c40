//! How a server stops, and what it does when it cannot accept.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tempfile::{TempDir, tempdir};
use tokio::io::sink;
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use super::*;
use crate::server::listener::{self, Accept, Run};

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// A server whose handler says that it has begun, then waits for the gate.
struct Setup {
    server: PluginServer,
    begun: Arc<Notify>,
    gate: Arc<Semaphore>,
    _directory: TempDir,
}

async fn setup() -> Setup {
    let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let shared = (Arc::clone(&begun), Arc::clone(&gate));
    let handlers = Handlers::new().on::<ToolPreInvoke>(move |_, _| {
        let (begun, gate) = shared.clone();
        async move {
            begun.notify_one();
            gate.acquire().await?.forget();
            Ok(PluginResult::allow())
        }
    });
    let directory = tempdir().unwrap();
    let builder = PluginServer::builder().plugin("Echo", handlers);
    let server = builder.bind(directory.path().join("s")).await.unwrap();
    Setup { server, begun, gate, _directory: directory }
}

impl Setup {
    async fn client(&self) -> Client<UnixStream> {
        Client(UnixStream::connect(self.server.socket_path()).await.unwrap())
    }

    /// A client with a request under way, and another behind it.
    async fn busy_client(&self) -> Client<UnixStream> {
        let mut client = self.client().await;
        let call = frame(&request(json!({"name": "tool"})).encode_to_vec());
        client.0.write_all(&[&call[..], &call[..]].concat()).await.unwrap();
        self.begun.notified().await;
        client
    }
}

// Promise: H28
#[tokio::test]
async fn a_shutdown_answers_what_was_received_and_closes() {
    let setup = setup().await;
    let (mut busy, mut idle) = (setup.busy_client().await, setup.client().await);
    let path = setup.server.socket_path().to_owned();
    let shutdown = tokio::spawn(setup.server.shutdown(Duration::from_secs(3600)));

    assert!(idle.is_closed().await);
    assert!(!path.exists());
    assert!(!shutdown.is_finished());
    setup.gate.add_permits(2);
    for _ in 0..2 {
        assert!(hook_reply(&busy.receive().await).error.is_none());
    }
    assert!(busy.is_closed().await);
    shutdown.await.unwrap();
}

/// H28. The requests are written while neither runtime nor server has a turn: on one
/// connection that waits for a request, and on one that is not accepted yet.
// Promise: H28
#[tokio::test]
async fn a_shutdown_answers_what_nobody_has_looked_at_yet() {
    let setup = setup().await;
    let mut idle = setup.client().await;
    idle.ask(b"").await;
    let mut new = std::os::unix::net::UnixStream::connect(setup.server.socket_path()).unwrap();
    // More than is read at once, and no more replies than the kernel takes unread.
    let name = "tool".repeat(100);
    let calls = frame(&request(json!({"name": name})).encode_to_vec()).repeat(100);
    io::Write::write_all(&mut new, &calls).unwrap();
    assert_eq!(idle.0.try_write(&calls).unwrap(), calls.len());

    setup.gate.add_permits(200);
    let shutdown = setup.server.shutdown(Duration::from_secs(3600));
    timeout(LIMIT, shutdown).await.unwrap();
    new.set_nonblocking(true).unwrap();
    for mut client in [idle, Client(UnixStream::from_std(new).unwrap())] {
        for _ in 0..100 {
            let reply = timeout(LIMIT, client.receive()).await.unwrap();
            assert!(hook_reply(&reply).error.is_none());
        }
        assert!(client.is_closed().await);
    }
}

/// A client that asks without a pause does not keep the server from its end.
// Promise: H28
#[tokio::test]
async fn a_shutdown_does_not_wait_for_what_a_client_asks_later() {
    let setup = setup().await;
    setup.gate.add_permits(1_000_000);
    let call = frame(&request(json!({"name": "tool"})).encode_to_vec());
    let (mut reader, mut writer) = tokio::io::split(setup.client().await.0);
    let asking = tokio::spawn(async move { while writer.write_all(&call).await.is_ok() {} });
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut sink()).await });
    setup.begun.notified().await;
    timeout(LIMIT, setup.server.shutdown(Duration::from_secs(3600))).await.unwrap();
    timeout(LIMIT, asking).await.unwrap().unwrap();
    let _ = timeout(LIMIT, reading).await.unwrap();
}

#[tokio::test]
async fn what_is_not_finished_after_the_grace_is_cancelled() {
    let setup = setup().await;
    let mut busy = setup.busy_client().await;
    setup.server.shutdown(Duration::ZERO).await;
    assert!(busy.is_closed().await);
    // The handler's share of the gate is gone with the handler.
    assert_eq!(Arc::strong_count(&setup.gate), 1);
}

#[tokio::test]
async fn a_kill_drops_all_connections_at_once() {
    let setup = setup().await;
    let (mut busy, mut idle) = (setup.busy_client().await, setup.client().await);
    setup.server.kill().await;
    assert!(busy.is_closed().await && idle.is_closed().await);
}

#[tokio::test]
async fn a_dropped_server_closes_everything() {
    let setup = setup().await;
    let (mut busy, mut idle) = (setup.busy_client().await, setup.client().await);
    let path = setup.server.socket_path().to_owned();
    drop(setup.server);
    assert!(busy.is_closed().await && idle.is_closed().await);
    assert!(!path.exists());
}

#[tokio::test]
async fn connections_and_requests_are_counted() {
    let directory = tempdir().unwrap();
    let server = echo().bind(directory.path().join("s")).await.unwrap();
    for _ in 0..2 {
        let mut client = Client(UnixStream::connect(server.socket_path()).await.unwrap());
        client.echo(json!({})).await;
        client.ask(b"").await;
        assert_eq!(server.stats().open_connections, 1);
        client.0.shutdown().await.unwrap();
        assert!(client.is_closed().await);
        while server.stats().open_connections > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((server.stats().connections, server.stats().requests), (2, 4));
}

/// A listener in a process that has no file descriptor left.
struct Exhausted(Arc<AtomicUsize>);

impl Accept for Exhausted {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        self.0.fetch_add(1, Relaxed);
        Err(io::Error::other("too many open files"))
    }

    fn finish(self) -> impl Iterator<Item = DuplexStream> {
        std::iter::empty()
    }

    fn received(_: &DuplexStream, _: &mut bytes::BytesMut) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_cannot_accept_does_not_spin() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let (_run, stop) = watch::channel(Run::Serve);
    let service = echo().build().unwrap();
    tokio::spawn(listener::run(Exhausted(Arc::clone(&attempts)), service, stop));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let attempts = attempts.load(Relaxed);
    assert!((50..=110).contains(&attempts), "{attempts}");
}
