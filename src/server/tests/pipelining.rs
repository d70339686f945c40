//! Many requests on a connection, and many connections.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{ReadBuf, duplex};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;

/// `Echo` gives payloads back; it waits for the gate where the tool is `wait`.
fn gated() -> (PluginServerBuilder, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let handlers = Handlers::new().on::<ToolPreInvoke>(move |payload, _| {
        let gate = Arc::clone(&shared);
        async move {
            if payload.name == "wait" {
                gate.acquire().await?.forget();
            }
            Ok(PluginResult::modify(payload))
        }
    });
    (PluginServer::builder().plugin("Echo", handlers), gate)
}

fn named(name: &str) -> Vec<u8> {
    request(json!({"name": name})).encode_to_vec()
}

fn name(reply: &[u8]) -> Value {
    result(&hook_reply(reply))["modified_payload"]["name"].clone()
}

/// Counts the writes of the server.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Relaxed);
        let all = bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<u8>>();
        Pin::new(&mut self.0).poll_write(cx, &all)
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order_and_each_before_the_next_begins() {
    let service = echo().build().unwrap();
    let (near, far) = duplex(64 * 1024);
    let writes = Arc::new(AtomicUsize::new(0));
    let far = Counted(far, Arc::clone(&writes));
    tokio::spawn({
        let service = service.clone();
        async move { service.serve_stream(far).await }
    });
    let mut client = Client(near);
    let names: Vec<String> = (0..30).map(|i| format!("tool-{i}")).collect();
    let together: Vec<u8> = names.iter().flat_map(|name| frame(&named(name))).collect();
    client.0.write_all(&together).await.unwrap();
    for expected in names {
        assert_eq!(name(&client.receive().await), expected);
    }
    assert_eq!(writes.load(Relaxed), 30);
    assert_eq!(service.stats().requests, 30);
}

#[tokio::test]
async fn a_reply_does_not_wait_for_the_handler_of_the_next_request() {
    let (builder, gate) = gated();
    let mut client = Client::of(builder);
    let together = [frame(&named("first")), frame(&named("wait")), frame(&named("last"))];
    client.0.write_all(&together.concat()).await.unwrap();
    assert_eq!(name(&client.receive().await), "first");
    gate.add_permits(1);
    assert_eq!(name(&client.receive().await), "wait");
    assert_eq!(name(&client.receive().await), "last");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_served_one_request_at_a_time_and_others_beside_it() {
    let (builder, gate) = gated();
    let service = builder.build().unwrap();
    let mut clients = [(); 2].map(|()| {
        let (service, (near, far)) = (service.clone(), duplex(64 * 1024));
        tokio::spawn(async move { service.serve_stream(far).await });
        Client(near)
    });
    clients[0].send(&named("wait")).await;
    clients[0].send(&named("behind")).await;
    assert_eq!(name(&clients[1].ask(&named("beside")).await), "beside");
    // Time only moves once nothing else does: no reply is on its way.
    let early = tokio::time::timeout(Duration::from_secs(60), clients[0].receive()).await;
    assert!(early.is_err());
    gate.add_permits(1);
    assert_eq!(name(&clients[0].receive().await), "wait");
    assert_eq!(name(&clients[0].receive().await), "behind");
}

#[tokio::test]
async fn large_messages_pass_through_a_narrow_pipe_in_both_directions() {
    let service = echo().build().unwrap();
    let (near, far) = duplex(100);
    tokio::spawn(async move { service.serve_stream(far).await });
    let mut client = Client(near);
    for size in [1, 20_000, 300_000, 3] {
        let text = json!({"text": "x".repeat(size)});
        assert_eq!(client.echo(text.clone()).await, text);
    }
}

#[tokio::test]
async fn a_client_that_announces_too_much_is_disconnected_at_once() {
    let mut client = Client::of(echo());
    client.0.write_u32(16 * 1024 * 1024 + 1).await.unwrap();
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn sixteen_mebibytes_are_not_too_much() {
    let mut client = Client::of(echo());
    // A message of no kind: it is taken whole, and refused as such.
    let reply = client.ask(&vec![0xff; 16 * 1024 * 1024]).await;
    assert_eq!(hook_reply(&reply).error.unwrap().code, "UNKNOWN_MESSAGE");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_for_300_seconds_is_closed() {
    let mut client = Client::of(echo());
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(299)).await;
        assert_eq!(client.echo(json!({})).await, json!({}));
    }
    let idle = Instant::now();
    assert!(client.is_closed().await);
    assert_eq!(idle.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_trickles_in_does_not_keep_a_connection_alive() {
    let mut client = Client::of(echo().idle_timeout(Duration::from_secs(10)));
    let start = Instant::now();
    for byte in &frame(&named("slow"))[..9] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.0.write_all(&[*byte]).await.unwrap();
    }
    assert!(client.is_closed().await);
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// A reply may be of 16 MiB, and nobody but its client can end the wait for it.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_not_read_holds_its_connection_no_longer_than_the_idle_timeout() {
    for trickles in [false, true] {
        let service = echo().idle_timeout(Duration::from_secs(10)).build().unwrap();
        let (near, far) = duplex(100);
        let served = tokio::spawn(async move {
            let start = Instant::now();
            let error = service.serve_stream(far).await.unwrap_err();
            (error.kind(), start.elapsed().as_secs())
        });
        let mut client = Client(near);
        let call = request(json!({"name": "tool", "args": {"text": "x".repeat(10_000)}}));
        client.send(&call.encode_to_vec()).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if trickles && !served.is_finished() {
                client.0.read_u8().await.unwrap();
            }
        }
        assert!(served.is_finished(), "it holds its connection still");
        assert_eq!(served.await.unwrap(), (io::ErrorKind::TimedOut, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_late_but_in_time_gets_every_reply() {
    let service = echo().idle_timeout(Duration::from_secs(10)).build().unwrap();
    let (near, far) = duplex(100);
    tokio::spawn(async move { service.serve_stream(far).await });
    let mut client = Client(near);
    let text = "x".repeat(10_000);
    for _ in 0..5 {
        client.send(&request(json!({"name": &text})).encode_to_vec()).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(name(&client.receive().await), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_takes_as_long_as_it_takes() {
    let (builder, gate) = gated();
    let mut client = Client::of(builder);
    client.send(&named("wait")).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    gate.add_permits(1);
    assert_eq!(name(&client.receive().await), "wait");
}
