//! A client of raw frames, with prost as the judge of what is in them.

mod hooks;
mod kinds;
mod lifecycle;
mod pipelining;
mod socket;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use super::{Handlers, PluginServer, PluginServerBuilder};
use crate::PluginResult;
use crate::hooks::ToolPreInvoke;
use crate::wire::proto::{
    GetPluginConfigRequest, GetPluginConfigResponse, GetPluginConfigsResponse, GlobalContext,
    InvokeHookRequest, InvokeHookResponse, PluginContext, PluginError,
};

struct Client<S>(S);

impl Client<DuplexStream> {
    /// A client of a server of its own.
    fn of(builder: PluginServerBuilder) -> Self {
        let service = builder.build().unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move { service.serve_stream(far).await });
        Self(near)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, message: &[u8]) {
        self.0.write_all(&frame(message)).await.unwrap();
    }

    async fn receive(&mut self) -> Vec<u8> {
        let length = self.0.read_u32().await.unwrap();
        let mut message = vec![0; length as usize];
        self.0.read_exact(&mut message).await.unwrap();
        message
    }

    async fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message).await;
        self.receive().await
    }

    async fn invoke(&mut self, request: &InvokeHookRequest) -> InvokeHookResponse {
        hook_reply(&self.ask(&request.encode_to_vec()).await)
    }

    /// Calls `tool_pre_invoke` of `Echo` and gives the arguments that came back.
    async fn echo(&mut self, args: Value) -> Value {
        let reply = self.invoke(&request(json!({"name": "tool", "args": args}))).await;
        result(&reply)["modified_payload"]["args"].clone()
    }

    async fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]).await, Ok(0) | Err(_))
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes(), message].concat()
}

pub(super) fn hook_reply(message: &[u8]) -> InvokeHookResponse {
    InvokeHookResponse::decode(message).unwrap()
}

/// A server with a plugin `Echo` that gives every tool's payload back.
pub(super) fn echo() -> PluginServerBuilder {
    let echo = Handlers::new()
        .on::<ToolPreInvoke>(|payload, _| async move { Ok(PluginResult::modify(payload)) });
    PluginServer::builder().plugin("Echo", echo)
}

/// A call of `tool_pre_invoke` of `Echo`.
pub(super) fn request(payload: Value) -> InvokeHookRequest {
    InvokeHookRequest {
        hook_type: "tool_pre_invoke".into(),
        plugin_name: "Echo".into(),
        payload: Some(structure(&payload)),
        context: Some(PluginContext {
            global_context: Some(GlobalContext {
                request_id: "req-1".into(),
                ..GlobalContext::default()
            }),
            ..PluginContext::default()
        }),
    }
}

pub(super) fn result(reply: &InvokeHookResponse) -> Value {
    assert_eq!(reply.error, None);
    assert_eq!(reply.plugin_name, "Echo");
    from_structure(reply.result.as_ref().unwrap())
}

pub(super) fn error(reply: &InvokeHookResponse) -> &PluginError {
    assert_eq!(reply.result, None);
    assert_eq!(reply.context, None);
    reply.error.as_ref().unwrap()
}

fn structure(object: &Value) -> Struct {
    let fields = object.as_object().unwrap().iter();
    Struct { fields: fields.map(|(key, value)| (key.clone(), to_value(value))).collect() }
}

fn to_value(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() })
        }
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn from_structure(object: &Struct) -> Value {
    let fields = object.fields.iter();
    Value::Object(
        fields.map(|(key, value)| (key.clone(), from_value(value))).collect::<Map<_, _>>(),
    )
}

/// Numbers come back as integers where they are some, as in the requests here.
fn from_value(value: &prost_types::Value) -> Value {
    match value.kind.as_ref().unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(value) => json!(value),
        Kind::NumberValue(value) if value.fract() == 0.0 => json!(*value as i64),
        Kind::NumberValue(value) => json!(value),
        Kind::StringValue(value) => json!(value),
        Kind::ListValue(list) => list.values.iter().map(from_value).collect(),
        Kind::StructValue(object) => from_structure(object),
    }
}
