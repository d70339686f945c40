//! A plugin's answer, put into the engine's message. What a legacy payload cannot say stays as
//! it was.

use praxis_policy_core::cmf::{
    ContentPart, Message, MessagePayload, PromptResult, Resource, Role, ToolResult,
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
    /// The message with these changes; it is the one that was sent, and has one part.
    pub(crate) fn applied_to(self, message: &Message) -> Result<MessagePayload, Refusal> {
        let mut message = message.clone();
        let Some(part) = message.content.first_mut() else { return Err(INCOMPLETE) };
        match part {
            ContentPart::ToolCall { content: call } => {
                if self.headers.is_some() {
                    return Err("the engine's message has no place for headers of a tool call");
                }
                call.name = self.name.ok_or(INCOMPLETE)?;
                // An absent one and null are "none", in the plugins' own types too.
                call.arguments = self.args.unwrap_or_default();
            }
            ContentPart::ToolResult { content } => self.tool_result(content)?,
            ContentPart::PromptRequest { content: request } => {
                request.name = self.prompt_id.ok_or(INCOMPLETE)?;
                request.arguments = self.args.unwrap_or_default();
            }
            ContentPart::PromptResult { content } => self.prompt_result(content)?,
            ContentPart::ResourceRef { content: resource } => {
                resource.uri = self.uri.ok_or(INCOMPLETE)?;
            }
            ContentPart::Resource { content } => self.resource(content)?,
            _ => return Err(INCOMPLETE),
        }
        Ok(MessagePayload { message })
    }

    fn tool_result(self, result: &mut ToolResult) -> Result<(), Refusal> {
        result.tool_name = self.name.ok_or(INCOMPLETE)?;
        result.content = self.result.ok_or(INCOMPLETE)?;
        // A failure cannot be made a success by content that does not tell of it.
        result.is_error |= shows_error(&result.content);
        Ok(())
    }

    fn prompt_result(self, result: &mut PromptResult) -> Result<(), Refusal> {
        const TEXTS: Refusal = "the plugin's rendered prompt is no list of texts";
        result.prompt_name = self.prompt_id.ok_or(INCOMPLETE)?;
        let rendered = Rendered::deserialize(self.result.ok_or(INCOMPLETE)?).map_err(|_| TEXTS)?;
        let texts = rendered.messages.into_iter().map(|line| match line.content.r#type.as_str() {
            "text" => Ok(Message::text(line.role, line.content.text)),
            _ => Err(TEXTS),
        });
        result.messages = texts.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn resource(self, resource: &mut Resource) -> Result<(), Refusal> {
        let uri = self.uri.ok_or(INCOMPLETE)?;
        let Some(content) = self.content else {
            // Before it is read.
            if resource.is_embedded() && uri != resource.uri {
                return Err("the plugin changed the address of a resource that was read already");
            }
            resource.uri = uri;
            return Ok(());
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
        resource.size_bytes = resource.size_bytes.and(u64::try_from(text.len()).ok());
        resource.content = Some(text);
        resource.uri = content.uri.unwrap_or(uri);
        if content.mime_type.is_some() {
            resource.mime_type = content.mime_type;
        }
        Ok(())
    }
}
