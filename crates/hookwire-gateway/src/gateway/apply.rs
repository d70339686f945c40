//! How a new configuration takes the place of the one that runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hookwire::{
    ConnectError, ConnectionState, OnConnectFailure, PluginConfig, PluginHandle, PluginReport,
    Plugins,
};

use super::reload::Attempt;
use super::{Gateway, Inner};
use crate::chain::ChainError;
use crate::conditions::Conditions;

impl Gateway {
    /// Puts these plugins, in their order, in place of those that run.
    ///
    /// - A plugin whose entry is equal is **kept**: its handle, its connections, its counters.
    /// - A new one is **started**, one whose entry has changed is started anew and then
    ///   **replaced**. Each is waited for until it is connected and checked, at most its
    ///   `connect_timeout`, all side by side. One whose server is down is taken in all the
    ///   same: it is tried again in the background, and calls of it fail until it is there.
    /// - Then the chain is swapped. Requests see the old configuration or the new one, and
    ///   nothing between. A run that has begun goes on with what it has begun with.
    /// - One that is no longer there is **removed**: it takes the calls of runs that have
    ///   begun, and closes when the last one is over.
    ///
    /// So no call is lost, and none is made twice. A plugin that is kept stays left out after an
    /// error (`on_error: disable`), so that a reload without a change changes nothing; one that
    /// is replaced is asked again, and so is one after a [`Chain::reset`](crate::Chain::reset).
    /// Of several calls of this at once, one after the other is served.
    ///
    /// What runs is in [`handles`](Self::handles): of each, the entry to apply again is
    /// [`local_config`](hookwire::PluginHandle::local_config), not `config`, which has what the
    /// server has told too.
    ///
    /// # Errors
    /// Two plugins have one name; the conditions of one cannot be read; there is no runtime; or
    /// the gateway is shut down. Then nothing changes. Never because a server is down, or
    /// cannot be used as it is configured: see [`Change::connected`].
    ///
    /// # Panics
    /// If the runtime has I/O or time disabled, as Tokio itself does.
    ///
    /// # Cancel safety
    /// A dropped call leaves the running configuration as it was, and is counted as
    /// [failed](crate::ReloadStats::failed).
    pub async fn apply(
        &self,
        plugins: impl IntoIterator<Item = PluginConfig>,
    ) -> Result<Applied, ApplyError> {
        self.inner.apply(plugins.into_iter().collect()).await
    }
}

impl Inner {
    async fn apply(&self, configs: Vec<PluginConfig>) -> Result<Applied, ApplyError> {
        let attempt = self.reloads.attempt();
        self.check(&configs)?;
        let _one_at_a_time = self.applying.lock().await;
        if self.lifetime.is_closed() {
            return Err(ApplyError::ShutDown);
        }
        let mut before = self.applied_handles();
        let new = configs.iter().filter(|config| !before.iter().any(|old| is_kept(old, config)));
        let mut connected = self.connect(new.cloned().collect()).await?;

        let mut changes = Vec::new();
        let mut handles = Vec::new();
        let mut gone = Vec::new();
        for config in &configs {
            let position = before.iter().position(|old| old.name() == config.name());
            let old = position.map(|position| before.remove(position));
            let (handle, change, report) = match (old, connected.remove(config.name())) {
                (old, Some((handle, report))) => {
                    let change =
                        if old.is_some() { ChangeKind::Replaced } else { ChangeKind::Started };
                    gone.extend(old);
                    (handle, change, Some(report))
                }
                (Some(old), None) => (old, ChangeKind::Kept, None),
                // It is neither running nor started: there is no such plugin.
                (None, None) => continue,
            };
            handles.push(handle);
            changes.push(Change::new(config.name(), change, report));
        }
        changes.extend(before.iter().map(|old| Change::new(old.name(), ChangeKind::Removed, None)));
        gone.append(&mut before);

        self.swap(handles, &gone, attempt)?;
        Ok(Applied { changes })
    }

    /// What can be told without a plugin.
    fn check(&self, configs: &[PluginConfig]) -> Result<(), ChainError> {
        let fixed = self.settings.handles().iter().map(PluginHandle::name);
        let mut names: Vec<&str> = fixed.collect();
        for config in configs {
            if names.contains(&config.name()) {
                return Err(ChainError::Duplicate(config.name().to_owned()));
            }
            names.push(config.name());
            Conditions::parse(config.conditions())
                .map_err(|error| ChainError::Conditions(config.name().to_owned(), error))?;
        }
        Ok(())
    }

    /// Whether these are the plugins of the last configuration, in their order.
    #[cfg(feature = "watch")]
    pub(super) fn runs(&self, configs: &[PluginConfig]) -> bool {
        let handles = self.applied_handles();
        let pairs = || handles.iter().zip(configs);
        handles.len() == configs.len() && pairs().all(|(handle, config)| is_kept(handle, config))
    }

