//! Many plugins by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, Either, join_all, select};
use tokio::time::{sleep, timeout};

use crate::config::{PluginConfig, Transport};
use crate::error::{PluginError, Stage};
use crate::handle::PluginHandle;
use crate::hooks::HookRegistry;
use crate::unix::reconnect::ConnectionState;

/// What to do with a plugin that cannot be connected to at the start.
///
/// ```
/// assert_eq!(hookwire::OnConnectFailure::default(), hookwire::OnConnectFailure::FailAll);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnConnectFailure {
    /// Give up the whole manager: all plugins or none. Each plugin has its `timeout`
    /// for connecting and once more for answering, and the slowest is waited for.
    #[default]
    FailAll,
    /// Take the plugin in all the same. It is tried again in the background and
    /// checked once it is there; while it cannot be reached its calls fail at once.
    ///
    /// A plugin that is not checked within its `connect_timeout` (default 5 s) is
    /// waited for no longer: who chose that time for one attempt counts what takes
    /// longer as not there. So the start takes no longer than the largest of them. The
    /// check that was begun goes on; calls are let through meanwhile, each with its own
    /// deadline, and what the server has to add to the configuration is missing.
    KeepRetrying,
}

/// How one plugin fared.
///
/// ```no_run
/// use hookwire::PluginReport;
///
/// fn tell(report: &PluginReport) {
///     match &report.outcome {
///         Ok(()) => println!("{} is ready", report.plugin),
///         Err(error) if report.pending => println!("not yet: {error}"),
///         Err(error) => println!("of no use as it is configured: {error}"),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PluginReport {
    /// The plugin's name.
    pub plugin: String,
    /// Whether it is connected and checked, or why not. A plugin that is not checked
    /// yet, and waited for no longer, has a [`Timeout`](crate::ErrorKind::Timeout) here.
    pub outcome: Result<(), PluginError>,
    /// Whether the check goes on in the background. Never with
    /// [`OnConnectFailure::FailAll`], nor for a plugin whose server has said that it
    /// cannot be used as it is configured.
    pub pending: bool,
}

