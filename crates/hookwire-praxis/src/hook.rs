//! The engine's hooks that a plugin server can serve, and their names on either side.

use praxis_policy_core::cmf::constants as engine;

/// A hook of the engine. The names are a table for the life of the process: a reload makes
/// none anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    ToolPre,
    ToolPost,
    PromptPre,
    PromptPost,
    ResourcePre,
    ResourcePost,
    LlmInput,
    LlmOutput,
}

impl Hook {
    /// Each at its own number.
    pub(crate) const ALL: [Self; 8] = [
        Self::ToolPre,
        Self::ToolPost,
        Self::PromptPre,
        Self::PromptPost,
        Self::ResourcePre,
        Self::ResourcePost,
        Self::LlmInput,
        Self::LlmOutput,
    ];

    /// As the engine's configuration and its hosts call it.
    pub(crate) const fn in_engine(self) -> &'static str {
        match self {
            Self::ToolPre => engine::HOOK_CMF_TOOL_PRE_INVOKE,
            Self::ToolPost => engine::HOOK_CMF_TOOL_POST_INVOKE,
            Self::PromptPre => engine::HOOK_CMF_PROMPT_PRE_INVOKE,
            Self::PromptPost => engine::HOOK_CMF_PROMPT_POST_INVOKE,
            Self::ResourcePre => engine::HOOK_CMF_RESOURCE_PRE_FETCH,
            Self::ResourcePost => engine::HOOK_CMF_RESOURCE_POST_FETCH,
            Self::LlmInput => engine::HOOK_CMF_LLM_INPUT,
            Self::LlmOutput => engine::HOOK_CMF_LLM_OUTPUT,
        }
    }

    /// As a plugin server lists the hook over messages: of prompts, the engine spells it
    /// otherwise.
    pub(crate) const fn over_messages(self) -> &'static str {
        match self {
            Self::PromptPre => "cmf.prompt_pre_fetch",
            Self::PromptPost => "cmf.prompt_post_fetch",
            other => other.in_engine(),
        }
    }

    /// As a plugin server lists the hook over the payloads from before there were messages;
    /// models have none.
    pub(crate) const fn legacy(self) -> Option<&'static str> {
        match self {
            Self::ToolPre => Some("tool_pre_invoke"),
            Self::ToolPost => Some("tool_post_invoke"),
            Self::PromptPre => Some("prompt_pre_fetch"),
            Self::PromptPost => Some("prompt_post_fetch"),
            Self::ResourcePre => Some("resource_pre_fetch"),
            Self::ResourcePost => Some("resource_post_fetch"),
            Self::LlmInput | Self::LlmOutput => None,
        }
    }

    /// The hook of this name in the engine, or why a plugin server cannot serve it.
    pub(crate) fn named(name: &str) -> Result<Self, &'static str> {
        let known = Self::ALL.into_iter().find(|hook| hook.in_engine() == name);
        known.ok_or(match name {
            "identity.resolve" => {
                "the engine gives a plugin the token in a payload that is never serialised, so \
                 a plugin behind a socket would be asked about an empty one"
            }
            "token.delegate" => "a plugin behind a socket is not given bearer tokens",
            "http.request" | "http.response" => {
                "the engine's payload for it is empty; the headers are in the extensions, which \
                 do not go over a socket"
            }
            "elicit" => "plugin servers have no such hook",
            _ => "only the hooks of tools, prompts, resources and models go over a socket",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d21_every_hook_is_found_by_the_engines_name_and_no_other() {
        for hook in Hook::ALL {
            assert_eq!(Hook::named(hook.in_engine()), Ok(hook));
            assert_eq!(Hook::ALL[hook as usize], hook);
        }
        assert!(Hook::named("tool_pre_invoke").is_err());
        assert!(Hook::named("cmf.prompt_pre_fetch").is_err());
    }
}
