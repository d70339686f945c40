//! What callers clone.

mod builder;
mod call;
mod checked;
mod denial;
mod effective;
mod encoded;
mod enforce;
#[cfg(test)]
#[cfg(all(feature = "grpc", feature = "server"))]
mod grpc_served_tests;
#[cfg(test)]
#[cfg(feature = "grpc")]
mod grpc_tests;
#[cfg(test)]
#[cfg(all(feature = "grpc", feature = "server"))]
mod grpc_trouble_tests;
mod observed;
mod verify;
mod watch;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::select;
use tokio::time::Instant;

pub use builder::PluginHandleBuilder;
pub use denial::{Denial, Stopped};
pub use effective::{EffectiveConfig, Hooks};
pub use encoded::EncodedPayload;
pub use observed::WeakPluginHandle;

use checked::Checked;

use crate::alarm::Alarm;
use crate::breaker::BreakerState;
use crate::call::Caller;
use crate::config::{PluginConfig, ServerEntry};
use crate::error::{Cause, Errand, PluginError, Sent, Stage};
use crate::model::Object;
use crate::options::CallOptions;
use crate::unix::reconnect::ConnectionState;

/// How much later than its deadline a shutdown may return.
const STOPPED: Duration = Duration::from_millis(100);

/// A handle to one plugin. Clone it into every task: all clones share one [`Arc`].
///
/// [`enforce`](Self::enforce) is the way to ask it about a request; [`decide`](Self::decide) is
/// for hooks that answer with a decision. [`invoke_hook`](Self::invoke_hook) returns the
/// whole result.
///
/// ## Behavior
/// - Calls run side by side over up to `max_connections` sockets. A server works
///   on one call of a connection at a time; further ones are written ahead. No
///   order is promised between calls.
/// - Every call ends by its deadline, which covers waiting for a slot,
///   connecting, writing and waiting for the reply.
/// - A connection that breaks is replaced in the background. A call of which
///   nothing was sent waits for the next one; a call that may have been sent
///   fails, unless [`RetryPolicy::Resend`](crate::RetryPolicy::Resend) allows
///   that the hook runs twice.
/// - While the plugin is down its breaker is open and calls fail at once. It opens
///   after `reconnect_attempts` failures in a row to reach the plugin, which go on in
///   the background, and closes with the next connection; or after
///   `breaker_threshold` unanswered calls in a row, and closes with a reply, for which
///   one call at a time is let through. See [`BreakerState`].
/// - A reply that is not the answer to its call (other plugin, other request,
///   no verdict, no protobuf) fails the call and closes the connection; one that only is not
///   of the type that was asked for fails the call alone.
/// - A hook that was sent goes on running on the server when its caller leaves:
///   the protocol has no way to cancel. Its reply is read and thrown away.
/// - Dropping the last clone closes the connections.
///
/// ```no_run
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::{PluginConfig, PluginContext, PluginHandle};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = PluginConfig::builder("Guard")
///     .socket("/run/plugins/guard.sock")
///     .hook("tool_pre_invoke")
///     .build()?;
/// let guard = PluginHandle::connect(config).await?;
///
/// let mut context = PluginContext::new("request-1");
/// let payload = ToolPreInvokePayload::new("search");
/// // A denial and a failed call both end here; what comes back is what may go on.
/// let payload = guard.enforce::<ToolPreInvoke>(payload, &mut context).await?;
/// println!("call {} with {:?}", payload.name, payload.args);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PluginHandle {
    inner: Arc<Inner>,
    options: CallOptions,
}

struct Inner {
    client: Caller,
    /// What the server tells of the plugin, and whether it may be called.
    checked: Arc<Checked>,
}

