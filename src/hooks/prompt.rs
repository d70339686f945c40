//! Before and after a prompt is rendered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook;
use crate::model::{redacted_debug, setters};

hook! {
    /// `prompt_pre_fetch`: may this prompt be rendered, and with which arguments?
    PromptPreFetch = "prompt_pre_fetch", PromptPreFetchPayload => PromptPreFetchPayload
}

hook! {
    /// `prompt_post_fetch`: may this rendered prompt be handed on?
    PromptPostFetch = "prompt_post_fetch", PromptPostFetchPayload => PromptPostFetchPayload
}

/// The payload of [`PromptPreFetch`].
///
/// ```
/// use hookwire::hooks::PromptPreFetchPayload;
///
/// let payload = PromptPreFetchPayload::new("greeting").with_arg("name", "Ada");
/// assert_eq!(payload.prompt_id, "greeting");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PromptPreFetchPayload {
    /// The prompt's id.
    pub prompt_id: String,
    /// The arguments of its template; prompts take strings only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<BTreeMap<String, String>>,
}

redacted_debug!(PromptPreFetchPayload { show: prompt_id; size: args });

impl PromptPreFetchPayload {
    /// A prompt without arguments.
    #[must_use]
    pub fn new(prompt_id: impl Into<String>) -> Self {
        Self { prompt_id: prompt_id.into(), args: None }
    }

    /// Adds one argument.
    #[must_use]
    pub fn with_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.args.get_or_insert_default().insert(name.into(), value.into());
        self
    }
}

setters!(PromptPreFetchPayload {
    /// Sets the arguments.
    with_args(args: BTreeMap<String, String>) => args = Some(args);
});

/// The payload of [`PromptPostFetch`].
///
/// ```
/// use hookwire::hooks::PromptPostFetchPayload;
/// use serde_json::json;
///
/// let payload = PromptPostFetchPayload::new("greeting", json!({"messages": []}));
/// assert_eq!(payload.result["messages"], json!([]));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PromptPostFetchPayload {
    /// The prompt's id.
    pub prompt_id: String,
    /// The rendered prompt.
    pub result: Value,
}

redacted_debug!(PromptPostFetchPayload { show: prompt_id; size: result });

impl PromptPostFetchPayload {
    /// A rendered prompt.
    #[must_use]
    pub fn new(prompt_id: impl Into<String>, result: impl Into<Value>) -> Self {
        Self { prompt_id: prompt_id.into(), result: result.into() }
    }
}
