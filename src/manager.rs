//! Many plugins by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use tokio::time::timeout;

use crate::config::PluginConfig;
use crate::error::PluginError;
use crate::handle::PluginHandle;
use crate::hooks::HookRegistry;

/// What to do with a plugin that cannot be connected to at the start.
///
/// ```
/// assert_eq!(hookwire::OnConnectFailure::default(), hookwire::OnConnectFailure::FailAll);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnConnectFailure {
    /// Give up the whole manager: all plugins or none.
    #[default]
    FailAll,
    /// Take the plugin in all the same. It is tried again in the background and
    /// checked once it is there; until then its calls fail at once.
    KeepRetrying,
}

/// How one plugin fared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PluginReport {
    /// The plugin's name.
    pub plugin: String,
    /// Whether it is connected and checked, or why not.
    pub outcome: Result<(), PluginError>,
}

/// Why a manager was not made, or a plugin not taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Two plugins have one name.
    #[error("two plugins are named `{0}`; a name must be unique")]
    Duplicate(String),
    /// No plugin has this name.
    #[error("no plugin is named `{0}`")]
    Unknown(String),
    /// At least one plugin could not be connected to; the others were closed again.
    #[error("{}", failures(.0))]
    Failed(Vec<PluginReport>),
}

fn failures(reports: &[PluginReport]) -> String {
    let failed: Vec<_> =
        reports.iter().filter_map(|report| report.outcome.as_ref().err()).collect();
    let lines: Vec<_> = failed.iter().map(ToString::to_string).collect();
    format!("{} of {} plugins failed to connect: {}", failed.len(), reports.len(), lines.join("; "))
}

/// Many plugins by name. Cheap to clone, shared by all tasks of a gateway.
///
/// ## Behavior
/// - Plugins are connected side by side; a slow one holds up no other.
/// - `add`, `replace` and `remove` at run time leave all other plugins alone.
/// - [`get`](Self::get) takes a short read lock and clones a handle; a call
///   through the handle takes none. Keep the handle where a lookup for each call
///   is too much.
///
/// ```no_run
/// use hookwire::{ConnectionManager, HookRegistry, OnConnectFailure, PluginConfig};
///
/// # async fn run(configs: Vec<PluginConfig>) -> Result<(), Box<dyn std::error::Error>> {
/// let (plugins, reports) =
///     ConnectionManager::connect(configs, HookRegistry::builtin(), OnConnectFailure::KeepRetrying)
///         .await?;
/// for report in reports.iter().filter(|report| report.outcome.is_err()) {
///     eprintln!("not there yet: {}", report.plugin);
/// }
/// let guard = plugins.get("Guard").ok_or("no guard is configured")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ConnectionManager {
    plugins: Arc<RwLock<BTreeMap<String, PluginHandle>>>,
    registry: Arc<HookRegistry>,
}

