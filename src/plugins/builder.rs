//! How the plugins of a gateway are connected to.

use std::sync::Arc;

use futures::future::join_all;
use tokio::runtime::Handle;

use super::{ConnectError, OnConnectFailure, PluginReport, Plugins, check};
use crate::config::PluginConfig;
use crate::hooks::HookRegistry;
use crate::shared_connections::SharedConnections;

/// Which plugins to connect to, and what to do with those that are not there. See
/// [`Plugins`] for an example.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct PluginsBuilder {
    configs: Vec<PluginConfig>,
    registry: Option<Arc<HookRegistry>>,
    on_failure: OnConnectFailure,
    runtime: Option<Handle>,
    connections: SharedConnections,
}

impl PluginsBuilder {
    /// Adds a plugin, behind those that are there.
    pub fn plugin(mut self, config: PluginConfig) -> Self {
        self.configs.push(config);
        self
    }

    /// Adds plugins, in their order.
    pub fn plugins(mut self, configs: impl IntoIterator<Item = PluginConfig>) -> Self {
        self.configs.extend(configs);
        self
    }

    /// The hook types that may be called by name. Default: the built-in ones.
    pub fn registry(mut self, registry: impl Into<Arc<HookRegistry>>) -> Self {
        self.registry = Some(registry.into());
        self
    }

    /// What to do with a plugin that cannot be connected to, now and when it is
    /// [added](Plugins::add) later. Default: [`OnConnectFailure::FailAll`].
    pub fn on_failure(mut self, on_failure: OnConnectFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// The runtime that the plugins' tasks run on, with I/O and time enabled; see
    /// [`PluginHandleBuilder::runtime`](crate::PluginHandleBuilder::runtime). Default: the
    /// one that is entered where the plugins are connected to.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The connections that the plugins share over gRPC, with others that are given the same.
    /// Default: new ones, for all plugins of this [`Plugins`].
    ///
    /// ```
    /// use hookwire::{Plugins, PluginsBuilder, SharedConnections};
    ///
    /// fn beside(connections: &SharedConnections) -> PluginsBuilder {
    ///     Plugins::builder().connections(connections)
    /// }
    /// ```
    pub fn connections(mut self, connections: &SharedConnections) -> Self {
        self.connections = connections.clone();
        self
    }

    /// Connects to all plugins side by side, and reports how each fared, in their order.
    ///
    /// # Errors
    /// Two plugins have one name; there is no runtime; or, with
    /// [`OnConnectFailure::FailAll`], a plugin could not be connected to.
    ///
    /// # Panics
    /// If the runtime has I/O or time disabled, as Tokio itself does.
    ///
    /// # Cancel safety
    /// A dropped connect leaves nothing behind.
    pub async fn connect(self) -> Result<(Plugins, Vec<PluginReport>), ConnectError> {
        let Self { configs, registry, on_failure, runtime, connections } = self;
        let plugins = Plugins::new(registry, on_failure, runtime, connections);
        let runtime = plugins.runtime()?;
        let mut handles = Vec::new();
        for config in configs {
            let handle = plugins.lazy(config);
            plugins.insert(handle.clone())?;
            handles.push(handle);
        }
        if on_failure == OnConnectFailure::FailAll {
            let reports = join_all(handles.iter().map(check::to_the_end)).await;
            let failed = reports.iter().any(|report| report.outcome.is_err());
            return if failed {
                Err(ConnectError::Failed(reports))
            } else {
                Ok((plugins, reports))
            };
        }
        let checks = handles.into_iter().map(|handle| check::for_a_while(handle, &runtime));
        // No task before all are done with waiting: a dropped connect leaves none behind.
        let checked = join_all(checks).await;
        let reports = checked.into_iter().map(|checked| checked.settle(&runtime)).collect();
        Ok((plugins, reports))
    }
}
