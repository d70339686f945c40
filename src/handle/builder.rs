//! How a handle is made.

use std::sync::{Arc, LazyLock, OnceLock};

use super::{Inner, PluginHandle};
use crate::client::Client;
use crate::config::PluginConfig;
use crate::error::PluginError;
use crate::hooks::HookRegistry;

/// How a handle is made, where [`PluginHandle::connect`] is not enough.
///
/// ```no_run
/// use hookwire::{HookRegistry, PluginConfig, PluginHandle};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut registry = HookRegistry::builtin();
/// registry.register("billing_pre_charge");
///
/// let config = PluginConfig::builder("Billing").socket("/run/plugins/billing.sock").build()?;
/// let billing = PluginHandle::builder(config).registry(registry).allow_no_hooks().connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PluginHandleBuilder {
    config: PluginConfig,
    registry: Arc<HookRegistry>,
    allow_no_hooks: bool,
}

impl PluginHandleBuilder {
    pub(super) fn new(config: PluginConfig) -> Self {
        // A thousand handles need no thousand copies of the same names.
        static BUILTIN: LazyLock<Arc<HookRegistry>> =
            LazyLock::new(|| Arc::new(HookRegistry::builtin()));
        Self { config, registry: Arc::clone(&BUILTIN), allow_no_hooks: false }
    }

    /// The hook types that may be called by name. Default: the built-in ones.
    /// An `Arc` can be shared by many handles.
    pub fn registry(mut self, registry: impl Into<Arc<HookRegistry>>) -> Self {
        self.registry = registry.into();
        self
    }

    /// Takes a plugin for which neither side names a hook. Default: an error.
    pub fn allow_no_hooks(mut self) -> Self {
        self.allow_no_hooks = true;
        self
    }

    /// As [`PluginHandle::connect`].
    ///
    /// # Errors
    /// As [`PluginHandle::connect`].
    ///
    /// # Cancel safety
    /// A dropped connect leaves nothing behind.
    pub async fn connect(self) -> Result<PluginHandle, PluginError> {
        let handle = self.connect_lazy();
        handle.check().await?;
        Ok(handle)
    }

    /// As [`PluginHandle::connect_lazy`].
    #[must_use]
    pub fn connect_lazy(self) -> PluginHandle {
        let client = Client::over_unix(&self.config);
        self.over(client)
    }

    /// A handle over a client that was made elsewhere.
    pub(crate) fn over(self, client: Client) -> PluginHandle {
        let Self { config: local, registry, allow_no_hooks } = self;
        let checked = OnceLock::new();
        PluginHandle { inner: Arc::new(Inner { client, local, registry, allow_no_hooks, checked }) }
    }
}
