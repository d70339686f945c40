//! How a chain is made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookwire::PluginHandle;
use tokio::runtime::Handle;

use super::background::Background;
use super::lifetime::Lifetime;
use super::member::{Member, Times};
use super::{Chain, Inner};
use crate::conditions::ConditionError;
use crate::policy::FieldPolicy;

/// Headers by which clients prove who they are.
const PROTECTED: [&str; 4] = ["authorization", "cookie", "x-api-key", "proxy-authorization"];

/// Describes a [`Chain`].
///
/// ```
/// use std::time::Duration;
///
/// use hookwire::PluginHandle;
/// use hookwire_gateway::{Chain, ChainError, FieldPolicy};
///
/// fn chain(plugins: Vec<PluginHandle>) -> Result<Chain, ChainError> {
///     Chain::builder()
///         .plugins(plugins)
///         .timeout(Duration::from_secs(5))
///         .max_payload(1 << 20)
///         .disable_for(Duration::from_secs(60))
///         .policy("tool_pre_invoke", FieldPolicy::only(["args"]))
///         .build()
/// }
/// ```
#[derive(Clone)]
#[must_use = "`build` makes the chain"]
pub struct ChainBuilder {
    plugins: Vec<PluginHandle>,
    timeout: Option<Duration>,
    concurrency: usize,
    max_payload: usize,
    background: u32,
    runtime: Option<Handle>,
    disable_for: Option<Duration>,
    policies: BTreeMap<String, FieldPolicy>,
    default_policy: FieldPolicy,
    protected_headers: Vec<String>,
}

/// As the reference has it.
const MAX_PAYLOAD: usize = 1 << 20;

impl Default for ChainBuilder {
    fn default() -> Self {
        Self {
            plugins: Vec::new(),
            timeout: None,
            concurrency: 10,
            max_payload: MAX_PAYLOAD,
            background: 256,
            runtime: None,
            disable_for: None,
            policies: BTreeMap::new(),
            default_policy: FieldPolicy::default(),
            protected_headers: PROTECTED.map(str::to_owned).into(),
        }
    }
}

impl ChainBuilder {
    /// Adds a plugin, behind the others.
    pub fn plugin(mut self, plugin: PluginHandle) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Adds plugins in their order, as [`Plugins::handles`](hookwire::Plugins::handles) has
    /// them.
    pub fn plugins(mut self, plugins: impl IntoIterator<Item = PluginHandle>) -> Self {
        self.plugins.extend(plugins);
        self
    }

    pub(crate) fn handles(&self) -> &[PluginHandle] {
        &self.plugins
    }

