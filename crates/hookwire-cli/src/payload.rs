//! Whether a payload is what its hook takes.

use hookwire::hooks::{
    AgentPostInvoke, AgentPreInvoke, CmfLlmInput, CmfLlmOutput, CmfPromptPostFetch,
    CmfPromptPreFetch, CmfResourcePostFetch, CmfResourcePreFetch, CmfToolPostInvoke,
    CmfToolPreInvoke, Evaluate, Hook, HttpAuthCheckPermission, HttpAuthResolveUser,
    HttpPostRequest, HttpPreRequest, IdentityResolve, PromptPostFetch, PromptPreFetch,
    ResourcePostFetch, ResourcePreFetch, TokenDelegate, ToolPostInvoke, ToolPreInvoke,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

type Check = fn(&Value) -> Result<(), serde_path_to_error::Error<serde_json::Error>>;

/// The built-in hooks, and whether a payload is one of theirs.
const HOOKS: [(&str, Check); 23] = [
    hook::<AgentPostInvoke>(),
    hook::<AgentPreInvoke>(),
    hook::<CmfLlmInput>(),
    hook::<CmfLlmOutput>(),
    hook::<CmfPromptPostFetch>(),
    hook::<CmfPromptPreFetch>(),
    hook::<CmfResourcePostFetch>(),
    hook::<CmfResourcePreFetch>(),
    hook::<CmfToolPostInvoke>(),
    hook::<CmfToolPreInvoke>(),
    hook::<Evaluate>(),
    hook::<HttpAuthCheckPermission>(),
    hook::<HttpAuthResolveUser>(),
    hook::<HttpPostRequest>(),
    hook::<HttpPreRequest>(),
    hook::<IdentityResolve>(),
    hook::<PromptPostFetch>(),
    hook::<PromptPreFetch>(),
    hook::<ResourcePostFetch>(),
    hook::<ResourcePreFetch>(),
    hook::<TokenDelegate>(),
    hook::<ToolPostInvoke>(),
    hook::<ToolPreInvoke>(),
];

const fn hook<H: Hook>() -> (&'static str, Check)
where
    H::Payload: DeserializeOwned,
{
    (H::NAME, |payload| serde_path_to_error::deserialize::<_, H::Payload>(payload).map(drop))
}

/// Why the payload is none of this hook's: a field is missing, or has another type. `None`
/// for one that fits, and for hooks that are not built in.
///
/// A plugin may do without the field, and it may also let pass what it finds nothing in.
pub(crate) fn misfit(hook: &str, payload: &Value) -> Option<String> {
    let (_, check) = HOOKS.iter().find(|(name, _)| *name == hook)?;
    let error = check(payload).err()?;
    Some(format!("the payload is not what `{hook}` takes: {error}"))
}

#[cfg(test)]
mod tests {
    use hookwire::HookRegistry;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_built_in_hook_is_checked() {
        let names: Vec<_> = HOOKS.iter().map(|(name, _)| *name).collect();
        assert!(HookRegistry::builtin().names().eq(names.iter().copied()), "{names:?}");
    }

    #[test]
    fn a_missing_field_and_one_of_another_type_are_told_by_name() {
        let told = misfit("tool_pre_invoke", &json!({})).unwrap();
        assert_eq!(told, "the payload is not what `tool_pre_invoke` takes: missing field `name`");
        let told = misfit("tool_pre_invoke", &json!({"name": "t", "args": [1]})).unwrap();
        assert!(told.contains("takes: args: invalid type: sequence, expected a map"), "{told}");
        assert_eq!(misfit("tool_pre_invoke", &json!({"name": "t", "more": 1})), None);
        assert_eq!(misfit("my_hook", &json!({})), None);
    }
}
