//! The call over gRPC, on TCP: a server that does nothing, hookwire, and tonic with the
//! protocol's own messages.
//!
//! Here tonic's client does what a gateway has to do around it: its types become JSON, and
//! JSON the messages, and back.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{SendResponse, handshake};
use hookwire::hooks::PromptPreFetchPayload;
use hookwire::{GrpcConfig, PluginConfig, PluginHandle};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Channel, Endpoint};

use super::tonic::proto::plugin_service_client::PluginServiceClient;
use super::tonic::proto::{GlobalContext, InvokeHookRequest, PluginContext};
use crate::common::sample;
use crate::load::Call;

/// As the default of a call through hookwire.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server that answers every request with the same bytes, on a thread of its own.
pub fn serve() -> SocketAddr {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            ready.send(listener.local_addr().expect("an address")).expect("somebody waits");
            let reply = message(&sample::reply_frame(&sample::payload())[4..]);
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_connection(stream, reply.clone()));
            }
        });
    });
    is_ready.recv().expect("the server starts")
}

/// Without compression, and with its length.
fn message(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).expect("the sample is small");
    [&[0], &length.to_be_bytes()[..], bytes].concat().into()
}

/// An error ends the connection, and the client tells of it.
async fn serve_connection(stream: TcpStream, reply: Bytes) -> Result<(), h2::Error> {
    stream.set_nodelay(true).expect("a TCP socket");
    let mut connection = handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        // A check of the server's health is answered with an empty message: it is there.
        let is_check = request.uri().path().ends_with("/Check");
        let reply = if is_check { message(&[]) } else { reply.clone() };
        tokio::spawn(answer(request, respond, reply));
    }
    Ok(())
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    reply: Bytes,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        body.flow_control().release_capacity(bytes.len())?;
    }
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(reply, false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

/// A handle to that server: nothing is asked, the first call connects.
pub fn handle(server: SocketAddr) -> PluginHandle {
    let grpc = GrpcConfig::builder().target(server.to_string()).max_in_flight(1024);
    let config = PluginConfig::builder(sample::PLUGIN).hook(sample::HOOK).grpc(grpc).build();
    PluginHandle::connect_lazy(config.expect("a valid configuration"))
}

/// A caller through tonic.
#[derive(Clone)]
pub struct TonicWithJson {
    client: PluginServiceClient<Channel>,
    payload: Arc<PromptPreFetchPayload>,
}

/// As much of a result as callers look at.
#[derive(Deserialize)]
#[allow(dead_code)]
struct HookResult {
    continue_processing: bool,
    modified_payload: Option<PromptPreFetchPayload>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

impl TonicWithJson {
    pub async fn connect(server: SocketAddr) -> Self {
        let endpoint = Endpoint::try_from(format!("http://{server}")).expect("an address");
        let channel = endpoint.connect().await.expect("the server listens");
        let payload = Arc::new(sample::payload());
        Self { client: PluginServiceClient::new(channel), payload }
    }
}

impl Call for TonicWithJson {
    async fn call(&mut self) {
        let payload = serde_json::to_value(&*self.payload).expect("the sample is JSON");
        let request_id = sample::context().global_context.request_id;
        let global_context = GlobalContext { request_id, ..GlobalContext::default() };
        let mut request = tonic::Request::new(InvokeHookRequest {
            hook_type: sample::HOOK.to_owned(),
            plugin_name: sample::PLUGIN.to_owned(),
            payload: structure(payload),
            context: Some(PluginContext {
                global_context: Some(global_context),
                ..PluginContext::default()
            }),
        });
        request.set_timeout(TIMEOUT);
        let reply = self.client.invoke_hook(request).await.expect("the server answers");
        let result = reply.into_inner().result.expect("the sample has a result");
        let result: HookResult = serde_json::from_value(object(result)).expect("the sample");
        black_box(result);
    }
}

fn structure(value: Value) -> Option<Struct> {
    let Value::Object(object) = value else { return None };
    let field = |(name, value)| (name, prost_types::Value { kind: Some(kind(value)) });
    Some(Struct { fields: object.into_iter().map(field).collect() })
}

fn kind(value: Value) -> Kind {
    match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Value::String(value) => Kind::StringValue(value),
        Value::Array(values) => {
            let item = |value| prost_types::Value { kind: Some(kind(value)) };
            Kind::ListValue(ListValue { values: values.into_iter().map(item).collect() })
        }
        object => structure(object).map_or(Kind::NullValue(0), Kind::StructValue),
    }
}

fn object(structure: Struct) -> Value {
    let field = |(name, value): (String, prost_types::Value)| (name, json(value));
    Value::Object(structure.fields.into_iter().map(field).collect())
}

fn json(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => value.into(),
        Some(Kind::StringValue(value)) => value.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(value)) => object(value),
    }
}
