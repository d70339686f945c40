//! The plugin that a command calls, and how it is reached.

use clap::ValueEnum;
use hookwire::config::PluginConfigBuilder;
use hookwire::{HookRegistry, PluginHandle, RetryPolicy};

use crate::failure::Failure;

/// `--retry`, in the words of the configuration.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Retry {
    /// Only what was certainly not sent is sent again: no hook runs twice.
    #[default]
    Unsent,
    /// What may have been sent is sent again too: the hook may run twice.
    Resend,
}

impl From<Retry> for RetryPolicy {
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Unsent => Self::Unsent,
            Retry::Resend => Self::Resend,
        }
    }
}

/// A handle that connects with the first call and asks the server nothing.
/// `any_hook` is called even if it is no built-in hook.
pub(crate) fn handle(
    plugin: PluginConfigBuilder,
    any_hook: Option<&str>,
) -> Result<PluginHandle, Failure> {
    let mut registry = HookRegistry::builtin();
    if let Some(hook) = any_hook {
        registry = registry.register(hook.to_owned());
    }
    Ok(PluginHandle::builder(plugin.build()?).registry(registry).connect_lazy())
}
