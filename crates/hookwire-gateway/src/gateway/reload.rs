//! Applies by itself what a function of the gateway's loads: at a signal, or at a change.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::PoisonError;

use futures::FutureExt;
use futures::future::BoxFuture;
use hookwire::PluginConfig;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::{ChangeKind, Gateway};

/// What a gateway loads its plugins with, its types forgotten.
pub(super) type Load =
    Box<dyn FnMut() -> BoxFuture<'static, Result<Vec<PluginConfig>, String>> + Send>;

/// A task that reloads the plugins of a [`Gateway`]. Dropping it ends the task; a configuration
/// that is being taken over then is not.
///
/// ```
/// use hookwire_gateway::{Gateway, Reloader};
///
/// fn start(gateway: &Gateway) -> std::io::Result<Reloader> {
///     gateway.reload_on_sighup(|| async {
///         let text = tokio::fs::read("/etc/gateway/plugins.json").await?;
///         serde_json::from_slice::<Vec<hookwire::PluginConfig>>(&text).map_err(std::io::Error::from)
///     })
/// }
/// ```
#[must_use = "dropping it ends the reloads"]
#[derive(Debug)]
pub struct Reloader {
    task: JoinHandle<()>,
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How the attempts to take a configuration over went. See [`Gateway::reload_stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReloadStats {
    /// Configurations that were taken over, the first included.
    pub applied: u64,
    /// Configurations that were refused or could not be loaded, and calls of
    /// [`Gateway::apply`] that were dropped.
    pub failed: u64,
    /// Whether the last one was taken over: false means that the gateway runs an old one.
    pub up_to_date: bool,
}

/// Counts the attempts.
#[derive(Debug, Default)]
pub(super) struct Reloads(Mutex<ReloadStats>);

impl Reloads {
    pub(super) fn attempt(&self) -> Attempt<'_> {
        Attempt { reloads: self, taken_over: false }
    }

    fn note(&self, applied: bool) {
        let mut stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *(if applied { &mut stats.applied } else { &mut stats.failed }) += 1;
        stats.up_to_date = applied;
    }
}

/// One that comes to no end has failed, for the running configuration is not this one.
pub(super) struct Attempt<'a> {
    reloads: &'a Reloads,
    taken_over: bool,
}

impl Attempt<'_> {
    pub(super) fn taken_over(mut self) {
        self.taken_over = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.reloads.note(self.taken_over);
    }
}

impl Gateway {
    /// Reloads at each SIGHUP, as daemons do: calls `load`, and [applies](Self::apply) what it
    /// returns. What goes wrong is logged, and the running configuration stays.
    ///
    /// A configuration without any plugin is refused where there are some: a file that was cut
    /// off must not open the gateway. [`apply`](Self::apply) takes it.
    ///
    /// It and `reload_on_change` may both be there: what runs already is
    /// [kept](Self::apply), so a second reload changes nothing.
    ///
    /// From the first call on, the process does not end at SIGHUP any more. Signals that come
    /// while a configuration is taken over are one more reload after it.
    ///
    /// ```
    /// use hookwire_gateway::Gateway;
    ///
    /// # fn load() -> Result<Vec<hookwire::PluginConfig>, std::io::Error> { Ok(Vec::new()) }
    /// # fn start(gateway: &Gateway) -> std::io::Result<()> {
    /// let _reloader = gateway.reload_on_sighup(|| async { load() })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The signal cannot be listened to.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled, unless the [builder](crate::GatewayBuilder) names one.
    pub fn reload_on_sighup<F, Fut, P, E>(&self, load: F) -> io::Result<Reloader>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<P, E>> + Send + 'static,
        P: IntoIterator<Item = PluginConfig>,
        E: fmt::Display,
    {
        let runtime = self.runtime();
        let mut signals = {
            let _entered = runtime.enter();
            signal(SignalKind::hangup())?
        };
        let (gateway, mut load) = (self.clone(), erased(load));
        let task = runtime.spawn(async move {
            while signals.recv().await.is_some() {
                gateway.reload(&mut load, "SIGHUP").await;
            }
        });
        Ok(Reloader { task })
    }

    /// How reloads went, for metrics and health pages.
    ///
    /// ```
    /// # fn look(gateway: &hookwire_gateway::Gateway) {
    /// if !gateway.reload_stats().up_to_date {
    ///     println!("the last configuration was refused; an older one runs");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn reload_stats(&self) -> ReloadStats {
        *self.inner.reloads.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn runtime(&self) -> Handle {
        self.inner.runtime.clone().unwrap_or_else(Handle::current)
    }

    #[cfg(feature = "watch")]
    pub(super) fn reloader(&self, task: impl Future<Output = ()> + Send + 'static) -> Reloader {
        Reloader { task: self.runtime().spawn(task) }
    }

    async fn reload(&self, load: &mut Load, why: &'static str) {
        let reloaded = match self.load(load).await {
            Ok(plugins) => self.take_over(plugins, why).await,
            Err(error) => Err(error),
        };
        tell(reloaded, why);
    }

    /// The same, unless what is loaded runs already; true if it runs in the end.
    #[cfg(feature = "watch")]
    pub(super) async fn reload_changes(&self, load: &mut Load, why: &'static str) -> bool {
        let reloaded = match self.load(load).await {
            Ok(plugins) if self.reload_stats().up_to_date && self.inner.runs(&plugins) => Ok(()),
            Ok(plugins) => self.take_over(plugins, why).await,
            Err(error) => Err(error),
        };
        tell(reloaded, why)
    }

    async fn load(&self, load: &mut Load) -> Result<Vec<PluginConfig>, String> {
        let loaded = AssertUnwindSafe(async { load().await }).catch_unwind().await;
        let loaded = loaded.unwrap_or_else(|_| Err("loading them panicked".to_owned()));
        let plugins = loaded.and_then(|plugins| match plugins.is_empty() {
            true if self.chain().handles().next().is_some() => {
                Err("the configuration has no plugins at all".to_owned())
            }
            _ => Ok(plugins),
        });
        plugins.inspect_err(|_| self.inner.reloads.note(false))
    }

    async fn take_over(&self, plugins: Vec<PluginConfig>, why: &'static str) -> Result<(), String> {
        let applied = self.apply(plugins).await.map_err(|error| error.to_string())?;
        let [kept, started, replaced, removed] =
            [ChangeKind::Kept, ChangeKind::Started, ChangeKind::Replaced, ChangeKind::Removed]
                .map(|kind| applied.count(kind));
        tracing::info!(why, kept, started, replaced, removed, "the plugins were reloaded");
        let failed = |report: &hookwire::PluginReport| report.outcome.is_err();
        for change in applied.changes() {
            if change.connected.as_ref().is_some_and(failed) {
                tracing::warn!(why, "{change}");
            }
        }
        Ok(())
    }
}

fn tell(reloaded: Result<(), String>, why: &'static str) -> bool {
    reloaded
        .inspect_err(|error| {
            tracing::error!(why, "the plugins were not reloaded, the running ones stay: {error}");
        })
        .is_ok()
}

pub(super) fn erased<F, Fut, P, E>(mut load: F) -> Load
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = Result<P, E>> + Send + 'static,
    P: IntoIterator<Item = PluginConfig>,
    E: fmt::Display,
{
    Box::new(move || {
        let loading = load();
        async move {
            let loaded = loading.await.map_err(|error| error.to_string())?;
            Ok(loaded.into_iter().collect())
        }
        .boxed()
    })
}