/// Why a manager was not made, or a plugin not taken in.
///
/// ```no_run
/// use hookwire::{ConnectError, ConnectionManager, PluginConfig};
///
/// async fn add(plugins: &ConnectionManager, config: PluginConfig) {
///     match plugins.add(config).await {
///         Ok(plugin) => println!("{} is ready", plugin.name()),
///         Err(ConnectError::Failed(reports)) => {
///             for error in reports.iter().filter_map(|report| report.outcome.as_ref().err()) {
///                 println!("{error}");
///             }
///         }
///         Err(error) => println!("{error}"),
///     }
/// }
/// ```
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
/// - Plugins are connected side by side; a slow one holds up no other. How long
///   [`connect`](Self::connect) waits for it is said at [`OnConnectFailure`].
/// - `add`, `replace` and `remove` at run time leave all other plugins alone.
/// - `add` and `replace` connect first and fail for a plugin that is down.
///   [`insert`](Self::insert) and [`replace_with`](Self::replace_with) take any handle.
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
            manager.insert(handle.clone())?;
            handles.push(handle);
        }
        if on_failure == OnConnectFailure::FailAll {
            let reports = join_all(
                handles.iter().map(|handle| async { report(handle, handle.check().await, false) }),
            );
            let reports = reports.await;
            let failed = reports.iter().any(|report| report.outcome.is_err());
            return if failed {
                Err(ConnectError::Failed(reports))
            } else {
                Ok((manager, reports))
            };
        }
        // No task before all are done with waiting: a dropped connect leaves none behind.
        let checks = join_all(handles.iter().map(check_for_a_while)).await;
        let reports = handles.iter().zip(checks).map(|(handle, (outcome, unfinished))| {
            let pending = outcome.is_err() && !handle.is_refused();
            if pending {
                check_when_ready(handle, unfinished);
            }
            report(handle, outcome, pending)
        });
        let reports = reports.collect();
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

    /// Connects to one more plugin and takes it in. For one that may be down, see
    /// [`insert`](Self::insert).
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
        self.insert(handle.clone())?;
        Ok(handle)
    }

    /// Takes in a handle that was made elsewhere, as it is: nothing is connected to and
    /// nothing is asked, so it need not be there. For what [`add`](Self::add) cannot make:
    /// a plugin without hooks, with a registry of its own, or one that is down.
    ///
    /// A handle that was never checked keeps the configuration of its entry; name the
    /// hooks there.
    ///
    /// ```
    /// use hookwire::{ConnectError, ConnectionManager, PluginConfig, PluginHandle};
    ///
    /// # fn run(plugins: &ConnectionManager) -> Result<(), Box<dyn std::error::Error>> {
    /// let config = PluginConfig::builder("Audit")
    ///     .socket("/run/plugins/audit.sock")
    ///     .hook("tool_post_invoke")
    ///     .build()?;
    /// // The first call connects; if nobody is there, that call fails and no other.
    /// plugins.insert(PluginHandle::connect_lazy(config))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The name is taken.
    pub fn insert(&self, handle: PluginHandle) -> Result<(), ConnectError> {
        let mut plugins = self.write();
        if plugins.contains_key(handle.name()) {
            return Err(ConnectError::Duplicate(handle.name().to_owned()));
        }
        plugins.insert(handle.name().to_owned(), handle);
        Ok(())
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
        if !self.read().contains_key(config.name()) {
            return Err(ConnectError::Unknown(config.name().to_owned()));
        }
        let handle = self.connected(config).await?;
        // Removed while the new one was connecting: it stays removed.
        self.replace_with(handle)
    }

    /// Puts a handle that was made elsewhere in place of the plugin of the same name, as
    /// [`insert`](Self::insert) takes one in, and returns the old one. There is no moment
    /// at which the manager has neither.
    ///
    /// # Errors
    /// No plugin has this name.
    pub fn replace_with(&self, handle: PluginHandle) -> Result<PluginHandle, ConnectError> {
        match self.write().get_mut(handle.name()) {
            Some(place) => Ok(std::mem::replace(place, handle)),
            None => Err(ConnectError::Unknown(handle.name().to_owned())),
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
            Err(error) => Err(ConnectError::Failed(vec![report(&handle, Err(error), false)])),
        }
    }

    // Nothing panics while the lock is held, and a map is whole at all times.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, PluginHandle>> {
        self.plugins.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, PluginHandle>> {
        self.plugins.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(handle: &PluginHandle, outcome: Outcome, pending: bool) -> PluginReport {
    PluginReport { plugin: handle.name().to_owned(), outcome, pending }
}

type Outcome = Result<(), PluginError>;

/// A check that keeps the plugin open until it is done.
type Check = BoxFuture<'static, Outcome>;

fn check(handle: &PluginHandle) -> Check {
    let handle = handle.clone();
    Box::pin(async move { handle.check().await })
}

/// Checks a plugin, and gives what is not done after its `connect_timeout` back to go
/// on: asking anew would leave a question behind, and a question without an answer
/// closes its connection.
async fn check_for_a_while(handle: &PluginHandle) -> (Outcome, Option<Check>) {
    let Transport::Unix(socket) = handle.config().transport();
    let while_long = socket.connect_timeout();
    let enough = std::pin::pin!(sleep(while_long));
    match select(check(handle), enough).await {
        Either::Left((outcome, _)) => (outcome, None),
        Either::Right(((), unfinished)) => {
            let connected = handle.state() == ConnectionState::Ready;
            let stage = if connected { Stage::InFlight } else { Stage::Queued };
            (Err(handle.unchecked(while_long, stage)), Some(unfinished))
        }
    }
}

/// How often a plugin that was not there at the start is looked for, at least.
const RECHECK: Duration = Duration::from_secs(1);

/// Makes up for the check of a plugin that was not there at the start, as soon as
/// it is. Ends with the plugin; holds the handle only while it checks.
fn check_when_ready(handle: &PluginHandle, unfinished: Option<Check>) {
    let mut states = handle.watch_state();
    let weak = handle.downgrade();
    let mut next = unfinished;
    tokio::spawn(async move {
        loop {
            if let Some(check) = next.take() {
                let outcome = check.await;
                let Some(handle) = weak.upgrade() else { return };
                match outcome {
                    Ok(()) => return,
                    Err(error) if handle.is_refused() => {
                        tracing::error!(plugin = handle.name(), %error, "the plugin is there, but cannot be used");
                        return;
                    }
                    Err(_) => {}
                }
            }
            // A change of state says when to look again, and so does time: a plugin
            // whose answer was late has no change to show.
            if matches!(timeout(RECHECK, states.next()).await, Ok(None)) {
                return;
            }
            let Some(handle) = weak.upgrade() else { return };
            next = Some(check(&handle));
        }
    });
}

impl fmt::Debug for ConnectionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.read().iter()).finish()
    }
}
