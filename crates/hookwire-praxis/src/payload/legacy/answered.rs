//! A plugin's answer, put into the engine's message. What a legacy payload cannot say stays as
//! it was.

use praxis_policy_core::cmf::{
    ContentPart, Message, MessagePayload, PromptRequest, PromptResult, Resource, ResourceReference,
    Role, ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Answered, Refusal, shows_error};

const INCOMPLETE: Refusal = "the plugin's changed payload leaves out what its hook needs";

/// A rendered prompt as a plugin may return it.
#[derive(Deserialize)]
struct Rendered {
    messages: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    role: Role,
    content: Text,
}

#[derive(Deserialize)]
struct Text {
    r#type: String,
    text: String,
}

/// A resource's content as a plugin may return it.
#[derive(Deserialize)]
struct Content {
    text: Option<String>,
    uri: Option<String>,
    mime_type: Option<String>,
    blob: Option<serde::de::IgnoredAny>,
}

impl Answered {
    /// The message with these changes; it is the one that was sent, and has one part. What the
    /// answer replaces is not copied first.
    pub(crate) fn applied_to(self, message: &Message) -> Result<MessagePayload, Refusal> {
        let part = match message.content.as_slice() {
            [ContentPart::ToolCall { content }] => {
                ContentPart::ToolCall { content: self.tool_call(content)? }
            }
            [ContentPart::ToolResult { content }] => {
                ContentPart::ToolResult { content: self.tool_result(content)? }
            }
            [ContentPart::PromptRequest { content }] => {
                ContentPart::PromptRequest { content: self.prompt_request(content)? }
            }
            [ContentPart::PromptResult { content }] => {
                ContentPart::PromptResult { content: self.prompt_result(content)? }
            }
            [ContentPart::ResourceRef { content }] => {
                let uri = self.uri.ok_or(INCOMPLETE)?;
                ContentPart::ResourceRef { content: ResourceReference { uri, ..content.clone() } }
            }
            [ContentPart::Resource { content }] => {
                ContentPart::Resource { content: self.resource(content)? }
            }
            _ => return Err(INCOMPLETE),
        };
        let Message { schema_version, role, channel, content: _ } = message;
        let (schema_version, role, channel) = (schema_version.clone(), *role, *channel);
        let message = Message { schema_version, role, content: vec![part], channel };
        Ok(MessagePayload { message })
    }

    fn tool_call(self, call: &ToolCall) -> Result<ToolCall, Refusal> {
        if self.headers.is_some() {
            return Err("the engine's message has no place for headers of a tool call");
        }
        Ok(ToolCall {
            tool_call_id: call.tool_call_id.clone(),
            name: self.name.ok_or(INCOMPLETE)?,
            // An absent one and null are "none", in the plugins' own types too.
            arguments: self.args.unwrap_or_default(),
            namespace: call.namespace.clone(),
        })
    }

    fn tool_result(self, result: &ToolResult) -> Result<ToolResult, Refusal> {
        let content = self.result.ok_or(INCOMPLETE)?;
        Ok(ToolResult {
            tool_call_id: result.tool_call_id.clone(),
            tool_name: self.name.ok_or(INCOMPLETE)?,
            // A failure cannot be made a success by content that does not tell of it.
            is_error: result.is_error || shows_error(&content),
            content,
        })
    }

    fn prompt_request(self, request: &PromptRequest) -> Result<PromptRequest, Refusal> {
        Ok(PromptRequest {
            prompt_request_id: request.prompt_request_id.clone(),
            name: self.prompt_id.ok_or(INCOMPLETE)?,
            arguments: self.args.unwrap_or_default(),
            server_id: request.server_id.clone(),
        })
    }

    fn prompt_result(self, result: &PromptResult) -> Result<PromptResult, Refusal> {
        const TEXTS: Refusal = "the plugin's rendered prompt is no list of texts";
        let rendered = Rendered::deserialize(self.result.ok_or(INCOMPLETE)?).map_err(|_| TEXTS)?;
        let texts = rendered.messages.into_iter().map(|line| match line.content.r#type.as_str() {
            "text" => Ok(Message::text(line.role, line.content.text)),
            _ => Err(TEXTS),
        });
        Ok(PromptResult {
            prompt_request_id: result.prompt_request_id.clone(),
            prompt_name: self.prompt_id.ok_or(INCOMPLETE)?,
            messages: texts.collect::<Result<_, _>>()?,
            content: result.content.clone(),
            is_error: result.is_error,
            error_message: result.error_message.clone(),
        })
    }

    fn resource(self, resource: &Resource) -> Result<Resource, Refusal> {
        let uri = self.uri.ok_or(INCOMPLETE)?;
        let Some(content) = self.content else {
            // Before it is read.
            if resource.is_embedded() && uri != resource.uri {
                return Err("the plugin changed the address of a resource that was read already");
            }
            return Ok(Resource { uri, ..resource.clone() });
        };
        let content = match content {
            Value::String(text) => {
                Content { text: Some(text), uri: None, mime_type: None, blob: None }
            }
            other => Content::deserialize(other)
                .map_err(|_| "the plugin's changed content is no resource's")?,
        };
        if content.blob.is_some() {
            return Err("a resource's binary content is not taken from a plugin server");
        }
        let text = content.text.ok_or("the plugin's changed content has no text")?;
        Ok(Resource {
            resource_request_id: resource.resource_request_id.clone(),
            uri: content.uri.unwrap_or(uri),
            name: resource.name.clone(),
            description: resource.description.clone(),
            resource_type: resource.resource_type,
            blob: None,
            mime_type: content.mime_type.or_else(|| resource.mime_type.clone()),
            size_bytes: resource.size_bytes.and(u64::try_from(text.len()).ok()),
            annotations: resource.annotations.clone(),
            version: resource.version.clone(),
            content: Some(text),
        })
    }
}
