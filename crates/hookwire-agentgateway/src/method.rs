//! The methods of MCP that plugins have hooks for.

use hookwire::Hook;
use hookwire::hooks::{
    PromptPostFetch, PromptPreFetch, ResourcePostFetch, ResourcePreFetch, ToolPostInvoke,
    ToolPreInvoke,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    ToolsCall,
    PromptsGet,
    ResourcesRead,
}

impl Method {
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut all = [Self::ToolsCall, Self::PromptsGet, Self::ResourcesRead].into_iter();
        all.find(|method| method.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ToolsCall => "tools/call",
            Self::PromptsGet => "prompts/get",
            Self::ResourcesRead => "resources/read",
        }
    }

    /// The hook before a request goes on.
    pub(crate) fn pre_hook(self) -> &'static str {
        match self {
            Self::ToolsCall => ToolPreInvoke::NAME,
            Self::PromptsGet => PromptPreFetch::NAME,
            Self::ResourcesRead => ResourcePreFetch::NAME,
        }
    }

    /// The hook before its result does.
    pub(crate) fn post_hook(self) -> &'static str {
        match self {
            Self::ToolsCall => ToolPostInvoke::NAME,
            Self::PromptsGet => PromptPostFetch::NAME,
            Self::ResourcesRead => ResourcePostFetch::NAME,
        }
    }
}
