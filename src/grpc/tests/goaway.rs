//! A server that stops, frame by frame: what it has promised not to begin, and what not.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

use super::super::MOST_PASSED_OVER;
use super::*;
use crate::breaker::BreakerState;
use crate::unix::connect::FnConnector;
use crate::unix::slot::Suspicion;

const PREFACE: usize = 24;
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// The server's side of one connection.
pub(super) struct Wire(DuplexStream);

impl Wire {
    pub(super) async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The kind, flags and stream of the next frame.
    pub(super) async fn read(&mut self) -> (u8, u8, u32) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        self.0.read_exact(&mut vec![0; length]).await.unwrap();
        (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]))
    }

    /// Reads on until a request is whole, and tells its stream.
    pub(super) async fn request(&mut self) -> u32 {
        loop {
            let (kind, flags, stream) = self.read().await;
            if kind == DATA && flags & END_STREAM > 0 {
                return stream;
            }
        }
    }

    /// A message without a byte, and an OK.
    pub(super) async fn answer(&mut self, stream: u32) {
        // `:status: 200`, and a literal `content-type`.
        let mut head = vec![0x88, 0x5f, 16];
        head.extend_from_slice(b"application/grpc");
        self.write(HEADERS, END_HEADERS, stream, &head).await;
        self.write(DATA, 0, stream, &[0; 5]).await;
        let trailers = [&[0x40, 11][..], b"grpc-status", &[1], b"0"].concat();
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &trailers).await;
    }

    pub(super) async fn go_away(&mut self, last: u32, reason: u32) {
        let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
        self.write(GOAWAY, 0, 0, &payload).await;
    }
}

/// A plugin, and the connections that it makes.
pub(super) fn plugin() -> (Arc<GrpcPlugin>, mpsc::UnboundedReceiver<DuplexStream>) {
    plugin_with(Settings::default())
}

pub(super) fn plugin_with(
    settings: Settings,
) -> (Arc<GrpcPlugin>, mpsc::UnboundedReceiver<DuplexStream>) {
    plugin_through(1 << 16, settings)
}

/// Its connections hold so many bytes in each direction.
fn plugin_through(
    size: usize,
    settings: Settings,
) -> (Arc<GrpcPlugin>, mpsc::UnboundedReceiver<DuplexStream>) {
    let (sender, connections) = mpsc::unbounded_channel();
    let connector = FnConnector(move || {
        let (client, server) = tokio::io::duplex(size);
        let listens = sender.send(server).map_err(|_| io::ErrorKind::ConnectionRefused.into());
        async move { listens.map(|()| client) }
    });
    let authority = Authority::from_static("plugins.test:50051");
    let remote = Remote::new("server", Scheme::HTTP, &authority, Arc::new(connector));
    let servers = Servers::Known(vec![remote]);
    let policy = CallPolicy::builder().build().unwrap();
    let identity = Arc::new(Identity::new("P".into(), std::path::Path::new("/p").into()));
    let gate = Arc::new(Gate::new(Arc::clone(&identity), Breaker::new(5, TIMEOUT, TIMEOUT)));
    let plugin = GrpcPlugin::new(identity, settings, &policy, gate, servers, None, None);
    (Arc::new(plugin), connections)
}

/// A connection that was asked whether it is there, and was.
pub(super) async fn accept(connections: &mut mpsc::UnboundedReceiver<DuplexStream>) -> Wire {
    let mut wire = Wire(connections.recv().await.unwrap());
    wire.0.read_exact(&mut [0; PREFACE]).await.unwrap();
    wire.write(SETTINGS, 0, 0, &[]).await;
    let check = wire.request().await;
    wire.answer(check).await;
    wire
}

fn begin(plugin: &Arc<GrpcPlugin>) -> JoinHandle<Result<Reply, Box<Failure>>> {
    let plugin = Arc::clone(plugin);
    tokio::spawn(async move { plugin.exchange(hook("a", TIMEOUT)).await })
}

