//! Requests as the server sees them, and replies that are right or wrong on purpose.
//!
//! prost and the schema's own generated types, not a line of the crate under test.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// The generated messages.
pub mod proto {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/cpex.rs"));
}

/// A request, told from the others as the reference server does it.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A hook call.
    Hook(Box<proto::InvokeHookRequest>),
    /// The question for the configuration of the plugin of this name.
    Config(String),
    /// The question for all configurations.
    Configs,
    /// Anything else, as it came.
    Unknown(Vec<u8>),
}

impl Request {
    /// Reads a message, without its frame.
    pub fn read(message: &[u8]) -> Self {
        if let Ok(hook) = proto::InvokeHookRequest::decode(message)
            && !hook.hook_type.is_empty()
            && !hook.plugin_name.is_empty()
        {
            return Self::Hook(Box::new(hook));
        }
        match proto::GetPluginConfigRequest::decode(message) {
            Ok(request) if !request.name.is_empty() => Self::Config(request.name),
            Ok(_) if message.len() <= 2 => Self::Configs,
            _ => Self::Unknown(message.to_vec()),
        }
    }

    /// Reads the message of a gRPC method, which is known by its path.
    pub(crate) fn of_method(path: &str, message: &[u8]) -> Self {
        let request = match path {
            "/cpex.PluginService/InvokeHook" => {
                proto::InvokeHookRequest::decode(message).map(|hook| Self::Hook(Box::new(hook)))
            }
            "/cpex.PluginService/GetPluginConfig" => proto::GetPluginConfigRequest::decode(message)
                .map(|request| Self::Config(request.name)),
            "/cpex.PluginService/GetPluginConfigs" => Ok(Self::Configs),
            _ => return Self::Unknown(message.to_vec()),
        };
        request.unwrap_or_else(|_| Self::Unknown(message.to_vec()))
    }

    /// The payload of a hook call.
    pub fn payload(&self) -> Struct {
        match self {
            Self::Hook(hook) => hook.payload.clone().unwrap_or_default(),
            _ => Struct::default(),
        }
    }

    /// The payload's `args.marker`, or nothing.
    pub fn marker(&self) -> &str {
        match self {
            Self::Hook(hook) => argument(hook, "marker").unwrap_or_default(),
            _ => "",
        }
    }

    /// The request id in a hook call's context, or nothing.
    pub fn request_id(&self) -> &str {
        let Self::Hook(hook) = self else { return "" };
        let global = hook.context.as_ref().and_then(|context| context.global_context.as_ref());
        global.map_or("", |global| &global.request_id)
    }

    /// The context that a reply brings back: the request's own, unless there is nothing in it.
    fn context(&self) -> Option<proto::PluginContext> {
        let Self::Hook(hook) = self else { return None };
        let context = hook.context.as_ref()?;
        let global = context.global_context.as_ref().and_then(|global| global.state.as_ref());
        let objects = [context.state.as_ref(), context.metadata.as_ref(), global].into_iter();
        objects.flatten().any(|object| !object.fields.is_empty()).then(|| context.clone())
    }

    fn plugin(&self) -> &str {
        match self {
            Self::Hook(hook) => &hook.plugin_name,
            _ => "",
        }
    }
}

/// A string among the payload's `args`.
pub fn argument<'a>(hook: &'a proto::InvokeHookRequest, name: &str) -> Option<&'a str> {
    let args = hook.payload.as_ref()?.fields.get("args")?;
    let Some(Kind::StructValue(args)) = &args.kind else { return None };
    match args.fields.get(name)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The reply to a hook call; right until something is changed.
#[derive(Debug, Clone)]
pub struct Reply(pub proto::InvokeHookResponse);

impl Reply {
    /// Allows, and gives the payload and the context back unchanged.
    pub fn to(request: &Request) -> Self {
        let result = fields([
            ("continue_processing", Kind::BoolValue(true)),
            ("modified_payload", Kind::StructValue(request.payload())),
        ]);
        Self(proto::InvokeHookResponse {
            plugin_name: request.plugin().to_owned(),
            result: Some(result),
            context: request.context(),
            ..Default::default()
        })
    }

