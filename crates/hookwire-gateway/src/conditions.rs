//! When a plugin is asked: the `conditions` of its entry, typed.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;

use hookwire::hooks::{
    AgentPostInvokePayload, AgentPreInvokePayload, PromptPostFetchPayload, PromptPreFetchPayload,
    ResourcePostFetchPayload, ResourcePreFetchPayload, TokenDelegatePayload, ToolPostInvokePayload,
    ToolPreInvokePayload,
};
use hookwire::model::{Object, User};
use serde::Deserialize;
use serde_json::Value;

use crate::context::RequestContext;

/// The conditions of one plugin, of which one must be met for it to be asked.
///
/// ## Behavior
/// - Without any condition a plugin is asked always.
/// - A condition is met if all of its lists are. A list that is empty or absent is.
/// - `server_ids` and `tenant_ids`: the request's is in the list.
/// - `content_types`: the request's is, without parameters and in any case.
/// - `user_patterns`: one of them is part of the user's name, or a key of a user that is an
///   object.
/// - `tools`, `prompts`, `resources`, `agents`: what the hook is about is in the list of its
///   kind; lists of other kinds do not count. Where a hook is about nothing that has a name,
///   they are met.
/// - A [`Chain`](crate::Chain) looks at them once for each run, before it asks any plugin: at
///   the payload as it came in. A plugin that renames the tool brings in no plugin whose
///   conditions name the new one, and keeps none out whose conditions name the old one. A guard
///   that must see what others make of a request has no such condition.
/// - An unknown key is refused: a misspelt one would leave a guard out, or never.
///
/// ```
/// use hookwire::hooks::ToolPreInvokePayload;
/// use hookwire_gateway::{Conditions, RequestContext, Subject};
/// use serde_json::json;
///
/// let entry = [json!({"tools": ["shell"]}), json!({"user_patterns": ["guest"]})];
/// let conditions = Conditions::parse(entry.iter().filter_map(|c| c.as_object()))?;
/// let request = RequestContext::new("request-1");
/// let asked = |tool| {
///     let payload = ToolPreInvokePayload::new(tool);
///     conditions.are_met(&request, Subject::of("tool_pre_invoke", &payload))
/// };
/// assert!(asked("shell") && !asked("search"));
/// # Ok::<(), hookwire_gateway::ConditionError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions(Vec<Condition>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Condition {
    server_ids: Option<BTreeSet<String>>,
    tenant_ids: Option<BTreeSet<String>>,
    tools: Option<BTreeSet<String>>,
    prompts: Option<BTreeSet<String>>,
    resources: Option<BTreeSet<String>>,
    agents: Option<BTreeSet<String>>,
    user_patterns: Option<Vec<String>>,
    content_types: Option<BTreeSet<String>>,
}

const LISTS: [&str; 8] = [
    "server_ids",
    "tenant_ids",
    "tools",
    "prompts",
    "resources",
    "agents",
    "user_patterns",
    "content_types",
];

/// Why conditions cannot be read, without any value, since it is logged. See [`Conditions`] for an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("condition {number}: {problem}")]
pub struct ConditionError {
    number: usize,
    problem: String,
}

impl Conditions {
    /// Reads the `conditions` of an entry, as
    /// [`PluginConfig::conditions`](hookwire::PluginConfig::conditions) has them.
    ///
    /// # Errors
    /// The first condition with an unknown key, or with a value that is no list of texts.
    pub fn parse<'a>(
        conditions: impl IntoIterator<Item = &'a Object>,
    ) -> Result<Self, ConditionError> {
        let read = |(index, condition): (usize, &Object)| {
            let read = Condition::deserialize(Value::Object(condition.clone()));
            read.map(Condition::normalized).map_err(|error| ConditionError {
                number: index + 1,
                problem: no_list(condition).unwrap_or_else(|| error.to_string()),
            })
        };
        conditions.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none: then the plugin is asked always.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a plugin with these conditions is asked.
    #[must_use]
    pub fn are_met(&self, request: &RequestContext, subject: Option<Subject<'_>>) -> bool {
        self.is_empty() || self.0.iter().any(|condition| condition.is_met(request, subject))
    }
}

