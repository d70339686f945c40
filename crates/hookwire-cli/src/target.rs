//! The plugin that a command calls, and how it is reached.

use std::path::Path;

use clap::ValueEnum;
use hookwire::config::UnixSocketBuilder;
use hookwire::{HookRegistry, PluginConfig, PluginHandle, RetryPolicy, UnixSocketConfig};

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

/// The socket at this path; what is not set has its default.
pub(crate) fn socket(path: &Path) -> UnixSocketBuilder {
    UnixSocketConfig::builder(path)
}

/// A handle that connects with the first call and asks the server nothing.
/// `any_hook` is called even if it is no built-in hook.
pub(crate) fn handle(
    plugin: &str,
    socket: UnixSocketBuilder,
    any_hook: Option<&str>,
) -> Result<PluginHandle, Failure> {
    let config = PluginConfig::builder(plugin).unix_socket(socket).build()?;
    let mut registry = HookRegistry::builtin();
    if let Some(hook) = any_hook {
        registry.register(hook.to_owned());
    }
    Ok(PluginHandle::builder(config).registry(registry).connect_lazy())
}