impl PluginHandle {
    /// Connects, asks the server for the plugin's configuration, and merges it: the server
    /// fills what the local entry leaves open. It is asked again after each reconnect, for it
    /// may be another version by then.
    ///
    /// **The server acts on its own entry first**: its `mode` and `on_error` can turn denials
    /// and errors into results that allow. Each contradiction is a warning in the log, and in
    /// [`differences`](EffectiveConfig::differences); with
    /// [`Verify::Strict`](crate::Verify::Strict) those that let requests pass are errors.
    ///
    /// A server that does not know the plugin, or does not answer the question, is
    /// only warned of in the log if the local entry names hooks: they may work all the
    /// same. If it names none, both are errors (unless the builder
    /// [allows that](PluginHandleBuilder::allow_no_hooks)), for there is nothing to
    /// call. With `verify` off nothing is asked.
    ///
    /// Connecting and asking have the plugin's `timeout` each, so it may take twice
    /// as long.
    ///
    /// # Errors
    /// - The plugin cannot be reached: it may be later.
    /// - The server spells its name differently, which would fail every call; neither side
    ///   names a hook; or the server is weaker than a strict entry allows. Where others have
    ///   the handle already, as in a [`Plugins`](crate::Plugins), every call is refused with
    ///   the same error until the server answers differently.
    /// - The server did not answer, and there are no local hooks, or the entry is strict.
    ///
    /// # Cancel safety
    /// A dropped connect leaves nothing behind.
    pub async fn connect(config: PluginConfig) -> Result<Self, PluginError> {
        Self::builder(config).connect().await
    }

    /// Returns at once; the first call connects. Nothing is asked, so the
    /// configuration stays as it is until [`verify`](Self::verify) is called; a strict entry
    /// lets no call through before.
    ///
    /// The connection's task runs on the Tokio runtime that is entered here, or
    /// else on that of the first call. It must be driven for as long as the handle is
    /// used: the task keeps the deadlines of calls from other runtimes too.
    #[must_use]
    pub fn connect_lazy(config: PluginConfig) -> Self {
        Self::builder(config).connect_lazy()
    }

    /// A handle with a registry of its own, or without hooks.
    pub fn builder(config: PluginConfig) -> PluginHandleBuilder {
        PluginHandleBuilder::new(config)
    }

