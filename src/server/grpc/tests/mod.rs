//! A client of HTTP/2, with prost as the judge of what is in its messages.

mod buffered;
mod calls;
mod health;
mod hostile;
mod lifecycle;
mod limits;
mod raw;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::config::Limits;
use super::*;
use crate::PluginResult;
use crate::hooks::ToolPreInvoke;
use crate::server::tests::{echo, hook_reply, request};
use crate::server::{Handlers, PluginServer};

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

const INVOKE: &str = "/cpex.PluginService/InvokeHook";

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.expect("in time")
}

/// One HTTP/2 connection.
#[derive(Clone)]
struct Client {
    sender: SendRequest<Full<Bytes>>,
    ended: Arc<Notify>,
}

/// How a call ended.
#[derive(Debug)]
struct Answer {
    messages: Vec<Bytes>,
    code: u16,
    reason: String,
}

impl Client {
    async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let ended = Arc::new(Notify::new());
        let end = Arc::clone(&ended);
        tokio::spawn(async move {
            let _ = connection.await;
            end.notify_one();
        });
        Self { sender, ended }
    }

    async fn to(server: &GrpcServer) -> Self {
        Self::over(TcpStream::connect(server.local_addr().unwrap()).await.unwrap()).await
    }

    /// Sends these bytes as a call's body.
    async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::post(format!("http://server{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        self.sender.clone().send_request(request.body(Full::from(body)).unwrap()).await
    }

    async fn try_call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        message: &[u8],
    ) -> hyper::Result<Answer> {
        let response = self.send(path, headers, framed(message)).await?;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        Answer::of(response).await
    }

    async fn call(&self, path: &str, message: &[u8]) -> Answer {
        within(self.try_call(path, &[], message)).await.unwrap()
    }

    /// The reply to a call of `tool_pre_invoke` of `Echo`.
    async fn invoke(&self) -> Answer {
        self.call(INVOKE, &invocation()).await
    }

    async fn ended(&self) {
        within(self.ended.notified()).await;
    }
}

impl Answer {
    async fn of(response: Response<Incoming>) -> hyper::Result<Self> {
        let headers = response.headers().clone();
        let body = response.into_body().collect().await?;
        let trailers = body.trailers().cloned();
        let mut bytes = body.to_bytes();
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let prefix = bytes.split_to(5);
            assert_eq!(prefix[0], 0, "not compressed");
            let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
            messages.push(bytes.split_to(length as usize));
        }
        // What has no message has all in its headers.
        let status: &HeaderMap = trailers.as_ref().unwrap_or(&headers);
        let text = |name| status.get(name).map(|value| value.to_str().unwrap().to_owned());
        Ok(Self {
            messages,
            code: text("grpc-status").unwrap().parse().unwrap(),
            reason: text("grpc-message").unwrap_or_default(),
        })
    }

    fn message(&self) -> &[u8] {
        assert_eq!((self.code, self.messages.len()), (0, 1), "{}", self.reason);
        &self.messages[0]
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

fn invocation() -> Vec<u8> {
    request(json!({"name": "tool"})).encode_to_vec()
}

fn local() -> GrpcServerConfig {
    GrpcServerConfig::tcp("127.0.0.1:0".parse().unwrap())
}

/// A server of one connection over an in-memory pipe, for paused time.
struct InMemory {
    run: watch::Sender<Run>,
    memory: Arc<Memory>,
    served: JoinHandle<io::Result<()>>,
}

impl InMemory {
    fn start(builder: PluginServerBuilder, limits: Limits) -> (Self, DuplexStream) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (run, stop) = watch::channel(Run::Serve);
        let memory = Memory::new(limits.max_buffered, limits.max_connections);
        let shared = Shared {
            service: builder.build().unwrap(),
            tls: None,
            run: stop,
            serving: watch::channel(true).1,
            limits,
            memory: Arc::clone(&memory),
            refusals: Mutex::default(),
        };
        let served = tokio::spawn(connection::serve(Box::new(far), None, Arc::new(shared)));
        (Self { run, memory, served }, near)
    }

    /// Nothing is held any more, once all that is to be done is done.
    async fn holds_nothing(&self) {
        for _ in 0..1000 {
            if self.memory.held() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{} bytes are held", self.memory.held());
    }
}

/// Handlers that say when they begin and when they are gone, and wait for the gate between.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    gone: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

struct Gone(Arc<Semaphore>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl Gate {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { begun: closed(), gone: closed(), open: closed() }
    }

    fn server(&self) -> PluginServerBuilder {
        let gate = self.clone();
        let handlers = Handlers::new().on::<ToolPreInvoke>(move |_, _| {
            let gate = gate.clone();
            async move {
                let _gone = Gone(gate.gone);
                gate.begun.add_permits(1);
                gate.open.acquire().await?.forget();
                Ok(PluginResult::allow())
            }
        });
        PluginServer::builder().plugin("Echo", handlers)
    }

    /// Waits until so many more have begun.
    async fn begun(&self, count: u32) {
        within(self.begun.acquire_many(count)).await.unwrap().forget();
    }

    /// Waits until one more is gone.
    async fn gone(&self) {
        within(self.gone.acquire()).await.unwrap().forget();
    }
}

/// Starts a call that waits at the gate.
fn waiting_call(client: &Client) -> JoinHandle<hyper::Result<Answer>> {
    let client = client.clone();
    tokio::spawn(async move { client.try_call(INVOKE, &[], &invocation()).await })
}