#[tokio::test(start_paused = true)]
async fn what_a_stopping_server_has_passed_over_goes_to_the_next_and_the_rest_may_have_run() {
    let (plugin, mut connections) = plugin();
    let one = begin(&plugin);
    let mut wire = accept(&mut connections).await;
    let first = wire.request().await;
    let other = begin(&plugin);
    assert!(wire.request().await > first);
    wire.go_away(first, 0).await;
    // It does not wait until the first one is over.
    let mut second = accept(&mut connections).await;
    let stream = second.request().await;
    second.answer(stream).await;
    other.await.unwrap().unwrap();
    assert!(!one.is_finished());
    drop(wire);
    let (cause, sent) = failed(one.await.unwrap());
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_every_server_passes_over_fails_in_the_end_and_is_unstarted() {
    let settings = Settings { reconnect_attempts: 2 + MOST_PASSED_OVER, ..Settings::default() };
    let (plugin, mut connections) = plugin_with(settings);
    let call = begin(&plugin);
    for _ in 0..=MOST_PASSED_OVER {
        let mut wire = accept(&mut connections).await;
        let stream = wire.request().await;
        wire.go_away(stream - 2, 0).await;
    }
    let (cause, sent) = failed(call.await.unwrap());
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert_eq!(sent, Sent::Unstarted);
    assert!(cause.to_string().contains("the server is stopping"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_passed_over_and_finds_no_other_server_is_unstarted() {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    wire.go_away(stream - 2, 0).await;
    drop(connections);
    let (cause, sent) = failed(call.await.unwrap());
    assert!(matches!(cause, Cause::Unavailable { .. }), "{cause}");
    assert_eq!(sent, Sent::Unstarted, "it is not true any more that no byte has left");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_well_on_an_old_connection_makes_no_plugin_reachable() {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    let mut breaker = plugin.shared().gate.watch_state();
    wire.go_away(stream, 0).await;
    drop(connections);
    breaker.wait_for(|state| *state == BreakerState::Open).await.unwrap();
    wire.answer(stream).await;
    call.await.unwrap().unwrap();
    assert_eq!(*breaker.borrow(), BreakerState::Open, "nobody listens there any more");
}

#[tokio::test(start_paused = true)]
async fn a_call_below_the_last_one_that_a_stopping_server_names_is_answered() {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    wire.go_away(stream, 0).await;
    wire.answer(stream).await;
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_at_odds_with_us_is_not_believed() {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    // ENHANCE_YOUR_CALM
    wire.go_away(stream - 2, 11).await;
    let (cause, sent) = failed(call.await.unwrap());
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

/// Found by the simulation: the connection was looked for among those that take calls.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_another_calls_closes_a_connection_that_takes_no_more_calls_too() {
    let (plugin, mut connections) = plugin();
    let one = begin(&plugin);
    let mut wire = accept(&mut connections).await;
    let first = wire.request().await;
    let other = begin(&plugin);
    let second = wire.request().await;
    wire.go_away(second, 0).await;
    let _next = accept(&mut connections).await;
    wire.answer(first).await;
    let reply = one.await.unwrap().unwrap();
    plugin.suspect(reply.origin, Suspicion::Mismatch);
    let (cause, sent) = failed(other.await.unwrap());
    assert!(matches!(cause, Cause::ClosedAfterFault(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

/// Found by the simulation: a task that outlived the attempt had something to write first.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_given_up_closes_its_connection_though_the_server_reads_nothing() {
    let settings = Settings { connect_timeout: Duration::from_secs(1), ..Settings::default() };
    let (plugin, mut connections) = plugin_through(16, settings);
    let _call = begin(&plugin);
    let mut first = connections.recv().await.unwrap();
    let _second = connections.recv().await.unwrap();
    let error = first.write_all(b"a").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// Accepts connections, and does this with each that was asked whether it is there; the call that
/// waits for one meanwhile is told that there is none.
async fn is_left_alone_for_a_while(then: impl AsyncFn(&mut Wire)) {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin);
    let mut kept = Vec::new();
    let mut over = std::pin::pin!(tokio::time::sleep(Duration::from_secs(10)));
    loop {
        let mut wire = tokio::select! {
            biased;
            () = &mut over => break,
            wire = accept(&mut connections) => wire,
        };
        then(&mut wire).await;
        kept.push(wire);
        assert!(kept.len() < 100, "without a wait");
    }
    assert!(kept.len() > 5, "{}", kept.len());
    let (cause, _) = failed(call.await.unwrap());
    assert!(matches!(cause, Cause::Unavailable { .. }), "{cause}");
}

/// Its end lies behind its answer, and is read before anybody uses the connection.
#[tokio::test(start_paused = true)]
async fn a_server_that_answers_and_closes_is_left_alone_for_a_while() {
    is_left_alone_for_a_while(async |wire| wire.0.shutdown().await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_and_takes_no_calls_is_left_alone_for_a_while() {
    is_left_alone_for_a_while(async |wire| wire.go_away(1, 0).await).await;
}
