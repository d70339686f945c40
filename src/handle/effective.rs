//! A plugin's configuration as it holds now, and where it comes from.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::config::{Difference, PluginConfig, ServerEntry};
use crate::error::Cause;

/// The hook types that a plugin is called for, as far as they are known.
///
/// ```
/// # fn chain(plugins: &[hookwire::PluginHandle]) {
/// // Also those whose server has not told its hooks yet: leaving a guard out is no option.
/// let guards = plugins.iter().filter(|plugin| plugin.hooks().includes("tool_pre_invoke"));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hooks {
    /// Neither the gateway's entry names any, nor has the server told. The plugin counts for
    /// every hook.
    Unknown,
    /// These and no others.
    Known(Arc<[String]>),
}

impl Hooks {
    /// Whether the plugin is to be called for this hook type: true while they are unknown.
    #[must_use]
    pub fn includes(&self, hook: &str) -> bool {
        self.known().is_none_or(|hooks| hooks.iter().any(|known| known == hook))
    }

    /// All of them; `None` while they are unknown.
    #[must_use]
    pub fn known(&self) -> Option<&[String]> {
        match self {
            Self::Unknown => None,
            Self::Known(hooks) => Some(hooks),
        }
    }
}

/// True if they are known and these, in this order.
impl<S: AsRef<str>, const N: usize> PartialEq<[S; N]> for Hooks {
    fn eq(&self, other: &[S; N]) -> bool {
        self.known().is_some_and(|hooks| hooks.iter().eq(other.iter().map(AsRef::as_ref)))
    }
}

/// A plugin's configuration at one moment: the gateway's entry, filled from the server's. It
/// is cheap to clone and does not change; ask the handle for the present one, or
/// [watch it](crate::PluginHandle::watch_config).
///
/// Derefs to the merged [`PluginConfig`].
///
/// ```no_run
/// # async fn look(config: hookwire::PluginConfig) -> Result<(), hookwire::PluginError> {
/// let guard = hookwire::PluginHandle::connect(config).await?;
/// let config = guard.config();
/// println!("{} runs as {}", config.name(), config.mode());
/// if let Some(entry) = config.server() {
///     println!("and on its server as {:?}, version {:?}", entry.mode(), entry.version());
/// }
/// for difference in config.differences() {
///     println!("{difference}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EffectiveConfig(Arc<View>);

pub(super) struct View {
    pub(super) merged: Arc<PluginConfig>,
    pub(super) server: Option<ServerEntry>,
    pub(super) differences: Vec<Difference>,
    pub(super) hooks: Hooks,
    /// No hook is named, or one that is not registered: the list leaves out what it should have.
    pub(super) hooks_in_doubt: bool,
    /// The server was asked, and has answered.
    pub(super) answered: bool,
    /// Why no call may be made.
    pub(super) refusal: Option<Cause>,
}

impl EffectiveConfig {
    pub(super) fn new(view: View) -> Self {
        Self(Arc::new(view))
    }

    pub(super) fn view(&self) -> &View {
        &self.0
    }

    /// The plugin's entry on its server, **which acts on it first**. `None` while the server
    /// has not told it, or if it knows no such plugin.
    #[must_use]
    pub fn server(&self) -> Option<&ServerEntry> {
        self.0.server.as_ref()
    }

    /// Where the gateway's entry and the server's contradict each other, or themselves.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.0.differences
    }

    /// The hook types that the plugin is called for: those of the gateway's entry, or else
    /// those of the server's.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        self.0.hooks.clone()
    }

    /// Whether a chain of plugins must ask this one for this hook type: if its
    /// [`hooks`](Self::hooks) include it, or are not known. And also if its calls are
    /// [refused](crate::PluginHandle::refusal) where its hooks are in doubt, for none is named,
    /// or one that is not registered here, such as a misspelt one: a guard that cannot be used
    /// as it is configured must not be left out because of that. The call fails then.
    ///
    /// ```
    /// # fn chain(plugins: &[hookwire::PluginHandle]) {
    /// let hook = "tool_pre_invoke";
    /// let guards = plugins.iter().filter(|plugin| plugin.config().may_serve(hook));
    /// # }
    /// ```
    #[must_use]
    pub fn may_serve(&self, hook: &str) -> bool {
        let refused = || self.0.refusal.as_ref().is_some_and(|why| !matches!(why, Cause::Disabled));
        self.0.hooks.includes(hook) || (self.0.hooks_in_doubt && refused())
    }
}

impl Deref for EffectiveConfig {
    type Target = PluginConfig;

    fn deref(&self) -> &PluginConfig {
        &self.0.merged
    }
}

impl fmt::Debug for EffectiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EffectiveConfig")
            .field("merged", &self.0.merged)
            .field("server", &self.0.server)
            .field("differences", &self.0.differences)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_that_are_not_known_include_every_one() {
        assert!(Hooks::Unknown.includes("tool_pre_invoke"));
        let known = Hooks::Known(Arc::new(["tool_pre_invoke".to_owned()]));
        assert!(known.includes("tool_pre_invoke") && !known.includes("tool_post_invoke"));
        assert!(!Hooks::Known(Arc::new([])).includes("tool_pre_invoke"));
    }

    #[test]
    fn a_plugin_that_is_refused_and_whose_hooks_are_in_doubt_may_serve_every_hook() {
        let serves = |refusal: Option<Cause>, hooks_in_doubt| {
            let config = EffectiveConfig::new(View {
                merged: Arc::new(PluginConfig::builder("Guard").socket("/s").build().unwrap()),
                server: None,
                differences: Vec::new(),
                hooks: Hooks::Known(Arc::new(["tool_pre_invoke".to_owned()])),
                hooks_in_doubt,
                answered: true,
                refusal,
            });
            assert!(config.may_serve("tool_pre_invoke"));
            config.may_serve("tool_post_invoke")
        };
        assert!(serves(Some(Cause::NoHooks), true) && serves(Some(Cause::Unchecked), true));
        assert!(!serves(Some(Cause::NoHooks), false), "its hooks are what they are");
        assert!(!serves(None, true), "it can be called, and has told its hooks");
        assert!(!serves(Some(Cause::Disabled), true), "it is not to be called");
    }

    #[test]
    fn hooks_that_are_not_known_equal_no_list() {
        assert!(Hooks::Unknown != [] as [&str; 0]);
        assert!(Hooks::Known(Arc::new([])) == [] as [&str; 0]);
        assert!(Hooks::Known(Arc::new(["a".to_owned()])) == ["a"]);
    }
}
