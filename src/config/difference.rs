//! Where a plugin's entry here and its entry on its server contradict each other, or
//! themselves: entries in, a list out.
//!
//! A plugin's server acts on its own entry first. It turns denials and errors into results
//! that allow where its entry asks for that, and the gateway cannot tell them from others.

use std::fmt;

use super::plugin::PluginConfig;
use super::server_entry::ServerEntry;
use super::words::{OnError, PluginMode};
use crate::endpoint::Escaped;
use crate::hooks::HookRegistry;

/// A contradiction between a plugin's entry in the gateway's configuration and its entry on
/// its server, or within the gateway's. `Display` names both values and what follows.
///
/// ```
/// use hookwire::config::{Difference, PluginMode};
/// use hookwire::{HookRegistry, PluginConfig, ServerEntry};
/// use serde_json::json;
///
/// let here = PluginConfig::builder("Guard")
///     .socket("/run/guard.sock")
///     .mode(PluginMode::Sequential)
///     .build()?;
/// let on_server = json!({"name": "Guard", "mode": "audit", "hooks": ["tool_pre_invoke"]});
/// let on_server = ServerEntry::from(on_server.as_object().cloned().unwrap_or_default());
///
/// let differences = Difference::between(&here, &on_server, &HookRegistry::builtin());
/// assert!(differences[0].is_weaker());
/// assert!(differences[0].to_string().ends_with("its server never lets it deny"));
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The server knows no plugin of this name.
    Unknown,
    /// The server has the plugin disabled, the gateway has not.
    #[non_exhaustive]
    Disabled {
        /// The mode in the gateway's entry.
        here: PluginMode,
    },
    /// The plugin may deny by the gateway's entry, and not by the server's: its denials arrive
    /// as results that allow.
    #[non_exhaustive]
    Mode {
        /// The mode in the gateway's entry.
        here: PluginMode,
        /// The mode in the server's.
        server: PluginMode,
    },
    /// The server takes errors more lightly than the gateway: they arrive as results that
    /// allow.
    #[non_exhaustive]
    OnError {
        /// The value in the gateway's entry.
        here: OnError,
        /// The value in the server's.
        server: OnError,
    },
    /// The server's own value of this key is not known: it reports a word that is not known
    /// here, or could not write its entry in full.
    #[non_exhaustive]
    Unreadable {
        /// `mode` or `on_error`.
        key: &'static str,
    },
    /// The gateway's entry names a hook that the server does not list for the plugin.
    #[non_exhaustive]
    NotServed {
        /// The hook type.
        hook: String,
        /// A known one that is spelt much like it, if it is not registered here.
        nearest: Option<String>,
    },
    /// The gateway's entry names a hook that is not registered here, and the server has not
    /// told which it serves.
    #[non_exhaustive]
    Unregistered {
        /// The hook type.
        hook: String,
        /// A known one that is spelt much like it.
        nearest: Option<String>,
    },
    /// The plugin may deny, and requests pass when it fails.
    #[non_exhaustive]
    PassesErrors {
        /// Its mode, for the gateway.
        mode: PluginMode,
        /// `ignore` or `disable`.
        on_error: OnError,
    },
    /// The server could not write a value of the plugin's own `config`, so a part of its entry
    /// may be missing. What it has written is used.
    Incomplete,
}

impl Difference {
    /// Compares a plugin's entry here with the one on its server. The registry is the one of
    /// the plugin's handle: a hook that is in it is not misspelt.
    #[must_use]
    pub fn between(
        here: &PluginConfig,
        server: &ServerEntry,
        registry: &HookRegistry,
    ) -> Vec<Self> {
        let mut found = Vec::new();
        if !server.is_complete() {
            found.push(Self::Incomplete);
        }
        found.extend(weaker_mode(here, server));
        found.extend(weaker_on_error(here, server));
        found.extend(hooks(here, Some(server), registry));
        found.extend(passes_errors(here, Some(server)));
        found
    }

    /// What can be told of an entry without its server's.
    pub(crate) fn within(here: &PluginConfig, registry: &HookRegistry) -> Vec<Self> {
        let mut found: Vec<_> = hooks(here, None, registry).collect();
        found.extend(passes_errors(here, None));
        found
    }

    /// True if the plugin guards less than the gateway's entry asks for, because of its
    /// server: what `verify: strict` refuses.
    #[must_use]
    pub fn is_weaker(&self) -> bool {
        match self {
            Self::Unknown
            | Self::Disabled { .. }
            | Self::Mode { .. }
            | Self::OnError { .. }
            | Self::Unreadable { .. }
            | Self::NotServed { .. } => true,
            Self::Unregistered { .. } | Self::PassesErrors { .. } | Self::Incomplete => false,
        }
    }
}