    /// Denies, with a violation.
    pub fn denial(request: &Request) -> Self {
        let violation = fields([
            ("reason", Kind::StringValue("denied".into())),
            ("description", Kind::StringValue("this plugin denies everything".into())),
            ("code", Kind::StringValue("DENIED".into())),
        ]);
        let mut reply = Self::to(request);
        reply.0.result = Some(fields([
            ("continue_processing", Kind::BoolValue(false)),
            ("violation", Kind::StructValue(violation)),
        ]));
        reply
    }

    /// Fails in the plugin's own words.
    pub fn error(request: &Request, message: &str) -> Self {
        let mut reply = Self::to(request);
        reply.0.result = None;
        reply.0.context = None;
        reply.0.error =
            Some(proto::PluginError { message: message.to_owned(), ..Default::default() });
        reply
    }

    /// Neither a result nor an error.
    pub fn empty(request: &Request) -> Self {
        let mut reply = Self::to(request);
        reply.0.result = None;
        reply
    }

    /// Brings a context back: the `key` of its state, and of the global state, is `value`.
    pub fn with_state(mut self, request_id: &str, key: &str, value: &str) -> Self {
        let state = || Some(fields([(key, Kind::StringValue(value.to_owned()))]));
        self.0.context = Some(proto::PluginContext {
            global_context: Some(proto::GlobalContext {
                request_id: request_id.to_owned(),
                state: state(),
                ..Default::default()
            }),
            state: state(),
            metadata: None,
        });
        self
    }

    /// Brings no context back.
    pub fn without_context(mut self) -> Self {
        self.0.context = None;
        self
    }

    /// The metadata that comes back, to be changed.
    pub fn metadata(&mut self) -> &mut Struct {
        self.0.context.get_or_insert_default().metadata.get_or_insert_default()
    }

    /// Comes in the name of another plugin.
    pub fn named(mut self, name: &str) -> Self {
        self.0.plugin_name = name.to_owned();
        self
    }

    /// The verdict is another, or `None`: it is missing.
    pub fn with_verdict(mut self, verdict: Option<Kind>) -> Self {
        let result = self.0.result.get_or_insert_default();
        match verdict {
            Some(kind) => result.fields.insert("continue_processing".into(), value(kind)),
            None => result.fields.remove("continue_processing"),
        };
        self
    }

    /// The reply as it goes onto the socket.
    pub fn frame(&self) -> Vec<u8> {
        frame(&self.0.encode_to_vec())
    }
}

/// What an honest server says.
pub(crate) fn answer(request: &Request) -> Vec<u8> {
    match request {
        Request::Hook(_) => Reply::to(request).0.encode_to_vec(),
        Request::Config(name) => config_reply(name, &["tool_pre_invoke"]),
        Request::Configs => Vec::new(),
        Request::Unknown(_) => {
            let error = proto::PluginError {
                message: "Unknown message type".into(),
                code: "UNKNOWN_MESSAGE".into(),
                ..Default::default()
            };
            proto::InvokeHookResponse { error: Some(error), ..Default::default() }.encode_to_vec()
        }
    }
}

/// The configuration of a plugin, as a reply to the question for it.
pub fn config_reply(name: &str, hooks: &[&str]) -> Vec<u8> {
    let hooks = hooks.iter().map(|hook| value(Kind::StringValue((*hook).to_owned()))).collect();
    let config = fields([
        ("name", Kind::StringValue(name.to_owned())),
        ("hooks", Kind::ListValue(ListValue { values: hooks })),
    ]);
    proto::GetPluginConfigResponse { found: true, config: Some(config) }.encode_to_vec()
}

/// A message as it goes onto the socket.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message that fits a frame");
    [&length.to_be_bytes(), message].concat()
}

/// A Struct with these fields.
pub fn fields<const N: usize>(fields: [(&str, Kind); N]) -> Struct {
    Struct { fields: fields.into_iter().map(|(key, kind)| (key.to_owned(), value(kind))).collect() }
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}
