//! A plugin server at the other end of an in-memory pipe, driven by the test.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::counted::{Calls, Counted};
use super::knobs::Knobs;
use crate::call::Caller;
use crate::config::PluginConfig;
use crate::error::PluginError;
use crate::model::{PluginContext, PluginResult};
use crate::options::CallOptions;
use crate::unix::connect::{Connect, Connecting, Transport};
use crate::unix::place::Place;
use crate::wire::{codec as frame, proto};

pub(super) const PLUGIN: &str = "Guard";

/// What the next attempts to connect find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Door {
    Open,
    Refused,
    Busy,
    /// Neither yes nor no.
    Silent,
}

/// The listening side.
pub(super) struct Server {
    accepted: mpsc::UnboundedReceiver<DuplexStream>,
    door: Arc<std::sync::Mutex<Door>>,
    attempts: Arc<AtomicUsize>,
    path: Arc<Path>,
    /// What the client does to its ends of the pipes.
    pub(super) calls: Arc<Calls>,
}

/// What is to be found where the plugin should be.
#[derive(Default)]
struct Path {
    /// Which server; `None` is a path that is gone.
    leads_to: std::sync::Mutex<Option<u64>>,
    looks: AtomicUsize,
}

struct PipeConnector {
    pipes: mpsc::UnboundedSender<DuplexStream>,
    door: Arc<std::sync::Mutex<Door>>,
    attempts: Arc<AtomicUsize>,
    path: Arc<Path>,
    calls: Arc<Calls>,
    capacity: usize,
}

impl Connect for PipeConnector {
    fn connect(&self) -> Connecting {
        self.attempts.fetch_add(1, SeqCst);
        let door = *self.door.lock().unwrap();
        let (near, far) = tokio::io::duplex(self.capacity);
        if door == Door::Open {
            let _ = self.pipes.send(far);
        }
        let calls = Arc::clone(&self.calls);
        Box::pin(async move {
            match door {
                Door::Open => {
                    let transport: Box<dyn Transport> = Box::new(Counted::new(near, calls));
                    Ok(transport)
                }
                Door::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
                Door::Busy => Err(io::ErrorKind::WouldBlock.into()),
                Door::Silent => std::future::pending().await,
            }
        })
    }

    fn place(&self) -> Option<Place> {
        self.path.looks.fetch_add(1, SeqCst);
        self.path.leads_to.lock().unwrap().map(Place::numbered)
    }
}

/// One connection, as the server has it.
pub(super) struct Peer(pub(super) Framed<DuplexStream, LengthDelimitedCodec>);

pub(super) type Call = JoinHandle<Result<PluginResult<Value>, PluginError>>;

/// A configuration with one connection and short times, to be changed by the test.
pub(super) fn config(change: impl FnOnce(Knobs) -> Knobs) -> PluginConfig {
    let socket = Knobs::new("/run/guard.sock")
        .max_connections(1)
        .timeout(Duration::from_secs(10))
        .stall_limit(Duration::from_secs(2));
    change(socket).apply(PluginConfig::builder(PLUGIN)).build().unwrap()
}

/// A client and the server it will connect to, over pipes of `capacity` bytes.
pub(super) fn pair(config: &PluginConfig, capacity: usize) -> (Arc<Caller>, Server) {
    let (pipes, accepted) = mpsc::unbounded_channel();
    let door = Arc::new(std::sync::Mutex::new(Door::Open));
    let attempts = Arc::new(AtomicUsize::new(0));
    let calls = Arc::new(Calls::default());
    let path = Arc::new(Path::default());
    let connector = PipeConnector {
        pipes,
        door: Arc::clone(&door),
        attempts: Arc::clone(&attempts),
        path: Arc::clone(&path),
        calls: Arc::clone(&calls),
        capacity,
    };
    let client = Caller::new(config, Some(Arc::new(connector)), None, None);
    (Arc::new(client), Server { accepted, door, attempts, path, calls })
}

/// More than anything waits for, in paused time.
const LONG: Duration = Duration::from_secs(3_600);

impl Server {
    pub(super) fn set(&self, door: Door) {
        *self.door.lock().unwrap() = door;
    }

    /// From now on the path leads to the server of this number, or is gone.
    pub(super) fn leads_to(&self, number: Option<u64>) {
        *self.path.leads_to.lock().unwrap() = number;
    }

    /// How often the path was looked at.
    pub(super) fn looks(&self) -> usize {
        self.path.looks.load(SeqCst)
    }

    /// How often a connection was tried.
    pub(super) fn attempts(&self) -> usize {
        self.attempts.load(SeqCst)
    }

    /// Lets time pass until a connection was tried so often, however long the client happens to
    /// rest in between. Somebody must want one all the time.
    pub(super) async fn attempted(&self, count: usize) {
        const STEP: Duration = Duration::from_millis(100);
        for _ in 0..36_000 {
            if self.attempts() >= count {
                return;
            }
            tokio::time::advance(STEP).await;
            settle().await;
        }
        panic!("{} attempts of {count} within an hour", self.attempts());
    }

    pub(super) async fn accept(&mut self) -> Peer {
        Peer(Framed::new(self.accept_pipe().await, frame::codec(16 << 20)))
    }

    /// The server's end of a pipe as it is, for a script of the fault server.
    pub(super) async fn accept_pipe(&mut self) -> DuplexStream {
        let accepted = tokio::time::timeout(LONG, self.accepted.recv()).await;
        accepted.expect("nobody has connected for an hour").expect("the client is gone")
    }