impl Condition {
    fn normalized(mut self) -> Self {
        self.content_types =
            self.content_types.map(|types| types.iter().map(|one| media_type(one)).collect());
        self
    }

    fn is_met(&self, request: &RequestContext, subject: Option<Subject<'_>>) -> bool {
        let global = request.global();
        let named = |kind, list: &Option<BTreeSet<String>>| match subject {
            Some(subject) if subject.kind == kind => may_be_in(list, subject.name),
            _ => true,
        };
        is_in(&self.server_ids, global.server_id.as_deref())
            && is_in(&self.tenant_ids, global.tenant_id.as_deref())
            && is_in(&self.content_types, request.content_type().map(media_type).as_deref())
            && self.is_met_by(global.user.as_ref())
            && named(Kind::Tool, &self.tools)
            && named(Kind::Prompt, &self.prompts)
            && named(Kind::Resource, &self.resources)
            && named(Kind::Agent, &self.agents)
    }

    fn is_met_by(&self, user: Option<&User>) -> bool {
        let mut patterns = match &self.user_patterns {
            Some(patterns) if !patterns.is_empty() => patterns.iter(),
            _ => return true,
        };
        match user {
            Some(User::Name(name)) if !name.is_empty() => {
                patterns.any(|pattern| name.contains(pattern))
            }
            Some(User::Details(details)) => patterns.any(|key| details.contains_key(key)),
            _ => false,
        }
    }
}

/// The key of a condition whose value is no list of texts. What remains wrong is an unknown key.
fn no_list(condition: &Object) -> Option<String> {
    let is_list = |value: &Value| match value {
        Value::Array(items) => items.iter().all(Value::is_string),
        value => value.is_null(),
    };
    let key = LISTS.into_iter().find(|key| condition.get(*key).is_some_and(|one| !is_list(one)))?;
    Some(format!("`{key}` must be a list of texts"))
}

/// True of a list that asks for nothing.
fn is_in(list: &Option<BTreeSet<String>>, value: Option<&str>) -> bool {
    match list {
        Some(list) if !list.is_empty() => value.is_some_and(|value| list.contains(value)),
        _ => true,
    }
}

/// The same, but true of a value that is not there.
fn may_be_in(list: &Option<BTreeSet<String>>, value: &str) -> bool {
    value.is_empty() || is_in(list, Some(value))
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// What a hook is about, by its name: a tool, a prompt, a resource or an agent. See
/// [`Conditions`] for an example.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    kind: Kind,
    name: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tool,
    Prompt,
    Resource,
    Agent,
}

impl<'a> Subject<'a> {
    /// What the payload of a built-in hook is about; `None` for other hooks and payloads.
    #[must_use]
    pub fn of(hook_type: &str, payload: &'a (dyn Any + Send + Sync)) -> Option<Self> {
        macro_rules! name {
            ($kind:ident, $type:ty, $field:ident) => {
                payload
                    .downcast_ref::<$type>()
                    .map(|payload| Self { kind: Kind::$kind, name: &payload.$field })
            };
        }
        match hook_type {
            "tool_pre_invoke" => name!(Tool, ToolPreInvokePayload, name),
            "tool_post_invoke" => name!(Tool, ToolPostInvokePayload, name),
            "token_delegate" => name!(Tool, TokenDelegatePayload, target_name),
            "prompt_pre_fetch" => name!(Prompt, PromptPreFetchPayload, prompt_id),
            "prompt_post_fetch" => name!(Prompt, PromptPostFetchPayload, prompt_id),
            "resource_pre_fetch" => name!(Resource, ResourcePreFetchPayload, uri),
            "resource_post_fetch" => name!(Resource, ResourcePostFetchPayload, uri),
            "agent_pre_invoke" => name!(Agent, AgentPreInvokePayload, agent_id),
            "agent_post_invoke" => name!(Agent, AgentPostInvokePayload, agent_id),
            _ => None,
        }
    }
}

// The name of a resource may hold what counts as content.
impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?}, {} bytes)", self.kind, self.name.len())
    }
}

#[cfg(test)]
mod tests;
