//! What a host registers with its engine.

use std::fmt;
use std::sync::{Arc, LazyLock};

use praxis_policy_core::engine::PolicyEngine;
use praxis_policy_core::error::PluginError;
use praxis_policy_core::factory::{PluginFactory, PluginInstance};
use praxis_policy_core::plugin::PluginConfig;
use praxis_policy_core::registry::AnyHookHandler;
use tokio::runtime::Handle;

use crate::errors;
use crate::handler::Handler;
use crate::instance::Instance;
use crate::settings::Settings;
use crate::shared::Pool;

/// The kinds of entries that [`HookwireFactory::register`] takes.
pub const KINDS: [&str; 2] = ["external", "hookwire"];

/// Makes the plugins of an engine whose entries name a plugin server.
///
/// All factories of a process share the connections of plugins that are configured alike, so a
/// host may make a new one for each engine.
///
/// ```
/// use std::sync::Arc;
///
/// use hookwire_praxis::HookwireFactory;
/// use praxis_policy::PolicyEngine;
///
/// let engine = Arc::new(PolicyEngine::default());
/// HookwireFactory::new().register(&engine);
/// engine.load_config_yaml(
///     "
/// engine_settings: {dispatch: hooks}
/// plugins:
///   - name: Guard
///     kind: external
///     hooks: [cmf.tool_pre_invoke]
///     config: {unix_socket: {path: /run/plugins/guard.sock}}
/// ",
/// )?;
/// // `engine.initialize().await` asks the server.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HookwireFactory {
    pool: Arc<Pool>,
}

impl HookwireFactory {
    /// Connections live on a runtime of this crate, with one thread, that is never stopped. So
    /// a host may initialise an engine on one runtime and use it on another.
    #[must_use]
    pub fn new() -> Self {
        static POOL: LazyLock<Arc<Pool>> = LazyLock::new(Arc::default);
        Self { pool: Arc::clone(&POOL) }
    }

    /// Connections live on this runtime, which must have I/O and time enabled, and be driven
    /// for as long as any engine uses the plugins. They are shared with the clones of this
    /// factory, and no other: keep one for the life of the process.
    #[must_use]
    pub fn on_runtime(runtime: Handle) -> Self {
        Self { pool: Arc::new(Pool::on(runtime)) }
    }

    /// Registers the factory for both [`KINDS`]. Of two factories for one kind, the engine
    /// takes the one that was registered last. Before the configuration is loaded.
    pub fn register(&self, engine: &PolicyEngine) {
        for kind in KINDS {
            engine.register_factory(kind, Box::new(self.clone()));
        }
    }
}

impl Default for HookwireFactory {
    fn default() -> Self {
        Self::new()
    }
}

impl PluginFactory for HookwireFactory {
    fn create(&self, entry: &PluginConfig) -> Result<PluginInstance, Box<PluginError>> {
        let settings =
            Settings::read(entry).map_err(|problems| errors::entry(&entry.name, &problems))?;
        for doubt in settings.doubts(entry) {
            tracing::warn!(plugin = entry.name, "{doubt}");
        }
        let hooks = settings.hooks.clone();
        let plugin = Arc::new(Instance::new(entry.clone(), settings, Arc::clone(&self.pool))?);
        let handlers = hooks.into_iter().map(|hook| {
            let handler: Arc<dyn AnyHookHandler> =
                Arc::new(Handler::new(Arc::clone(&plugin), hook));
            (hook.in_engine(), handler)
        });
        let handlers = handlers.collect();
        Ok(PluginInstance { plugin, handlers })
    }
}

impl fmt::Debug for HookwireFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookwireFactory").field("pool", &self.pool).finish()
    }
}
