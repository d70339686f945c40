//! Many plugins by name.

mod builder;
mod check;
mod report;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::future::join_all;
use tokio::runtime::Handle;

pub use builder::PluginsBuilder;
pub use report::{ConnectError, OnConnectFailure, PluginReport};

use crate::config::PluginConfig;
use crate::handle::PluginHandle;
use crate::hooks::HookRegistry;
use crate::shared_connections::SharedConnections;

/// The plugins of a gateway, by name and in their order. Cheap to clone, shared by all tasks.
///
/// ## Behavior
/// - Plugins are connected to side by side; a slow one holds up no other.
///   [`OnConnectFailure`] tells how long each is waited for.
/// - `add`, `replace` and `remove` at run time leave all other plugins alone.
/// - Plugins that are reached over gRPC share their connections where their servers are equal:
///   see [`SharedConnections`].
/// - A plugin with `mode: disabled` is listed, but neither connected to nor called: a call
///   fails with the reason `disabled`.
/// - [`get`](Self::get) and [`handles`](Self::handles) take a short read lock and clone
///   handles; a call through a handle takes none. Keep the handles where a lookup for each
///   request is too much.
///
/// ```no_run
/// use hookwire::{OnConnectFailure, PluginConfig, Plugins};
///
/// # async fn run(configs: Vec<PluginConfig>) -> Result<(), Box<dyn std::error::Error>> {
/// let (plugins, reports) = Plugins::builder()
///     .plugins(configs)
///     .on_failure(OnConnectFailure::KeepRetrying)
///     .connect()
///     .await?;
/// for report in reports.iter().filter(|report| report.outcome.is_err()) {
///     eprintln!("not there yet: {}", report.plugin);
/// }
/// let guard = plugins.get("Guard").ok_or("no guard is configured")?;
/// for plugin in plugins.handles() {
///     println!("{}: {}", plugin.name(), plugin.state().as_str());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Plugins {
    inner: Arc<Inner>,
}

struct Inner {
    /// No two of one name.
    handles: RwLock<Vec<PluginHandle>>,
    registry: Option<Arc<HookRegistry>>,
    on_failure: OnConnectFailure,
    runtime: Option<Handle>,
    connections: SharedConnections,
}

impl Plugins {
    /// Starts with no plugin.
    pub fn builder() -> PluginsBuilder {
        PluginsBuilder::default()
    }

    fn new(
        registry: Option<Arc<HookRegistry>>,
        on_failure: OnConnectFailure,
        runtime: Option<Handle>,
        connections: SharedConnections,
    ) -> Self {
        let handles = RwLock::default();
        Self { inner: Arc::new(Inner { handles, registry, on_failure, runtime, connections }) }
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<PluginHandle> {
        self.read().iter().find(|handle| handle.name() == name).cloned()
    }

    /// All plugins as of now, in the order in which they were added; a replaced one keeps
    /// its place.
    #[must_use]
    pub fn handles(&self) -> Vec<PluginHandle> {
        self.read().clone()
    }

    /// The names of all plugins, in the same order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.read().iter().map(|handle| handle.name().to_owned()).collect()
    }

    /// Connects to one more plugin and takes it in, behind the others.
    ///
    /// With [`OnConnectFailure::KeepRetrying`] one that is down is taken in too: its report
    /// is [`pending`](PluginReport::pending), and it is checked in the background.
    ///
    /// # Errors
    /// The name is taken; there is no runtime; the plugin's server has told that it cannot
    /// be used as it is configured; or, with [`OnConnectFailure::FailAll`], it cannot be
    /// connected to.
    ///
    /// # Panics
    /// If the runtime has I/O or time disabled, as Tokio itself does.
    ///
    /// # Cancel safety
    /// A dropped call leaves the plugins as they were.
    pub async fn add(&self, config: PluginConfig) -> Result<PluginReport, ConnectError> {
        if self.get(config.name()).is_some() {
            return Err(ConnectError::Duplicate(config.name().to_owned()));
        }
        self.connected(config, |handle| self.insert(handle)).await.map(|((), report)| report)
    }