    /// True if nobody has connected since the last accept.
    pub(super) fn nobody_came(&mut self) -> bool {
        self.accepted.is_empty()
    }
}

impl Peer {
    /// The marker of the next request; `None` if the client closed the connection.
    pub(super) async fn request(&mut self) -> Option<String> {
        let bytes = self.0.next().await?.ok()?;
        let request = proto::InvokeHookRequest::decode(bytes).unwrap();
        Some(marker_of(&request.payload.unwrap_or_default()))
    }

    /// The next request is a keep-alive probe: the question for the plugin's configuration.
    pub(super) async fn probe(&mut self) {
        let bytes = self.0.next().await.unwrap().unwrap();
        assert_eq!(proto::GetPluginConfigRequest::decode(bytes).unwrap().name, PLUGIN);
    }

    pub(super) async fn reply(&mut self, marker: &str) {
        self.send(reply(PLUGIN, marker)).await;
    }

    /// Answers whatever comes until the client closes the connection.
    pub(super) async fn serve(mut self) {
        while let Some(marker) = self.request().await {
            self.reply(&marker).await;
        }
    }

    pub(super) async fn send(&mut self, message: Bytes) {
        // The client may have closed the connection by now, as some tests want.
        let _ = self.0.send(message).await;
    }

    /// Bytes that are no frame of this server.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        use tokio::io::AsyncWriteExt;
        let _ = self.0.get_mut().write_all(bytes).await;
    }

    /// Sends no more, and goes on reading.
    pub(super) async fn end_writing(&mut self) {
        use tokio::io::AsyncWriteExt;
        self.0.get_mut().shutdown().await.unwrap();
    }

    /// True once the client has closed the connection.
    pub(super) async fn is_closed(&mut self) -> bool {
        !matches!(self.0.next().await, Some(Ok(_)))
    }
}

fn marker_of(payload: &prost_types::Struct) -> String {
    match payload.fields.get("marker").and_then(|value| value.kind.as_ref()) {
        Some(prost_types::value::Kind::StringValue(marker)) => marker.clone(),
        _ => String::new(),
    }
}

fn text(value: &str) -> prost_types::Value {
    prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(value.to_owned())) }
}

/// A reply that allows, with the marker as modified payload.
pub(super) fn response(plugin: &str, marker: &str) -> proto::InvokeHookResponse {
    let allow = prost_types::value::Kind::BoolValue(true);
    let fields = [
        ("continue_processing".to_owned(), prost_types::Value { kind: Some(allow) }),
        ("modified_payload".to_owned(), text(marker)),
    ];
    proto::InvokeHookResponse {
        plugin_name: plugin.to_owned(),
        result: Some(prost_types::Struct { fields: fields.into() }),
        ..Default::default()
    }
}

pub(super) fn reply(plugin: &str, marker: &str) -> Bytes {
    response(plugin, marker).encode_to_vec().into()
}

/// Calls with `marker`, padded to a request of about `size` bytes.
pub(super) fn call_sized(client: &Arc<Caller>, marker: &str, size: usize) -> Call {
    call_with(client, marker, size, CallOptions::new())
}

pub(super) fn call(client: &Arc<Caller>, marker: &str) -> Call {
    call_sized(client, marker, 0)
}

pub(super) fn call_with(
    client: &Arc<Caller>,
    marker: &str,
    size: usize,
    options: CallOptions,
) -> Call {
    let (client, marker) = (Arc::clone(client), marker.to_owned());
    tokio::spawn(async move { call_here(&client, &marker, size, options).await })
}

/// Calls in this task, so that what follows does so at once.
pub(super) async fn call_here(
    client: &Caller,
    marker: &str,
    size: usize,
    options: CallOptions,
) -> Result<PluginResult<Value>, PluginError> {
    let payload = json!({"marker": marker, "pad": "x".repeat(size)});
    let context = PluginContext::new(format!("request-{marker}"));
    client
        .invoke("test_hook", &payload, &context, options, |_| None)
        .await
        .map(|(result, _)| result)
}

/// What the call with this reply must have returned.
pub(super) async fn answer(call: Call) -> String {
    answer_of(call.await.unwrap())
}

/// Accepts a connection, and answers this call as the first on it.
pub(super) async fn served(server: &mut Server, call: Call, marker: &str) -> Peer {
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), marker);
    peer.reply(marker).await;
    assert_eq!(answer(call).await, marker);
    peer
}

pub(super) fn answer_of(outcome: Result<PluginResult<Value>, PluginError>) -> String {
    let result = outcome.unwrap();
    assert!(result.continue_processing);
    result.modified_payload.unwrap().as_str().unwrap().to_owned()
}

pub(super) async fn failure(call: Call) -> PluginError {
    call.await.unwrap().unwrap_err()
}

/// Lets every task run until all of them wait for something.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Takes `count` requests; the frames that answer them.
pub(super) async fn burst(peer: &mut Peer, count: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    for _ in 0..count {
        let marker = peer.request().await.unwrap();
        frames.extend_from_slice(&framed(&reply(PLUGIN, &marker)));
    }
    frames
}

/// A frame's bytes, to be cut into pieces.
pub(super) fn framed(message: &Bytes) -> BytesMut {
    use tokio_util::codec::Encoder;
    let mut bytes = BytesMut::new();
    frame::codec(16 << 20).encode(message.clone(), &mut bytes).unwrap();
    bytes
}

/// No socket has a call, and none waits for one.
pub(super) fn assert_nothing_is_bound(client: &Caller) {
    let stats = client.stats();
    assert_eq!((stats.in_flight, stats.queued, stats.waiting), (0, 0, 0), "{stats:?}");
}