    /// The time for all plugins of a hook together, but those in the background: each call
    /// may use what is left of it. Default: none, each plugin has its own `timeout` only. At
    /// most a year.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(Duration::from_secs(86_400 * 365)));
        self
    }

    /// How many plugins of the `concurrent` phase of one run are asked side by side. Default
    /// 10; 0 is 1.
    pub fn concurrency(mut self, plugins: usize) -> Self {
        self.concurrency = plugins.max(1);
        self
    }

    /// How large a payload may be as it comes in: the bytes of its JSON text. A run with a larger
    /// one, if any plugin is to be asked, ends as
    /// [`HaltReason::TooLarge`](crate::HaltReason::TooLarge) before one is. What plugins make of it
    /// is not measured again. Default 1 MiB, as in the reference; `usize::MAX` is no limit.
    ///
    /// Keep it well below the `max_frame_len` of the plugins and of their servers (16 MiB):
    /// a number takes up to five times as many bytes in a frame as in text, and a plugin that gives
    /// the payload back adds to it. A reply above that limit ends the connection, which is an error
    /// of the plugin, so a request that provokes it gets by a guard with `on_error: ignore` or
    /// `disable`, and `disable` takes the guard away.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How many calls in the background may run at a time, of all requests; more are dropped
    /// and counted. Default 256.
    pub fn background(mut self, calls: u32) -> Self {
        self.background = calls;
        self
    }

    /// Where calls in the background run. Default: on the runtime that the request runs on.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// How long a plugin with `on_error: disable` is left out after an error, before one
    /// request tries it again: the first that calls it. Its failure leaves the plugin out as
    /// long again; a call that is dropped, or fails for a reason that tells nothing of the
    /// plugin, leaves the trial to the next one. Default: for good.
    pub fn disable_for(mut self, rest: Duration) -> Self {
        self.disable_for = Some(rest);
        self
    }

    /// What plugins may change of this hook's payload.
    pub fn policy(mut self, hook: impl Into<String>, policy: FieldPolicy) -> Self {
        self.policies.insert(hook.into(), policy);
        self
    }

    /// What plugins may change of the payloads of all other hooks. Default
    /// [`FieldPolicy::Allow`].
    pub fn default_policy(mut self, policy: FieldPolicy) -> Self {
        self.default_policy = policy;
        self
    }

    /// The headers of a client's request that plugins of `http_pre_request` may not overwrite,
    /// in any case, nor with blanks and other characters around or in the name that HTTP does
    /// not allow there; one that the client did not send, they may add. Default `authorization`,
    /// `cookie`, `x-api-key` and `proxy-authorization`.
    pub fn protected_headers<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.protected_headers = names.into_iter().map(Into::into).collect();
        self
    }

    /// Makes the chain. Nothing is connected to.
    ///
    /// # Errors
    /// Two plugins have the same name, or a plugin's conditions cannot be read.
    pub fn build(self) -> Result<Chain, ChainError> {
        let background = Background::new(self.background, self.runtime.clone());
        let times = Times::new(self.disable_for);
        self.build_with(Arc::new(Lifetime::new(background)), times, |_| None)
    }

    /// Makes the chain that takes the place of `before`, which was made of the same settings.
    /// Plugins of both are the same, but those that are `gone`: what is known of them stays.
    pub(crate) fn build_after(
        self,
        before: &Chain,
        gone: &[PluginHandle],
    ) -> Result<Chain, ChainError> {
        let Inner { members, lifetime, times, .. } = &*before.inner;
        self.build_with(Arc::clone(lifetime), *times, |name| {
            let is_gone = gone.iter().any(|handle| handle.name() == name);
            let member = members.iter().find(|member| *member.name == *name);
            member.filter(|_| !is_gone).cloned()
        })
    }

    fn build_with(
        self,
        lifetime: Arc<Lifetime>,
        times: Times,
        known: impl Fn(&str) -> Option<Arc<Member>>,
    ) -> Result<Chain, ChainError> {
        let mut members: Vec<Arc<Member>> = Vec::with_capacity(self.plugins.len());
        for plugin in self.plugins {
            let name = plugin.name().to_owned();
            if members.iter().any(|other| *other.name == name) {
                return Err(ChainError::Duplicate(name));
            }
            let member = match known(&name) {
                Some(member) => member,
                None => Arc::new(
                    Member::new(plugin).map_err(|error| ChainError::Conditions(name, error))?,
                ),
            };
            members.push(member);
        }
        Ok(Chain {
            inner: Arc::new(Inner {
                members,
                timeout: self.timeout,
                concurrency: self.concurrency,
                max_payload: self.max_payload,
                lifetime,
                times,
                policies: self.policies,
                default_policy: self.default_policy,
                protected_headers: self.protected_headers,
            }),
        })
    }
}

impl fmt::Debug for ChainBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainBuilder")
            .field("plugins", &self.plugins)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .field("max_payload", &self.max_payload)
            .field("background", &self.background)
            .field("disable_for", &self.disable_for)
            .field("policies", &self.policies)
            .field("default_policy", &self.default_policy)
            .field("protected_headers", &self.protected_headers)
            .finish_non_exhaustive()
    }
}

/// Why there is no chain. See [`ChainBuilder`] for an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Two plugins have this name: their contexts could not be told apart.
    #[error("plugin `{0}` is configured twice")]
    Duplicate(String),
    /// This plugin's conditions cannot be read: it could be left out where it is needed.
    #[error("plugin `{0}`: {1}")]
    Conditions(String, ConditionError),
}
