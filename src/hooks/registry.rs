//! Which hook types may be called.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde_json::Value;

use super::{
    AgentPostInvoke, AgentPreInvoke, CmfLlmInput, CmfLlmOutput, CmfPromptPostFetch,
    CmfPromptPreFetch, CmfResourcePostFetch, CmfResourcePreFetch, CmfToolPostInvoke,
    CmfToolPreInvoke, Evaluate, Hook, HttpAuthCheckPermission, HttpAuthResolveUser,
    HttpPostRequest, HttpPreRequest, IdentityResolve, PromptPostFetch, PromptPreFetch,
    ResourcePostFetch, ResourcePreFetch, TokenDelegate, ToolPostInvoke, ToolPreInvoke,
};
use crate::model::PluginViolation;

/// The hook types that may be called, by name.
///
/// A call by name ([`invoke_hook_json`](crate::PluginHandle::invoke_hook_json)) of a
/// hook that is not in the registry is refused before anything is sent: a misspelt
/// hook would otherwise look like a plugin without an opinion. Names are compared
/// exactly. A typed call is not looked up: its type cannot be misspelt.
///
/// ```
/// use hookwire::HookRegistry;
///
/// let registry = HookRegistry::builtin().register("invoice_check");
/// assert!(registry.contains("invoice_check"));
/// assert!(!registry.contains("Invoice_Check"));
/// ```
#[derive(Clone)]
pub struct HookRegistry {
    hooks: BTreeMap<Cow<'static, str>, Refusal>,
}

/// [`Hook::refusal_json`] of a hook.
pub(crate) type Refusal = fn(&Value) -> Option<PluginViolation>;

impl HookRegistry {
    /// All built-in hooks: tools, prompts, resources, agents, HTTP, identity and messages.
    #[must_use]
    pub fn builtin() -> Self {
        Self::empty()
            .register_hook::<ToolPreInvoke>()
            .register_hook::<ToolPostInvoke>()
            .register_hook::<PromptPreFetch>()
            .register_hook::<PromptPostFetch>()
            .register_hook::<ResourcePreFetch>()
            .register_hook::<ResourcePostFetch>()
            .register_hook::<AgentPreInvoke>()
            .register_hook::<AgentPostInvoke>()
            .register_hook::<HttpPreRequest>()
            .register_hook::<HttpPostRequest>()
            .register_hook::<HttpAuthResolveUser>()
            .register_hook::<HttpAuthCheckPermission>()
            .register_hook::<IdentityResolve>()
            .register_hook::<TokenDelegate>()
            .register_hook::<CmfToolPreInvoke>()
            .register_hook::<CmfToolPostInvoke>()
            .register_hook::<CmfLlmInput>()
            .register_hook::<CmfLlmOutput>()
            .register_hook::<CmfResourcePreFetch>()
            .register_hook::<CmfResourcePostFetch>()
            .register_hook::<CmfPromptPreFetch>()
            .register_hook::<CmfPromptPostFetch>()
            .register_hook::<Evaluate>()
    }

    /// No hook at all.
    #[must_use]
    pub fn empty() -> Self {
        Self { hooks: BTreeMap::new() }
    }

    /// Adds a hook type by name; adding one that is there changes nothing. Use
    /// [`register_hook`](Self::register_hook) for one whose answers may
    /// [refuse](Hook::refusal).
    ///
    /// An empty name is ignored: the protocol reads a request without a hook
    /// type as another kind of request.
    #[must_use]
    pub fn register(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        if !name.is_empty() {
            self.hooks.entry(name).or_insert(|_| None);
        }
        self
    }

    /// Adds a hook type, in place of one of the same name.
    #[must_use]
    pub fn register_hook<H: Hook>(mut self) -> Self {
        if !H::NAME.is_empty() {
            self.hooks.insert(H::NAME.into(), H::refusal_json);
        }
        self
    }

    /// What tells refusals of this hook; `None` if it is not registered.
    pub(crate) fn refusal(&self, name: &str) -> Option<Refusal> {
        self.hooks.get(name).copied()
    }

    /// Whether the hook type of this name may be called.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.hooks.contains_key(name)
    }

    /// The name in the registry that is most like this one, if one is like it at all: what
    /// may have been meant.
    ///
    /// ```
    /// use hookwire::HookRegistry;
    ///
    /// let registry = HookRegistry::builtin();
    /// assert_eq!(registry.nearest("tool_pre_invok"), Some("tool_pre_invoke"));
    /// assert_eq!(registry.nearest("ToolPreInvoke"), Some("tool_pre_invoke"));
    /// assert_eq!(registry.nearest("invoice_check"), None);
    /// ```
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        const ALIKE: f64 = 0.7;
        let plain = |name: &str| name.replace(['_', '-', '.'], "").to_lowercase();
        let wanted = plain(name);
        let all = self
            .names()
            .map(|known| (known, strsim::normalized_damerau_levenshtein(&wanted, &plain(known))));
        let best = all.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        (best.1 >= ALIKE).then_some(best.0)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hooks.keys().map(AsRef::as_ref)
    }
}

/// By name: a name stands for one hook.
impl PartialEq for HookRegistry {
    fn eq(&self, other: &Self) -> bool {
        self.hooks.keys().eq(other.hooks.keys())
    }
}

impl Eq for HookRegistry {}

impl fmt::Debug for HookRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hooks.keys()).finish()
    }
}

impl Default for HookRegistry {
    /// The [built-in](Self::builtin) hooks.
    fn default() -> Self {
        Self::builtin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_of_the_reference_is_built_in() {
        let names: Vec<_> = HookRegistry::default().names().map(str::to_owned).collect();
        assert_eq!(
            names,
            [
                "agent_post_invoke",
                "agent_pre_invoke",
                "cmf.llm_input",
                "cmf.llm_output",
                "cmf.prompt_post_fetch",
                "cmf.prompt_pre_fetch",
                "cmf.resource_post_fetch",
                "cmf.resource_pre_fetch",
                "cmf.tool_post_invoke",
                "cmf.tool_pre_invoke",
                "evaluate",
                "http_auth_check_permission",
                "http_auth_resolve_user",
                "http_post_request",
                "http_pre_request",
                "identity_resolve",
                "prompt_post_fetch",
                "prompt_pre_fetch",
                "resource_post_fetch",
                "resource_pre_fetch",
                "token_delegate",
                "tool_post_invoke",
                "tool_pre_invoke",
            ]
        );
    }

    #[test]
    fn an_empty_registry_contains_nothing() {
        assert_eq!(HookRegistry::empty().names().count(), 0);
        assert!(!HookRegistry::empty().contains("tool_pre_invoke"));
    }

    #[test]
    fn a_name_made_at_run_time_can_be_registered() {
        let registry = HookRegistry::empty()
            .register(format!("hook_{}", 1))
            .register("hook_1")
            .register("hook_2");
        assert_eq!(registry.names().collect::<Vec<_>>(), ["hook_1", "hook_2"]);
    }

    #[test]
    fn an_empty_name_is_never_registered() {
        assert!(!HookRegistry::empty().register("").contains(""));
    }
}