    /// Those of the last configuration.
    fn applied_handles(&self) -> Vec<PluginHandle> {
        let chain = self.current.get();
        chain.handles().skip(self.settings.handles().len()).cloned().collect()
    }

    async fn connect(
        &self,
        configs: Vec<PluginConfig>,
    ) -> Result<BTreeMap<String, (PluginHandle, PluginReport)>, ApplyError> {
        let mut plugins = Plugins::builder()
            .plugins(configs)
            .on_failure(OnConnectFailure::KeepRetrying)
            .connections(&self.connections);
        if let Some(registry) = &self.registry {
            plugins = plugins.registry(Arc::clone(registry));
        }
        if let Some(runtime) = &self.runtime {
            plugins = plugins.runtime(runtime.clone());
        }
        let (plugins, reports) = plugins.connect().await.map_err(ApplyError::Connect)?;
        let named = |handle: PluginHandle| handle.name().to_owned();
        Ok(plugins
            .handles()
            .into_iter()
            .zip(reports)
            .map(|(handle, report)| (named(handle.clone()), (handle, report)))
            .collect())
    }

    /// Together with the totals, so that whoever reads them sees each handle once.
    fn swap(
        &self,
        handles: Vec<PluginHandle>,
        gone: &[PluginHandle],
        attempt: Attempt<'_>,
    ) -> Result<(), ApplyError> {
        let mut retired = self.lock();
        // Nothing starts once a shutdown has looked at what is there.
        if self.lifetime.is_closed() {
            return Err(ApplyError::ShutDown);
        }
        let chain =
            self.settings.clone().plugins(handles).build_after(&self.current.get(), gone)?;
        gone.iter().for_each(|handle| retired.add(handle));
        // Before: whoever sees the new chain sees that it was taken over.
        attempt.taken_over();
        self.current.set(chain);
        retired.settle();
        Ok(())
    }
}

/// One that was shut down by somebody who had its handle is of no use any more.
fn is_kept(old: &PluginHandle, config: &PluginConfig) -> bool {
    old.local_config() == config && old.state() != ConnectionState::Shutdown
}

/// What became of each plugin. See [`GatewayBuilder`](crate::GatewayBuilder) for an example.
#[derive(Debug, Clone)]
pub struct Applied {
    changes: Vec<Change>,
}

impl Applied {
    /// One for each plugin: those that run now, in their order, then those that were removed.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many plugins fared so.
    #[must_use]
    pub fn count(&self, kind: ChangeKind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).count()
    }
}

/// What became of one plugin. `Display` tells it to the operator.
///
/// ```
/// use hookwire_gateway::{Applied, ChangeKind};
///
/// fn tell(applied: &Applied) {
///     let changed = applied.changes().iter().filter(|change| change.kind != ChangeKind::Kept);
///     for change in changed {
///         println!("{change}");
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// The plugin's name.
    pub plugin: String,
    /// What was done with it.
    pub kind: ChangeKind,
    /// How it could be connected to, for one that was started or replaced. One that is
    /// [`pending`](PluginReport::pending) is tried again in the background; of another one that
    /// failed, each call is refused with that error, until its server answers differently or it
    /// is configured differently.
    pub connected: Option<PluginReport>,
}

/// What was done with a plugin. See [`Change`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Its entry is equal: nothing.
    Kept,
    /// It is new.
    Started,
    /// Its entry has changed, or its handle was shut down: it was started anew.
    Replaced,
    /// It has no entry any more.
    Removed,
}

impl ChangeKind {
    /// The stable snake_case word, for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Started => "started",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
        }
    }
}

impl Change {
    fn new(plugin: &str, kind: ChangeKind, connected: Option<PluginReport>) -> Self {
        Self { plugin: plugin.to_owned(), kind, connected }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}`: {}", self.plugin, self.kind.as_str())?;
        match &self.connected {
            Some(PluginReport { outcome: Err(error), pending: true, .. }) => {
                write!(f, ", and tried again until it is there: {error}")
            }
            Some(PluginReport { outcome: Err(error), .. }) => {
                write!(f, ", but of no use as it is configured: {error}")
            }
            _ => Ok(()),
        }
    }
}

/// Why a configuration was not taken over; the one that ran goes on. See
/// [`GatewayBuilder`](crate::GatewayBuilder) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// There can be no chain of these plugins.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The plugins could not be started.
    #[error(transparent)]
    Connect(ConnectError),
    /// The gateway is shut down.
    #[error("the gateway is shut down: it takes no configuration any more")]
    ShutDown,
}
