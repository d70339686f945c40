//! What is held for clients, and for how long.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, ready};

use futures::stream::{self, StreamExt as _};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::ReadBuf;
use tokio::time::{Instant, sleep};
use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::test_log::Log;

const KIB: usize = 1024;

/// What one client may hold: 384 KiB alone.
fn limited(config: GrpcServerConfig) -> GrpcServerConfig {
    config.max_connections(4).max_request_len(100 * KIB).max_buffered(1024 * KIB)
}

fn of_size(size: usize) -> Vec<u8> {
    request(json!({"name": "x".repeat(size)})).encode_to_vec()
}

/// Replies with the payload, or with `len` bytes where that is set, and counts its calls.
fn replying(len: Option<usize>) -> (PluginServerBuilder, Arc<AtomicUsize>) {
    let calls: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&calls);
    let handlers = Handlers::new().on_json("tool_pre_invoke", move |payload, _| {
        counted.fetch_add(1, SeqCst);
        async move {
            Ok(PluginResult::modify(match len {
                Some(len) => json!({"name": "x".repeat(len)}),
                None => payload,
            }))
        }
    });
    (PluginServer::builder().max_frame_len(300 * KIB).plugin("Echo", handlers), calls)
}

impl Client {
    /// Takes no more than `window` bytes of a reply before it reads on.
    async fn with_window<S>(stream: S, window: u32) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, ended: Arc::default() }
    }

    pub(super) async fn that_takes_nothing(server: &GrpcServer) -> Self {
        let stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
        Self::with_window(stream, 0).await
    }

    /// Calls until it is refused. The replies that it was promised, and the refusal.
    async fn call_until_refused(&self, message: &[u8]) -> (Vec<Response<Incoming>>, Answer) {
        let mut promised = Vec::new();
        loop {
            let response = within(self.send(INVOKE, &[], framed(message))).await.unwrap();
            if response.headers().contains_key("grpc-status") {
                return (promised, Answer::of(response).await.unwrap());
            }
            promised.push(response);
        }
    }
}

#[tokio::test]
async fn replies_that_a_client_does_not_take_are_bounded_and_keep_no_other_out() {
    let (log, _logging) = Log::start(LevelFilter::WARN);
    let (builder, calls) = replying(None);
    let server = builder.bind_grpc(limited(local())).await.unwrap();
    let greedy = Client::that_takes_nothing(&server).await;
    let (promised, refused) = greedy.call_until_refused(&of_size(90 * KIB)).await;
    assert_eq!((promised.len(), calls.load(SeqCst)), (3, 3), "the fourth has not run");
    assert_eq!(refused.code, 8);
    assert!(refused.reason.starts_with("no room for the request"), "{}", refused.reason);

    let told = log.lines_with("holds as many bytes as it may");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((server.stats().refused, server.stats().requests), (1, 3));

    let other = Client::to(&server).await;
    other.call(INVOKE, &of_size(90 * KIB)).await.message();
    // What was refused takes none of the connection's window: more of it than that has.
    for _ in 0..10 {
        assert!(greedy.call_until_refused(&of_size(90 * KIB)).await.0.is_empty());
    }
    assert_eq!(server.stats().refused, 11, "each counts, whether the log tells it or not");
    // What it gives back is there for it again.
    drop(promised);
    within(async { while greedy.call_until_refused(&of_size(90 * KIB)).await.0.is_empty() {} })
        .await;
}

#[tokio::test]
async fn every_client_finds_room_for_a_small_call() {
    let (builder, _) = replying(None);
    let server = builder.bind_grpc(limited(local())).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let greedy = Client::that_takes_nothing(&server).await;
        for size in [90, 10, 1] {
            held.push((greedy.call_until_refused(&of_size(size * KIB)).await.0, greedy.clone()));
        }
    }
    let last = Client::to(&server).await;
    last.call(INVOKE, &of_size(20 * KIB)).await.message();
    last.call("/grpc.health.v1.Health/Check", b"").await.message();
}

#[tokio::test]
async fn a_reply_that_finds_no_room_is_not_held() {
    let (builder, calls) = replying(Some(200 * KIB));
    let server = builder.bind_grpc(limited(local())).await.unwrap();
    let greedy = Client::that_takes_nothing(&server).await;
    let (promised, refused) = greedy.call_until_refused(&of_size(1)).await;
    assert_eq!((promised.len(), calls.load(SeqCst)), (1, 2));
    assert_eq!(refused.code, 8);
    assert!(refused.reason.starts_with("no room for the reply"), "{}", refused.reason);
    assert_eq!((server.stats().refused, server.stats().requests), (1, 2), "both have run");
    Client::to(&server).await.invoke().await.message();
}

type Body = StreamBody<stream::BoxStream<'static, io::Result<Frame<Bytes>>>>;

