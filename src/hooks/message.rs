//! Messages in the common format, wherever they pass through the gateway.
//!
//! The `cmf.*` hooks and `evaluate` share one payload: a [`Message`] and the
//! place it was met at, so that one plugin can judge all of them.

use serde::{Deserialize, Serialize};

use super::{ContentPart, Hook, hook};
use crate::model::{null_as_default, redacted_debug, setters};

/// Declares a hook over messages.
macro_rules! message_hooks {
    ($($(#[$doc:meta])* $marker:ident = $name:literal;)*) => {
        $(hook! { $(#[$doc])* $marker = $name, MessagePayload => MessagePayload })*
    };
}

message_hooks! {
    /// `cmf.tool_pre_invoke`: a tool call, before it runs.
    CmfToolPreInvoke = "cmf.tool_pre_invoke";
    /// `cmf.tool_post_invoke`: a tool's result.
    CmfToolPostInvoke = "cmf.tool_post_invoke";
    /// `cmf.llm_input`: what goes to a model.
    CmfLlmInput = "cmf.llm_input";
    /// `cmf.llm_output`: what a model answered.
    CmfLlmOutput = "cmf.llm_output";
    /// `cmf.resource_pre_fetch`: a resource, before it is read.
    CmfResourcePreFetch = "cmf.resource_pre_fetch";
    /// `cmf.resource_post_fetch`: a resource's content.
    CmfResourcePostFetch = "cmf.resource_post_fetch";
    /// `cmf.prompt_pre_fetch`: a prompt, before it is rendered.
    CmfPromptPreFetch = "cmf.prompt_pre_fetch";
    /// `cmf.prompt_post_fetch`: a rendered prompt.
    CmfPromptPostFetch = "cmf.prompt_post_fetch";
    /// `evaluate`: a message, wherever it was met.
    Evaluate = "evaluate";
}

/// The payload of the `cmf.*` hooks and of [`Evaluate`].
///
/// ```
/// use hookwire::hooks::{CmfLlmInput, ContentPart, Message, MessagePayload};
///
/// let message = Message::new("user").with_part(ContentPart::Text("Hello".into()));
/// let payload = MessagePayload::for_hook::<CmfLlmInput>(message);
/// assert_eq!(payload.hook, "llm_input");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessagePayload {
    /// The message.
    pub message: Message,
    /// Where it was met: the hook's name without `cmf.`. Default: `evaluate`.
    ///
    /// The reference server refuses any other word, one with the prefix too.
    #[serde(default = "evaluate")]
    pub hook: String,
}

redacted_debug!(MessagePayload { show: message, hook; size: });

fn evaluate() -> String {
    Evaluate::NAME.to_owned()
}

impl MessagePayload {
    /// A message met somewhere: `hook` is `evaluate`.
    #[must_use]
    pub fn new(message: Message) -> Self {
        Self { message, hook: evaluate() }
    }

    /// A message met at the hook `H`.
    #[must_use]
    pub fn for_hook<H: Hook<Payload = Self>>(message: Message) -> Self {
        Self { message, hook: H::NAME.trim_start_matches("cmf.").to_owned() }
    }
}

setters!(MessagePayload {
    /// Sets where the message was met.
    with_hook(hook: impl Into<String>) => hook = hook.into();
});

/// A message in the common format.
///
/// ```
/// use hookwire::hooks::{ContentPart, Message};
/// use serde_json::json;
///
/// let message = Message::new("assistant")
///     .with_part(ContentPart::Thinking("Hm.".into()))
///     .with_part(ContentPart::Text("42".into()))
///     .with_channel("final");
/// assert_eq!(message.schema_version, "2.0");
/// assert_eq!(message.content.len(), 2);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// The version of the format. Default: `2.0`.
    #[serde(default = "schema_version")]
    pub schema_version: String,
    /// Who speaks: `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// The parts of the message.
    #[serde(default, deserialize_with = "null_as_default")]
    pub content: Vec<ContentPart>,
    /// The kind of output: `analysis`, `commentary` or `final`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

redacted_debug!(Message { show: schema_version, role, channel, content; size: });

fn schema_version() -> String {
    "2.0".to_owned()
}

impl Message {
    /// A message without content.
    #[must_use]
    pub fn new(role: impl Into<String>) -> Self {
        Self {
            schema_version: schema_version(),
            role: role.into(),
            content: Vec::new(),
            channel: None,
        }
    }

    /// Adds a part to the content.
    #[must_use]
    pub fn with_part(mut self, part: ContentPart) -> Self {
        self.content.push(part);
        self
    }
}

setters!(Message {
    /// Sets the content.
    with_content(content: Vec<ContentPart>) => content = content;
    /// Sets the kind of output.
    with_channel(channel: impl Into<String>) => channel = Some(channel.into());
    /// Sets the version of the format.
    with_schema_version(version: impl Into<String>) => schema_version = version.into();
});
