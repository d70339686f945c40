//! A plugin of one engine: from its entry to its shutdown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use hookwire::{ErrorKind, PluginHandle};
use praxis_policy_core::error::PluginError;
use praxis_policy_core::plugin::{Plugin, PluginConfig, PluginMode};
use tokio::time::{Instant, sleep_until};

use crate::errors;
use crate::form::form;
use crate::settings::{Settings, Start};
use crate::shared::{Lease, Pool};

/// How long a server may take to be there and to tell about its plugin. Below a host's own
/// limit for the start of all plugins, so that the error names the one that is missing.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Between two questions, where it is not known when the next connection is tried.
const AGAIN: Duration = Duration::from_millis(20);

/// What a drain has beyond the time of the calls under way, which end by themselves.
const GRACE: Duration = Duration::from_secs(1);

pub(crate) struct Instance {
    entry: PluginConfig,
    settings: Settings,
    pool: Arc<Pool>,
    /// `None` after a shutdown. There before `initialize`: an engine that a second file was
    /// loaded into never initialises the plugins of that, and calls them.
    lease: ArcSwapOption<Lease>,
}

impl Instance {
    pub(crate) fn new(
        entry: PluginConfig,
        settings: Settings,
        pool: Arc<Pool>,
    ) -> Result<Self, Box<PluginError>> {
        let instance = Self { entry, settings, pool, lease: ArcSwapOption::empty() };
        instance.lease()?;
        Ok(instance)
    }

    /// The plugin's name in the engine.
    pub(crate) fn name(&self) -> &str {
        &self.entry.name
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// For one call.
    pub(crate) fn handle(&self) -> Result<PluginHandle, Box<PluginError>> {
        match &*self.lease.load() {
            Some(lease) => Ok(lease.handle().clone()),
            None => Err(errors::unusable_plugin(
                self.name(),
                ErrorKind::Closed,
                "its engine was shut down",
            )),
        }
    }

    /// Takes a share of the plugin's handle, unless there is one. An engine whose start failed
    /// shuts down what had started, and may be started again.
    fn lease(&self) -> Result<Arc<Lease>, Box<PluginError>> {
        if let Some(lease) = self.lease.load_full() {
            return Ok(lease);
        }
        let lease = self.pool.lease(&self.settings.plugin).map_err(|error| {
            errors::entry(
                self.name(),
                &[format!("the runtime for connections cannot be made: {error}")],
            )
        })?;
        let lease = Arc::new(lease);
        self.lease.store(Some(Arc::clone(&lease)));
        Ok(lease)
    }

    /// Asks the server about the plugin. One that is away may be on its way, and a handle that
    /// other engines have used may not have looked for a while.
    async fn ask(&self, handle: &PluginHandle) -> Result<(), hookwire::PluginError> {
        let limit = START_LIMIT.min(self.settings.plugin.policy().timeout());
        let deadline = Instant::now() + limit;
        let handle = handle.until(deadline);
        loop {
            let Err(error) = handle.verify().await else { return Ok(()) };
            let again = Instant::now() + error.retry_after().unwrap_or_default().max(AGAIN);
            if !error.is_retryable() || again >= deadline {
                return Err(error);
            }
            sleep_until(again).await;
        }
    }

    /// Asks the server, and holds its answer against the entry.
    async fn verify(&self, handle: &PluginHandle) -> Result<(), Box<PluginError>> {
        self.ask(handle).await.map_err(|error| errors::not_started(self.name(), &error))?;
        if let Some(refusal) = handle.refusal() {
            return Err(errors::not_started(self.name(), &refusal));
        }
        let on_server = handle.server_config().and_then(|entry| entry.mode());
        if on_server == Some(hookwire::config::PluginMode::Disabled) {
            let problem = "it is disabled on its server, which would answer no call".to_owned();
            return Err(errors::entry(self.name(), &[problem]));
        }
        let hooks = handle.hooks();
        let serves =
            |name: &str| hooks.known().is_some_and(|hooks| hooks.iter().any(|own| own == name));
        let missing = self
            .settings
            .hooks
            .iter()
            .filter(|hook| form(self.settings.payload, **hook, serves).is_none());
        let missing = Vec::from_iter(missing.map(|hook| {
            let legacy = hook.legacy().map(|name| format!(" or `{name}`")).unwrap_or_default();
            format!(
                "`{}` needs `{}`{legacy} among the hooks of the plugin on its server, which are {:?}",
                hook.in_engine(),
                hook.over_messages(),
                hooks.known().unwrap_or_default(),
            )
        }));
        if missing.is_empty() { Ok(()) } else { Err(errors::entry(self.name(), &missing)) }
    }
}

#[async_trait]
impl Plugin for Instance {
    fn config(&self) -> &PluginConfig {
        &self.entry
    }

    async fn initialize(&self) -> Result<(), Box<PluginError>> {
        let lease = self.lease()?;
        // The engine starts a plugin that it never calls too.
        if self.settings.start == Start::Lazy || self.entry.mode == PluginMode::Disabled {
            return Ok(());
        }
        self.verify(lease.handle()).await
    }

    async fn shutdown(&self) -> Result<(), Box<PluginError>> {
        let Some(lease) = self.lease.swap(None) else { return Ok(()) };
        if lease.release() {
            let limit = self.settings.plugin.policy().timeout() + GRACE;
            lease.handle().shutdown(limit).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
