//! How a gateway is made.

use std::fmt;
use std::sync::Arc;

use hookwire::{HookRegistry, PluginConfig};
use tokio::runtime::Handle;

use super::apply::{Applied, ApplyError};
use super::{Gateway, Inner};
use crate::chain::{Chain, ChainBuilder, CurrentChain};

/// Describes a [`Gateway`].
///
/// ```
/// use std::time::Duration;
///
/// use hookwire::PluginConfig;
/// use hookwire_gateway::{ApplyError, Chain, Gateway};
///
/// # async fn start(plugins: Vec<PluginConfig>) -> Result<Gateway, ApplyError> {
/// let settings = Chain::builder()
///     .timeout(Duration::from_secs(5))
///     .disable_for(Duration::from_secs(60));
/// let (gateway, applied) = Gateway::builder().settings(settings).start(plugins).await?;
/// for change in applied.changes() {
///     println!("{change}");
/// }
/// # Ok(gateway)
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "`start` makes the gateway"]
pub struct GatewayBuilder {
    settings: ChainBuilder,
    registry: Option<Arc<HookRegistry>>,
    runtime: Option<Handle>,
}

impl GatewayBuilder {
    /// How each [`Chain`] is made. Default: as [`Chain::builder`].
    ///
    /// Plugins that it has already come first in each chain, whatever is applied, and are part
    /// of all that the gateway does. They are for handles that were made elsewhere, as the doubles
    /// of `hookwire::testing` in a gateway's own tests:
    ///
    /// ```
    /// use hookwire::PluginConfig;
    /// use hookwire::config::OnError;
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::testing::{Answer, Double};
    /// use hookwire_gateway::{Chain, Gateway, RequestContext};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hookwire_gateway::ApplyError> {
    /// // In a test, `#[tokio::test(start_paused = true)]`.
    /// tokio::time::pause();
    /// // With its hooks: a plugin whose hooks are not known is asked at each hook.
    /// let entry = PluginConfig::builder("Guard").socket("/run/guard.sock").hook("tool_pre_invoke");
    /// let guard = Double::of(entry.on_error(OnError::Fail)).build();
    /// let settings = Chain::builder().plugin(guard.handle());
    /// let (gateway, _) = Gateway::builder().settings(settings).start([]).await?;
    /// let ask = async || {
    ///     let mut request = RequestContext::new("request-1");
    ///     let payload = ToolPreInvokePayload::new("search");
    ///     gateway.chain().run::<ToolPreInvoke>(payload, &mut request).await.is_ok()
    /// };
    ///
    /// // A double is connected to at its first call.
    /// assert!(!gateway.is_ready());
    /// assert!(ask().await && gateway.is_ready());
    /// guard.then(Answer::silence());
    /// assert!(!ask().await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// They are no part of what [`apply`](Gateway::apply) compares and replaces, so reloads are
    /// tested with a `hookwire::server::PluginServer`.
    pub fn settings(mut self, settings: ChainBuilder) -> Self {
        self.settings = settings;
        self
    }

    /// The hook types that may be called by name. Default: the built-in ones.
    pub fn registry(mut self, registry: impl Into<Arc<HookRegistry>>) -> Self {
        self.registry = Some(registry.into());
        self
    }

    /// The runtime that the plugins' tasks and the calls in the background run on, with I/O
    /// and time enabled. Default: the one that is entered where plugins are started, and for
    /// a call in the background the request's.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Starts the first plugins, as [`Gateway::apply`] starts new ones: one whose server is
    /// down is taken in all the same.
    ///
    /// # Errors
    /// As [`Gateway::apply`].
    ///
    /// # Panics
    /// If the runtime has I/O or time disabled, as Tokio itself does.
    ///
    /// # Cancel safety
    /// A dropped start leaves nothing behind.
    pub async fn start(
        self,
        plugins: impl IntoIterator<Item = PluginConfig>,
    ) -> Result<(Gateway, Applied), ApplyError> {
        let Self { mut settings, registry, runtime } = self;
        if let Some(runtime) = &runtime {
            settings = settings.runtime(runtime.clone());
        }
        let chain = settings.clone().build().map_err(ApplyError::Chain)?;
        // Nobody has it before its plugins are in it.
        let gateway = Gateway { inner: Arc::new(Inner::new(chain, settings, registry, runtime)) };
        let applied = gateway.apply(plugins).await?;
        Ok((gateway, applied))
    }
}

impl fmt::Debug for GatewayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Inner {
    fn new(
        chain: Chain,
        settings: ChainBuilder,
        registry: Option<Arc<HookRegistry>>,
        runtime: Option<Handle>,
    ) -> Self {
        Self {
            lifetime: Arc::clone(chain.lifetime()),
            current: CurrentChain::new(chain),
            retired: Default::default(),
            applying: Default::default(),
            reloads: Default::default(),
            settings,
            registry,
            runtime,
            connections: Default::default(),
        }
    }
}