    /// The same plugin, called with these options: for one call or, kept, for many. It is
    /// another clone, so all else is shared.
    ///
    /// ```no_run
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::{CallOptions, PluginContext, PluginHandle, Stopped};
    /// use std::time::Duration;
    ///
    /// # async fn check(guard: PluginHandle, payload: ToolPreInvokePayload) -> Result<(), Stopped> {
    /// let hasty = guard.with(CallOptions::new().timeout(Duration::from_millis(250)));
    /// let mut context = PluginContext::new("request-1");
    /// let payload = hasty.enforce::<ToolPreInvoke>(payload, &mut context).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { inner: Arc::clone(&self.inner), options }
    }

    /// The same plugin with the same options, called by `deadline` at the latest, whatever
    /// its `timeout` is: for calls that share the time of one request.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::{PluginContext, PluginHandle, Stopped};
    ///
    /// # async fn check(guards: [PluginHandle; 2]) -> Result<(), Stopped> {
    /// // A second for both of them.
    /// let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    /// let mut payload = ToolPreInvokePayload::new("search");
    /// for guard in guards {
    ///     let mut context = PluginContext::new("request-1");
    ///     payload = guard.until(deadline).enforce::<ToolPreInvoke>(payload, &mut context).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        let deadline = self.options.deadline.map_or(deadline, |own| own.min(deadline));
        self.with(self.options.deadline(deadline))
    }

    /// The plugin's configuration on the server, as JSON; `None` if the server
    /// knows no such plugin. The server ignores case here.
    ///
    /// It is only read: [`verify`](Self::verify) acts on it.
    ///
    /// # Errors
    /// As [`invoke_hook`](Self::invoke_hook).
    ///
    /// # Cancel safety
    /// A dropped call affects no other.
    pub async fn plugin_config(&self) -> Result<Option<Object>, PluginError> {
        let (reported, _) = self.inner.client.plugin_config(self.name(), self.options).await?;
        Ok(reported.map(|reported| reported.entry))
    }

    /// The configurations of all plugins on the server, as JSON.
    ///
    /// # Errors
    /// As [`invoke_hook`](Self::invoke_hook).
    ///
    /// # Cancel safety
    /// A dropped call affects no other.
    pub async fn plugin_configs(&self) -> Result<Vec<Object>, PluginError> {
        self.inner.client.plugin_configs(self.options).await
    }

    /// The plugin's name, as configured here.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.checked.local.name()
    }

    /// The gateway's own entry, as the handle was made with; [`config`](Self::config) is the
    /// one that holds.
    #[must_use]
    pub fn local_config(&self) -> &PluginConfig {
        &self.inner.checked.local
    }

    /// The configuration as of now: merged with the server's once that has answered. It may
    /// change when the server is restarted; [`watch_config`](Self::watch_config) tells.
    #[must_use]
    pub fn config(&self) -> EffectiveConfig {
        self.inner.checked.current()
    }

    /// The plugin's entry on its server, **which acts on it first**; the merged one is
    /// [`config`](Self::config). `None` while the server has not told it, or if it knows no
    /// such plugin.
    ///
    /// ```
    /// # fn look(guard: &hookwire::PluginHandle) {
    /// if let Some(entry) = guard.server_config() {
    ///     println!("on its server: {:?}, on errors {:?}", entry.mode(), entry.on_error());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn server_config(&self) -> Option<ServerEntry> {
        self.config().server().cloned()
    }

    /// The hook types that the plugin is called for, here or on the server; unknown while
    /// neither side has told.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        self.config().hooks()
    }

    /// Whether the server that is called now has told its entry, and it is merged into
    /// [`config`](Self::config). False before the first answer, from a reconnect to the next
    /// answer, and where nothing is asked.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.inner.checked.is_fresh()
    }

    /// The state of the best of the plugin's connections.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.inner.client.plugin.state()
    }

    /// Whether calls are let through, or fail at once because the plugin is down.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.inner.client.gate.state()
    }

    /// Takes no new calls, gives those under way `timeout` to finish, and closes
    /// the connections. Returns when they are closed, or soon after `timeout` where the
    /// runtime that should close them is at its end itself.
    ///
    /// Any clone may call it, any number of times; the earliest deadline counts.
    /// Calls that do not finish fail with [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// # Cancel safety
    /// Dropping the future does not take the shutdown back.
    pub fn shutdown(&self, timeout: Duration) -> impl Future<Output = ()> + Send + '_ {
        let timeout = timeout.min(Duration::from_secs(86_400 * 365));
        self.inner.client.stop(Instant::now() + timeout);
        let latest = std::time::Instant::now() + timeout + STOPPED;
        async move {
            select(pin!(self.inner.client.stopped()), Alarm::new(latest)).await;
        }
    }

    /// True if the plugin cannot be used as it is configured, by its server's answer or by what
    /// its handle was made with.
    pub(crate) fn is_refused(&self) -> bool {
        let refusal = self.inner.checked.refusal();
        refusal.is_some_and(|cause| !matches!(cause, Cause::Disabled | Cause::Unchecked))
            || self.inner.client.gate.is_barred()
    }

    /// The error of a check that goes on: how long it was waited for, and where it was then.
    pub(crate) fn unchecked(&self, timeout: Duration, stage: Stage) -> PluginError {
        let cause = Cause::Timeout { timeout, stage, last_error: None };
        self.inner.client.error(Errand::Question, (Sent::No, cause))
    }

    async fn refused(&self, cause: Cause) -> PluginError {
        self.inner.client.refuse(cause).await
    }
}

impl fmt::Debug for PluginHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHandle")
            .field("plugin", &self.name())
            .field("endpoint", &self.config().endpoint())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