    /// Takes in a handle that was made elsewhere, as it is: nothing is connected to and
    /// nothing is asked, so it need not be there. For what [`add`](Self::add) cannot make: a
    /// plugin without hooks, or with a registry of its own.
    ///
    /// A handle that was never checked keeps the configuration of its entry; name the hooks
    /// there, or [verify](PluginHandle::verify) it.
    ///
    /// ```
    /// use hookwire::{PluginConfig, PluginHandle, Plugins};
    ///
    /// # fn run(plugins: &Plugins) -> Result<(), Box<dyn std::error::Error>> {
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
        let mut handles = self.write();
        if handles.iter().any(|other| other.name() == handle.name()) {
            return Err(ConnectError::Duplicate(handle.name().to_owned()));
        }
        handles.push(handle);
        Ok(())
    }

    /// Connects anew with another configuration, and puts the new handle in place of the
    /// plugin of the same name. The old one stays until then, and is returned: its calls
    /// finish, and its last clone closes it.
    ///
    /// With [`OnConnectFailure::KeepRetrying`] a plugin that is down is put in place too, as
    /// [`add`](Self::add) takes it in.
    ///
    /// # Errors
    /// No plugin has this name, or as of [`add`](Self::add); then the old one stays.
    ///
    /// # Panics
    /// If the runtime has I/O or time disabled, as Tokio itself does.
    ///
    /// # Cancel safety
    /// A dropped call leaves the plugins as they were.
    pub async fn replace(
        &self,
        config: PluginConfig,
    ) -> Result<(PluginHandle, PluginReport), ConnectError> {
        if self.get(config.name()).is_none() {
            return Err(ConnectError::Unknown(config.name().to_owned()));
        }
        // Removed while the new one is connecting, it stays removed.
        self.connected(config, |handle| self.replace_with(handle)).await
    }

    /// Puts a handle that was made elsewhere in place of the plugin of the same name, as
    /// [`insert`](Self::insert) takes one in, and returns the old one. There is no moment
    /// without either.
    ///
    /// # Errors
    /// No plugin has this name.
    pub fn replace_with(&self, handle: PluginHandle) -> Result<PluginHandle, ConnectError> {
        match self.write().iter_mut().find(|other| other.name() == handle.name()) {
            Some(old) => Ok(std::mem::replace(old, handle)),
            None => Err(ConnectError::Unknown(handle.name().to_owned())),
        }
    }

    /// Takes a plugin out. Its calls finish, and its last clone closes it.
    pub fn remove(&self, name: &str) -> Option<PluginHandle> {
        let mut handles = self.write();
        let index = handles.iter().position(|handle| handle.name() == name)?;
        Some(handles.remove(index))
    }

    /// Shuts all plugins down at once, as [`PluginHandle::shutdown`] does with one, and
    /// takes them out.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the shutdown back.
    pub async fn shutdown(&self, timeout: Duration) {
        let handles = std::mem::take(&mut *self.write());
        join_all(handles.iter().map(|handle| handle.shutdown(timeout))).await;
    }

    fn lazy(&self, config: PluginConfig) -> PluginHandle {
        let mut builder = PluginHandle::builder(config).connections(&self.inner.connections);
        if let Some(registry) = &self.inner.registry {
            builder = builder.registry(Arc::clone(registry));
        }
        if let Some(runtime) = &self.inner.runtime {
            builder = builder.runtime(runtime.clone());
        }
        builder.connect_lazy()
    }

    /// Connects, and hands the plugin to `place` if it can be used.
    async fn connected<T>(
        &self,
        config: PluginConfig,
        place: impl FnOnce(PluginHandle) -> Result<T, ConnectError>,
    ) -> Result<(T, PluginReport), ConnectError> {
        let runtime = self.runtime()?;
        let handle = self.lazy(config);
        if self.inner.on_failure == OnConnectFailure::FailAll {
            let report = check::to_the_end(&handle).await;
            if report.outcome.is_err() {
                return Err(ConnectError::Failed(vec![report]));
            }
            return Ok((place(handle)?, report));
        }
        let checked = check::for_a_while(handle.clone(), &runtime).await;
        if let Some(refused) = checked.refused() {
            return Err(ConnectError::Failed(vec![refused]));
        }
        let placed = place(handle)?;
        Ok((placed, checked.settle(&runtime)))
    }

    fn runtime(&self) -> Result<Handle, ConnectError> {
        let current = || Handle::try_current().ok();
        self.inner.runtime.clone().or_else(current).ok_or(ConnectError::NoRuntime)
    }

    // Nothing panics while the lock is held, and a list is whole at all times.
    fn read(&self) -> RwLockReadGuard<'_, Vec<PluginHandle>> {
        self.inner.handles.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<PluginHandle>> {
        self.inner.handles.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read().iter()).finish()
    }
}