impl ConnectionManager {
    /// Connects to all plugins side by side and reports how each fared.
    ///
    /// # Errors
    /// Two plugins have one name; or, with [`OnConnectFailure::FailAll`], a
    /// plugin could not be connected to.
    ///
    /// # Cancel safety
    /// A dropped connect leaves nothing behind.
    pub async fn connect(
        configs: impl IntoIterator<Item = PluginConfig>,
        registry: impl Into<Arc<HookRegistry>>,
        on_failure: OnConnectFailure,
    ) -> Result<(Self, Vec<PluginReport>), ConnectError> {
        let manager = Self { plugins: Arc::default(), registry: registry.into() };
        let mut handles = Vec::new();
        for config in configs {
            let handle = manager.lazy(config);
            manager.insert_new(handle.clone())?;
            handles.push(handle);
        }
        let checks = handles.iter().map(|handle| async {
            PluginReport { plugin: handle.name().to_owned(), outcome: handle.check().await }
        });
        let reports = join_all(checks).await;
        if on_failure == OnConnectFailure::FailAll
            && reports.iter().any(|report| report.outcome.is_err())
        {
            return Err(ConnectError::Failed(reports));
        }
        for (handle, report) in handles.iter().zip(&reports) {
            if report.outcome.is_err() {
                check_when_ready(handle);
            }
        }
        Ok((manager, reports))
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<PluginHandle> {
        self.read().get(name).cloned()
    }

    /// The names of all plugins, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// Connects to one more plugin and takes it in.
    ///
    /// # Errors
    /// The name is taken, or the plugin cannot be connected to.
    ///
    /// # Cancel safety
    /// A dropped call leaves the manager as it was.
    pub async fn add(&self, config: PluginConfig) -> Result<PluginHandle, ConnectError> {
        if self.read().contains_key(config.name()) {
            return Err(ConnectError::Duplicate(config.name().to_owned()));
        }
        let handle = self.connected(config).await?;
        self.insert_new(handle.clone())?;
        Ok(handle)
    }

    /// Connects anew with another configuration and puts the new handle in place
    /// of the plugin of the same name. The old one stays until the new one is
    /// connected, and is returned: its calls finish, and its last clone closes it.
    ///
    /// # Errors
    /// No plugin has this name, or it cannot be connected to; then the old one stays.
    ///
    /// # Cancel safety
    /// A dropped call leaves the manager as it was.
    pub async fn replace(&self, config: PluginConfig) -> Result<PluginHandle, ConnectError> {
        let name = config.name().to_owned();
        if !self.read().contains_key(&name) {
            return Err(ConnectError::Unknown(name));
        }
        let handle = self.connected(config).await?;
        match self.write().entry(name) {
            std::collections::btree_map::Entry::Occupied(mut entry) => Ok(entry.insert(handle)),
            // Removed while the new one was connecting: it stays removed.
            std::collections::btree_map::Entry::Vacant(entry) => {
                Err(ConnectError::Unknown(entry.into_key()))
            }
        }
    }

    /// Takes a plugin out. Its calls finish, and its last clone closes it.
    pub fn remove(&self, name: &str) -> Option<PluginHandle> {
        self.write().remove(name)
    }

    /// Shuts all plugins down at once, as [`PluginHandle::shutdown`] does with
    /// one, and takes them out.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the shutdown back.
    pub async fn shutdown(&self, timeout: Duration) {
        let plugins = std::mem::take(&mut *self.write());
        join_all(plugins.values().map(|plugin| plugin.shutdown(timeout))).await;
    }

    fn lazy(&self, config: PluginConfig) -> PluginHandle {
        PluginHandle::builder(config).registry(Arc::clone(&self.registry)).connect_lazy()
    }

    async fn connected(&self, config: PluginConfig) -> Result<PluginHandle, ConnectError> {
        let handle = self.lazy(config);
        match handle.check().await {
            Ok(()) => Ok(handle),
            Err(error) => {
                let plugin = handle.name().to_owned();
                Err(ConnectError::Failed(vec![PluginReport { plugin, outcome: Err(error) }]))
            }
        }
    }

    fn insert_new(&self, handle: PluginHandle) -> Result<(), ConnectError> {
        let mut plugins = self.write();
        if plugins.contains_key(handle.name()) {
            return Err(ConnectError::Duplicate(handle.name().to_owned()));
        }
        plugins.insert(handle.name().to_owned(), handle);
        Ok(())
    }

    // Nothing panics while the lock is held, and a map is whole at all times.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, PluginHandle>> {
        self.plugins.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, PluginHandle>> {
        self.plugins.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a plugin that was not there at the start is looked for, at least.
const RECHECK: Duration = Duration::from_secs(1);

/// Makes up for the check of a plugin that was not there at the start, as soon as
/// it is. Ends with the plugin; holds the handle only while it checks.
fn check_when_ready(handle: &PluginHandle) {
    let mut states = handle.watch_state();
    let weak = handle.downgrade();
    tokio::spawn(async move {
        // A change of state says when to look again, and so does time: a plugin
        // whose answer was late has no change to show.
        while !matches!(timeout(RECHECK, states.next()).await, Ok(None)) {
            let Some(handle) = weak.upgrade() else { return };
            match handle.check().await {
                Ok(()) => return,
                Err(error) if handle.is_refused() => {
                    tracing::error!(plugin = handle.name(), %error, "the plugin is there, but cannot be used");
                    return;
                }
                Err(_) => {}
            }
        }
    });
}

impl fmt::Debug for ConnectionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.read().iter()).finish()
    }
}
