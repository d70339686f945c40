//! The params of a request as the payload of its hook, and back.

use std::collections::BTreeMap;

use hookwire::hooks::{
    Applies, PromptPreFetch, PromptPreFetchPayload, ResourcePreFetch, ResourcePreFetchPayload,
    ToolPreInvoke, ToolPreInvokePayload,
};
use hookwire::model::{Headers, Object};
use hookwire_gateway::ChainHook;
use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::document::Document;
use crate::proto::{HeaderMutation, McpHeader};
use crate::refusal::Refusal;

const ARGUMENTS: &str = "arguments";

/// A hook before a request goes on.
pub(crate) trait PreHook: ChainHook<Payload: DeserializeOwned> + Applies {
    fn payload(params: &Document) -> Result<Self::Payload, Refusal>;

    /// The tool's or prompt's name, or the resource's address.
    fn subject(payload: &Self::Payload) -> &str;

    /// Makes the params say what the payload does; true if that changes them.
    fn write(payload: &Self::Payload, params: &mut Document) -> Result<bool, Refusal>;

    /// Headers for the MCP server.
    fn headers(_payload: &Self::Payload) -> Result<Option<HeaderMutation>, Refusal> {
        Ok(None)
    }
}

impl PreHook for ToolPreInvoke {
    fn payload(params: &Document) -> Result<ToolPreInvokePayload, Refusal> {
        let payload = ToolPreInvokePayload::new(required(params, "name")?);
        Ok(match arguments(params)? {
            Some(arguments) => payload.with_args(arguments.to_object().map_err(malformed)?),
            None => payload,
        })
    }

    fn subject(payload: &ToolPreInvokePayload) -> &str {
        &payload.name
    }

    fn write(payload: &ToolPreInvokePayload, params: &mut Document) -> Result<bool, Refusal> {
        let name = rename(params, "name", &payload.name)?;
        let arguments = set_arguments(params, payload.args.clone().unwrap_or_default())?;
        Ok(name || arguments)
    }

    fn headers(payload: &ToolPreInvokePayload) -> Result<Option<HeaderMutation>, Refusal> {
        // None were sent, so all are the plugins' own.
        payload.headers.as_ref().filter(|headers| !headers.is_empty()).map(mutation).transpose()
    }
}

impl PreHook for PromptPreFetch {
    fn payload(params: &Document) -> Result<PromptPreFetchPayload, Refusal> {
        let payload = PromptPreFetchPayload::new(required(params, "name")?);
        let Some(arguments) = arguments(params)? else { return Ok(payload) };
        let text = |(name, value)| match value {
            Value::String(value) => Ok((name, value)),
            _ => Err(Refusal::Malformed("the arguments of a prompt are texts")),
        };
        let arguments = arguments.to_object().map_err(malformed)?;
        let arguments: BTreeMap<_, _> =
            arguments.into_iter().map(text).collect::<Result<_, _>>()?;
        Ok(payload.with_args(arguments))
    }

    fn subject(payload: &PromptPreFetchPayload) -> &str {
        &payload.prompt_id
    }

    fn write(payload: &PromptPreFetchPayload, params: &mut Document) -> Result<bool, Refusal> {
        let name = rename(params, "name", &payload.prompt_id)?;
        let arguments = payload.args.iter().flatten();
        let arguments = arguments.map(|(name, value)| (name.clone(), value.clone().into()));
        let arguments = set_arguments(params, arguments.collect())?;
        Ok(name || arguments)
    }
}

impl PreHook for ResourcePreFetch {
    fn payload(params: &Document) -> Result<ResourcePreFetchPayload, Refusal> {
        required(params, "uri").map(ResourcePreFetchPayload::new)
    }

    fn subject(payload: &ResourcePreFetchPayload) -> &str {
        &payload.uri
    }

    fn write(payload: &ResourcePreFetchPayload, params: &mut Document) -> Result<bool, Refusal> {
        rename(params, "uri", &payload.uri)
    }
}

fn required(params: &Document, field: &str) -> Result<String, Refusal> {
    let missing = Refusal::Malformed("the params have no name, or no address, that is a text");
    params.read(field).ok().flatten().ok_or(missing)
}

fn arguments(params: &Document) -> Result<Option<Document>, Refusal> {
    params.read(ARGUMENTS).map_err(|_| Refusal::Malformed("the arguments are no object"))
}

fn set_arguments(params: &mut Document, after: Object) -> Result<bool, Refusal> {
    // None and none of them are the same to a tool, and to plugins.
    let mut arguments = arguments(params)?.unwrap_or_default();
    let before = arguments.to_object().map_err(malformed)?;
    let changed = arguments.update(&before, after).map_err(unsayable)?;
    if changed {
        params.set(ARGUMENTS, &arguments).map_err(unsayable)?;
    }
    Ok(changed)
}

fn rename(params: &mut Document, field: &str, after: &str) -> Result<bool, Refusal> {
    let changed = required(params, field)? != after;
    if changed {
        params.set(field, &after).map_err(unsayable)?;
    }
    Ok(changed)
}

fn mutation(headers: &Headers) -> Result<HeaderMutation, Refusal> {
    // The gateway would leave out what is none of HTTP, and go on without.
    let known = |(name, value): (&String, &String)| {
        HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
    };
    if !headers.iter().all(known) {
        return Err(Refusal::Unsayable("a header is none of HTTP: its name, or its value"));
    }
    let header = |(key, value): (&String, &String)| McpHeader {
        key: key.clone(),
        value: value.clone().into_bytes().into(),
    };
    Ok(HeaderMutation { set: headers.iter().map(header).collect(), remove: Vec::new() })
}

fn malformed(_: serde_json::Error) -> Refusal {
    Refusal::Malformed("the arguments cannot be read")
}

fn unsayable(_: serde_json::Error) -> Refusal {
    Refusal::Unsayable("it cannot be written as JSON")
}
