//! Which hook types may be called.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    AgentPostInvoke, AgentPreInvoke, CmfLlmInput, CmfLlmOutput, CmfPromptPostFetch,
    CmfPromptPreFetch, CmfResourcePostFetch, CmfResourcePreFetch, CmfToolPostInvoke,
    CmfToolPreInvoke, Evaluate, Hook, HttpAuthCheckPermission, HttpAuthResolveUser,
    HttpPostRequest, HttpPreRequest, IdentityResolve, PromptPostFetch, PromptPreFetch,
    ResourcePostFetch, ResourcePreFetch, TokenDelegate, ToolPostInvoke, ToolPreInvoke,
};

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
/// let mut registry = HookRegistry::builtin();
/// registry.register("invoice_check");
/// assert!(registry.contains("invoice_check"));
/// assert!(!registry.contains("Invoice_Check"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRegistry {
    names: BTreeSet<Cow<'static, str>>,
}

impl HookRegistry {
    /// All built-in hooks: tools, prompts, resources, agents, HTTP, identity and messages.
    #[must_use]
    pub fn builtin() -> Self {
        let mut registry = Self::empty();
        registry
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
            .register_hook::<Evaluate>();
        registry
    }

    /// No hook at all.
    #[must_use]
    pub fn empty() -> Self {
        Self { names: BTreeSet::new() }
    }

    /// Adds a hook type by name; adding one twice changes nothing.
    ///
    /// An empty name is ignored: the protocol reads a request without a hook
    /// type as another kind of request.
    pub fn register(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        let name = name.into();
        if !name.is_empty() {
            self.names.insert(name);
        }
        self
    }

    /// Adds a hook type.
    pub fn register_hook<H: Hook>(&mut self) -> &mut Self {
        self.register(H::NAME)
    }

    /// Whether the hook type of this name may be called.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
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
        let mut registry = HookRegistry::empty();
        registry.register(format!("hook_{}", 1)).register("hook_1").register("hook_2");
        assert_eq!(registry.names().collect::<Vec<_>>(), ["hook_1", "hook_2"]);
    }

    #[test]
    fn an_empty_name_is_never_registered() {
        assert!(!HookRegistry::empty().register("").contains(""));
    }
}
