//! Before and after an agent runs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook;
use crate::model::{Headers, Object, null_as_default, redacted_debug, setters};

hook! {
    /// `agent_pre_invoke`: may this agent run, and on which messages?
    AgentPreInvoke = "agent_pre_invoke", AgentPreInvokePayload => AgentPreInvokePayload
}

hook! {
    /// `agent_post_invoke`: may these answers be handed on?
    AgentPostInvoke = "agent_post_invoke", AgentPostInvokePayload => AgentPostInvokePayload
}

/// The payload of [`AgentPreInvoke`].
///
/// ```
/// use hookwire::hooks::AgentPreInvokePayload;
/// use serde_json::json;
///
/// let messages = vec![json!({"role": "user", "content": "Book a flight"})];
/// let payload = AgentPreInvokePayload::new("travel", messages)
///     .with_model("small")
///     .with_tools(vec!["search".into()]);
/// assert_eq!(payload.messages.len(), 1);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentPreInvokePayload {
    /// The agent's id.
    pub agent_id: String,
    /// The conversation so far. Required; null is read as empty.
    #[serde(deserialize_with = "null_as_default")]
    pub messages: Vec<Value>,
    /// The tools the agent may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// The headers of the request. The reference has deprecated them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// The model to use in place of the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The system prompt to use in place of the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Parameters of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Object>,
}

redacted_debug!(AgentPreInvokePayload {
    show: agent_id, model;
    size: messages, tools, headers, system_prompt, parameters
});

impl AgentPreInvokePayload {
    /// An agent and the messages it is to answer.
    #[must_use]
    pub fn new(agent_id: impl Into<String>, messages: Vec<Value>) -> Self {
        Self {
            agent_id: agent_id.into(),
            messages,
            tools: None,
            headers: None,
            model: None,
            system_prompt: None,
            parameters: None,
        }
    }
}

setters!(AgentPreInvokePayload {
    /// Sets the tools the agent may use.
    with_tools(tools: Vec<String>) => tools = Some(tools);
    /// Sets the headers, which the reference has deprecated.
    with_headers(headers: Headers) => headers = Some(headers);
    /// Sets the model.
    with_model(model: impl Into<String>) => model = Some(model.into());
    /// Sets the system prompt.
    with_system_prompt(prompt: impl Into<String>) => system_prompt = Some(prompt.into());
    /// Sets the parameters of the model.
    with_parameters(parameters: Object) => parameters = Some(parameters);
});

/// The payload of [`AgentPostInvoke`].
///
/// ```
/// use hookwire::hooks::AgentPostInvokePayload;
/// use serde_json::json;
///
/// let messages = vec![json!({"role": "assistant", "content": "Booked."})];
/// let payload = AgentPostInvokePayload::new("travel", messages);
/// assert_eq!(payload.tool_calls, None);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentPostInvokePayload {
    /// The agent's id.
    pub agent_id: String,
    /// What the agent answered. Required; null is read as empty.
    #[serde(deserialize_with = "null_as_default")]
    pub messages: Vec<Value>,
    /// The tool calls the agent made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<Object>>,
}

redacted_debug!(AgentPostInvokePayload { show: agent_id; size: messages, tool_calls });

impl AgentPostInvokePayload {
    /// An agent's answer.
    #[must_use]
    pub fn new(agent_id: impl Into<String>, messages: Vec<Value>) -> Self {
        Self { agent_id: agent_id.into(), messages, tool_calls: None }
    }
}

setters!(AgentPostInvokePayload {
    /// Sets the tool calls.
    with_tool_calls(calls: Vec<Object>) => tool_calls = Some(calls);
});