/// A value that the gateway's entry leaves open is taken over from the server, and both agree.
fn weaker_mode(here: &PluginConfig, server: &ServerEntry) -> Option<Difference> {
    let here = here.settings.mode?;
    let Some(server) = server.mode() else { return unreadable(server, "mode") };
    match server {
        _ if here == PluginMode::Disabled => None,
        PluginMode::Disabled => Some(Difference::Disabled { here }),
        PluginMode::Audit | PluginMode::Transform if may_deny(here) => {
            Some(Difference::Mode { here, server })
        }
        _ => None,
    }
}

fn weaker_on_error(here: &PluginConfig, server: &ServerEntry) -> Option<Difference> {
    let strength = |on_error| match on_error {
        OnError::Fail => 2,
        OnError::Disable => 1,
        OnError::Ignore => 0,
    };
    let here = here.settings.on_error?;
    let Some(server) = server.on_error() else { return unreadable(server, "on_error") };
    (strength(server) < strength(here)).then_some(Difference::OnError { here, server })
}

/// A key that a complete entry leaves out has its default, which is the strictest value.
fn unreadable(server: &ServerEntry, key: &'static str) -> Option<Difference> {
    let is_there = server.as_object().get(key).is_some_and(|value| !value.is_null());
    (is_there || !server.is_complete()).then_some(Difference::Unreadable { key })
}

fn hooks<'a>(
    here: &'a PluginConfig,
    server: Option<&'a ServerEntry>,
    registry: &'a HookRegistry,
) -> impl Iterator<Item = Difference> + 'a {
    let served = server.and_then(ServerEntry::hooks);
    here.hooks().iter().filter_map(move |hook| {
        let registered = registry.contains(hook);
        let nearest = || {
            let served = served.into_iter().flatten().cloned();
            let known = served.fold(registry.clone(), HookRegistry::register);
            known.nearest(hook).filter(|_| !registered).map(str::to_owned)
        };
        match served {
            Some(served) if served.contains(hook) => None,
            Some(_) => Some(Difference::NotServed { nearest: nearest(), hook: hook.clone() }),
            None if registered => None,
            None => Some(Difference::Unregistered { nearest: nearest(), hook: hook.clone() }),
        }
    })
}

/// By the values that hold for the gateway.
fn passes_errors(here: &PluginConfig, server: Option<&ServerEntry>) -> Option<Difference> {
    let mode = here.settings.mode.or(server.and_then(ServerEntry::mode)).unwrap_or_default();
    let on_error = here.settings.on_error.or(server.and_then(ServerEntry::on_error));
    let on_error = on_error.unwrap_or_default();
    let passes = may_deny(mode) && on_error != OnError::Fail;
    passes.then_some(Difference::PassesErrors { mode, on_error })
}

fn may_deny(mode: PluginMode) -> bool {
    matches!(mode, PluginMode::Sequential | PluginMode::Concurrent)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the server does not know the plugin; its hooks are likely to fail"),
            Self::Disabled { here } => write!(
                f,
                "`mode` is `{here}` here and `disabled` on the server: its server runs none of its hooks, so every call fails"
            ),
            Self::Mode { here, server } => write!(
                f,
                "`mode` is `{here}` here and `{server}` on the server, which acts first: its server never lets it deny"
            ),
            Self::OnError { here, server } => write!(
                f,
                "`on_error` is `{here}` here and `{server}` on the server, which acts first: its server turns its errors into results that allow"
            ),
            Self::Unreadable { key } => write!(
                f,
                "`{key}` is set here, and the server's own value, which acts first, could not be read: its server may let requests pass"
            ),
            Self::NotServed { hook, nearest } => {
                write!(f, "`hooks` names `{}` here, and the server does not list it{}: calls of it are likely to fail", Escaped(hook), DidYouMean(nearest))
            }
            Self::Unregistered { hook, nearest } => {
                write!(f, "`hooks` names `{}` here, and no such hook is registered{}: calls of it by name are refused", Escaped(hook), DidYouMean(nearest))
            }
            Self::PassesErrors { mode, on_error } => write!(
                f,
                "`mode` is `{mode}`, so the plugin may deny, and `on_error` is `{on_error}`: requests pass when it fails, so making it fail is a way past it; set `on_error: fail` if it guards something, or a mode that cannot deny"
            ),
            Self::Incomplete => f.write_str(
                "the server could not write a value of the plugin's own `config`, such as a date or a key that is no string; what it has written of the plugin's entry is used",
            ),
        }
    }
}

struct DidYouMean<'a>(&'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, " (did you mean `{}`?)", Escaped(nearest)),
            None => Ok(()),
        }
    }
}
