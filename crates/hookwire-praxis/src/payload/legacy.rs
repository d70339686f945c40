//! The payloads from before there were messages: what most plugins of today implement.
//!
//! They say less than a message does. What they cannot say is refused, before anything is
//! sent: a plugin that is not shown all of a request would judge another one.

use std::collections::HashMap;
use std::marker::PhantomData;

use hookwire::{PluginContext, PluginHandle};
use praxis_policy_core::cmf::{ContentPart, Message, Role};
use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Refusal};
use crate::hook::Hook;
use crate::settings::Namespace;

mod answered;

/// A payload, borrowed from the engine's message.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Outgoing<'a> {
    ToolPre { name: &'a str, args: &'a HashMap<String, Value> },
    ToolPost { name: &'a str, result: &'a Value },
    PromptPre { prompt_id: &'a str, args: HashMap<&'a str, &'a str> },
    PromptPost { prompt_id: &'a str, result: Rendered<'a> },
    ResourcePre { uri: &'a str },
    ResourcePost { uri: &'a str, content: Content<'a> },
}

/// A rendered prompt, as MCP has it.
#[derive(Serialize)]
pub(crate) struct Rendered<'a> {
    messages: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    role: Role,
    content: Text<'a>,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: &'a str,
}

/// A resource that was read.
#[derive(Serialize)]
pub(crate) struct Content<'a> {
    r#type: &'static str,
    id: &'a str,
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    text: &'a str,
}

/// What came back in place of a payload: of any of the hooks, so each of the fields may be
/// missing.
#[derive(Deserialize)]
pub(crate) struct Answered {
    name: Option<String>,
    args: Option<HashMap<String, Value>>,
    headers: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "even_null")]
    result: Option<Value>,
    prompt_id: Option<String>,
    uri: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    content: Option<Value>,
}

/// Null is a value here.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The hook at this place of [`Hook::ALL`].
struct Legacy<'a, const HOOK: usize>(PhantomData<&'a ()>);

impl<'a, const HOOK: usize> hookwire::Hook for Legacy<'a, HOOK> {
    const NAME: &'static str = match Hook::ALL[HOOK].legacy() {
        Some(name) => name,
        None => panic!("a hook without a legacy payload"),
    };
    type Payload = Outgoing<'a>;
    type Modified = Answered;
}

/// Asks the server about a payload. The payload knows its hook.
pub(crate) async fn ask(
    handle: &PluginHandle,
    payload: &Outgoing<'_>,
    context: &PluginContext,
) -> Answer<Answered> {
    use Outgoing as Out;
    match payload {
        Out::ToolPre { .. } => {
            handle
                .invoke_hook_shared::<Legacy<'_, { Hook::ToolPre as usize }>>(payload, context)
                .await
        }
        Out::ToolPost { .. } => {
            handle
                .invoke_hook_shared::<Legacy<'_, { Hook::ToolPost as usize }>>(payload, context)
                .await
        }
        Out::PromptPre { .. } => {
            handle
                .invoke_hook_shared::<Legacy<'_, { Hook::PromptPre as usize }>>(payload, context)
                .await
        }
        Out::PromptPost { .. } => {
            handle
                .invoke_hook_shared::<Legacy<'_, { Hook::PromptPost as usize }>>(payload, context)
                .await
        }
        Out::ResourcePre { .. } => {
            handle
                .invoke_hook_shared::<Legacy<'_, { Hook::ResourcePre as usize }>>(payload, context)
                .await
        }
        Out::ResourcePost { .. } => {
            handle
                .invoke_hook_shared::<Legacy<'_, { Hook::ResourcePost as usize }>>(payload, context)
                .await
        }
    }
}

/// The payload that says what this message says, or why there is none.
pub(crate) fn outgoing(
    hook: Hook,
    message: &Message,
    namespace: Namespace,
) -> Result<Outgoing<'_>, Refusal> {
    let [part] = message.content.as_slice() else {
        return Err("a legacy payload says a message of exactly one part");
    };
    match (hook, part) {
        (Hook::ToolPre, ContentPart::ToolCall { content: call }) => {
            let named = call.namespace.as_deref().is_some_and(|namespace| !namespace.is_empty());
            if named && namespace == Namespace::Refuse {
                return Err("a legacy payload cannot say a tool's namespace (`config.namespace`)");
            }
            Ok(Outgoing::ToolPre { name: &call.name, args: &call.arguments })
        }
        (Hook::ToolPost, ContentPart::ToolResult { content: result }) => {
            if result.is_error && !shows_error(&result.content) {
                return Err("a legacy payload cannot say that a tool failed");
            }
            Ok(Outgoing::ToolPost { name: &result.tool_name, result: &result.content })
        }
        (Hook::PromptPre, ContentPart::PromptRequest { content: request }) => {
            if request.server_id.is_some() {
                return Err("a legacy payload cannot say a prompt's server");
            }
            let texts = request.arguments.iter().map(|(name, value)| match value {
                Value::String(text) => Ok((name.as_str(), text.as_str())),
                _ => Err("a legacy payload's arguments of a prompt are texts"),
            });
            Ok(Outgoing::PromptPre {
                prompt_id: &request.name,
                args: texts.collect::<Result<_, _>>()?,
            })
        }
        (Hook::PromptPost, ContentPart::PromptResult { content: result }) => {
            if result.content.is_some() || result.is_error || result.error_message.is_some() {
                return Err("a legacy payload says a rendered prompt in messages, and no failure");
            }
            let messages = result.messages.iter().map(line).collect::<Result<_, _>>()?;
            Ok(Outgoing::PromptPost {
                prompt_id: &result.prompt_name,
                result: Rendered { messages },
            })
        }
        (Hook::ResourcePre, ContentPart::ResourceRef { content: resource }) => {
            Ok(Outgoing::ResourcePre { uri: &resource.uri })
        }
        (Hook::ResourcePre, ContentPart::Resource { content: resource }) => {
            if resource.version.is_some() {
                return Err("a legacy payload cannot say a resource's version");
            }
            Ok(Outgoing::ResourcePre { uri: &resource.uri })
        }
        (Hook::ResourcePost, ContentPart::Resource { content: resource }) => {
            if resource.version.is_some() || resource.blob.is_some() {
                return Err("a legacy payload cannot say a resource's version or binary content");
            }
            let Some(text) = &resource.content else {
                return Err("a legacy payload cannot say a resource without its content");
            };
            let content = Content {
                r#type: "resource",
                id: &resource.resource_request_id,
                uri: &resource.uri,
                mime_type: resource.mime_type.as_deref(),
                text,
            };
            Ok(Outgoing::ResourcePost { uri: &resource.uri, content })
        }
        _ => Err("the message has no part that this hook's legacy payload could say"),
    }
}

fn line(message: &Message) -> Result<Line<'_>, Refusal> {
    match (message.content.as_slice(), message.channel, message.role) {
        ([ContentPart::Text { text }], None, role @ (Role::User | Role::Assistant)) => {
            Ok(Line { role, content: Text { r#type: "text", text } })
        }
        _ => Err("a legacy payload's rendered prompt has texts of users and assistants only"),
    }
}

/// As MCP's results do.
fn shows_error(content: &Value) -> bool {
    content.get("isError").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests;
