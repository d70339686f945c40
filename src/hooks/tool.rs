//! Before and after a tool runs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook;
use crate::model::{Headers, Object, redacted_debug, setters};

hook! {
    /// `tool_pre_invoke`: may this tool run, and with which arguments?
    ToolPreInvoke = "tool_pre_invoke", ToolPreInvokePayload => ToolPreInvokePayload
}

hook! {
    /// `tool_post_invoke`: may this result be handed on?
    ToolPostInvoke = "tool_post_invoke", ToolPostInvokePayload => ToolPostInvokePayload
}

/// The payload of [`ToolPreInvoke`].
///
/// ```
/// use hookwire::hooks::ToolPreInvokePayload;
///
/// let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust").with_arg("page", 2);
/// assert_eq!(payload.args.unwrap()["page"], 2);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolPreInvokePayload {
    /// The tool's name.
    pub name: String,
    /// The arguments of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Object>,
    /// The headers of the request. The reference has deprecated them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
}

redacted_debug!(ToolPreInvokePayload { show: name; size: args, headers });

impl ToolPreInvokePayload {
    /// A call without arguments.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), args: None, headers: None }
    }

    /// Adds one argument.
    #[must_use]
    pub fn with_arg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.args.get_or_insert_default().insert(name.into(), value.into());
        self
    }
}

setters!(ToolPreInvokePayload {
    /// Sets the arguments.
    with_args(args: Object) => args = Some(args);
    /// Sets the headers, which the reference has deprecated.
    with_headers(headers: Headers) => headers = Some(headers);
});

/// The payload of [`ToolPostInvoke`].
///
/// ```
/// use hookwire::hooks::ToolPostInvokePayload;
/// use serde_json::json;
///
/// let payload = ToolPostInvokePayload::new("search", json!({"hits": 3}));
/// assert!(!format!("{payload:?}").contains("hits"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolPostInvokePayload {
    /// The tool's name.
    pub name: String,
    /// What the tool answered.
    pub result: Value,
}

redacted_debug!(ToolPostInvokePayload { show: name; size: result });

impl ToolPostInvokePayload {
    /// A tool's answer.
    #[must_use]
    pub fn new(name: impl Into<String>, result: impl Into<Value>) -> Self {
        Self { name: name.into(), result: result.into() }
    }
}