fn body(parts: impl stream::Stream<Item = Vec<u8>> + Send + 'static) -> Request<Body> {
    let frames = parts.map(|part| Ok(Frame::data(Bytes::from(part))));
    Request::post(format!("http://server{INVOKE}"))
        .header("content-type", "application/grpc")
        .body(StreamBody::new(frames.boxed()))
        .unwrap()
}

async fn streaming_client<S>(stream: S) -> SendRequest<Body>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn a_request_that_finds_no_room_is_refused_by_its_prefix() {
    let gate = Gate::new();
    let builder = gate.server().max_frame_len(300 * KIB);
    let server = builder.bind_grpc(limited(local())).await.unwrap();
    let stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    let mut client = streaming_client(stream).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let message = framed(&of_size(90 * KIB));
        let call = body(stream::iter([message]));
        waiting.push(tokio::spawn(client.send_request(call)));
    }
    gate.begun(3).await;
    let prefix = framed(&of_size(90 * KIB))[..5].to_vec();
    let endless = stream::iter([prefix]).chain(stream::pending());
    let response = within(client.send_request(body(endless))).await.unwrap();
    assert_eq!(within(Answer::of(response)).await.unwrap().code, 8);
    gate.open.add_permits(3);
    for call in waiting {
        let response = within(call).await.unwrap().unwrap();
        Answer::of(response).await.unwrap().message();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_trickles_ends_at_its_own_time_and_at_the_servers() {
    for (own, expected) in [(None, 60_000), (Some("1500m"), 1_500)] {
        let (server, near) = InMemory::start(echo(), Limits::default());
        let mut client = streaming_client(near).await;
        let message = framed(&of_size(KIB));
        let trickle = stream::iter(message).then(|byte| async move {
            sleep(Duration::from_secs(1)).await;
            vec![byte]
        });
        let mut request = body(trickle);
        if let Some(own) = own {
            request.headers_mut().insert("grpc-timeout", own.parse().unwrap());
        }
        let start = Instant::now();
        let answer = Answer::of(client.send_request(request).await.unwrap()).await.unwrap();
        assert_eq!((answer.code, start.elapsed().as_millis() / 10), (4, expected / 10));
        server.holds_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_a_reply_is_given_up_and_nothing_stays_of_it() {
    let (mut server, near) = InMemory::start(echo(), Limits::default());
    let client = Client::with_window(near, 0).await;
    let start = Instant::now();
    let reply = client.send(INVOKE, &[], framed(&invocation())).await.unwrap();
    assert!(server.memory.held() > 0);
    let error = (&mut server.served).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    Answer::of(reply).await.unwrap_err();
    server.holds_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_replies_slowly_is_served() {
    let (builder, _) = replying(Some(200 * KIB));
    let (server, near) = InMemory::start(builder, Limits::default());
    let client = Client::with_window(near, 64 * KIB as u32).await;
    for _ in 0..5 {
        let reply = client.send(INVOKE, &[], framed(&invocation())).await.unwrap();
        sleep(Duration::from_secs(50)).await;
        assert!(Answer::of(reply).await.unwrap().message().len() > 200 * KIB);
    }
    assert!(!server.served.is_finished());
    // The kernel has all of it, and so it is not held.
    server.holds_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_on_its_way_is_waited_for_when_the_server_stops() {
    let (builder, _) = replying(Some(200 * KIB));
    let (server, near) = InMemory::start(builder, Limits::default());
    let client = Client::with_window(near, 64 * KIB as u32).await;
    let reply = client.send(INVOKE, &[], framed(&invocation())).await.unwrap();
    server.run.send_replace(Run::Drain);
    sleep(Duration::from_secs(50)).await;
    assert!(!server.served.is_finished());
    assert!(Answer::of(reply).await.unwrap().message().len() > 200 * KIB);
    server.served.await.unwrap().unwrap();
}

/// What the kernel has taken, whole or in part, is no reply that the client has.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_late_gets_its_reply_when_the_server_stops() {
    for len in [62 * KIB, 100 * KIB] {
        let (builder, calls) = replying(Some(len));
        let (server, near) = InMemory::start(builder, Limits::default());
        let read = Arc::new(Notify::new());
        let client = Client::over(Late::new(near, Arc::clone(&read))).await;
        let call = waiting_call(&client);
        while calls.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        server.run.send_replace(Run::Drain);
        sleep(Duration::from_secs(50)).await;
        assert!(!server.served.is_finished());
        read.notify_one();
        assert!(call.await.unwrap().unwrap().message().len() > len);
        // Its last words may find nobody.
        let _ = server.served.await.unwrap();
    }
}

/// A stream that is not read before it is told to.
struct Late {
    stream: DuplexStream,
    told: Pin<Box<dyn Future<Output = ()> + Send>>,
    reads: bool,
}

impl Late {
    fn new(stream: DuplexStream, told: Arc<Notify>) -> Self {
        Self { stream, told: Box::pin(async move { told.notified().await }), reads: false }
    }
}

impl AsyncRead for Late {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.reads {
            ready!(self.told.as_mut().poll(cx));
            self.reads = true;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Late {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
