//! The plugins that run, and how others take their place.

mod apply;
mod builder;
mod health;
mod reload;
mod totals;
#[cfg(feature = "watch")]
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use hookwire::{HookRegistry, PluginHandle, PluginStats, SharedConnections};
use tokio::runtime::Handle;
use tokio::time::Instant;

pub use apply::{Applied, ApplyError, Change, ChangeKind};
pub use builder::GatewayBuilder;
pub use health::PluginHealth;
pub use reload::{ReloadStats, Reloader};

use reload::Reloads;
use totals::Retired;

use crate::chain::{Chain, ChainBuilder, CurrentChain, Lifetime};

/// The plugins of a gateway, and the [`Chain`] of them: the one that requests take now.
/// Cheap to clone, shared by all tasks.
///
/// ## Behavior
/// - [`chain`](Self::chain) is for each request: it takes no lock. A request that has taken a
///   chain goes on with it, whatever comes after.
/// - [`apply`](Self::apply) puts a new configuration in place of the running one: what is
///   equal stays as it is, no call is lost, and none is made twice. One that is refused
///   changes nothing.
/// - Plugins that are reached over gRPC share their connections where their servers are equal,
///   over reloads too: see [`SharedConnections`].
/// - [`reload_on_sighup`](Self::reload_on_sighup) and, with the feature `watch`,
///   `reload_on_change` apply by themselves what a function of yours loads.
/// - [`stats`](Self::stats) goes on over reloads: counters never go back.
/// - [`health`](Self::health), [`is_ready`](Self::is_ready) and [`is_live`](Self::is_live) are
///   for those who watch the gateway.
/// - [`shutdown`](Self::shutdown) ends it all: runs and calls in the background finish, and
///   what begins after fails.
///
/// ```no_run
/// use std::time::Duration;
///
/// use hookwire::PluginConfig;
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire_gateway::{Gateway, RequestContext};
///
/// # fn load() -> Result<Vec<PluginConfig>, std::io::Error> { Ok(Vec::new()) }
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (gateway, _applied) = Gateway::builder().start(load()?).await?;
/// let _reloader = gateway.reload_on_sighup(|| async { load() })?;
///
/// // For each request:
/// let mut request = RequestContext::new("request-1");
/// let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
/// let passed = gateway.chain().run::<ToolPreInvoke>(payload, &mut request).await?;
///
/// // At the end, when no more requests come:
/// gateway.shutdown(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    current: CurrentChain,
    lifetime: Arc<Lifetime>,
    /// Held while the current chain is swapped, so that a handle is there or retired.
    retired: Mutex<Retired>,
    /// One configuration after the other.
    applying: tokio::sync::Mutex<()>,
    reloads: Reloads,
    settings: ChainBuilder,
    registry: Option<Arc<HookRegistry>>,
    runtime: Option<Handle>,
    /// Of all plugins over all reloads: a plugin that is replaced finds the open ones.
    connections: SharedConnections,
}

impl Gateway {
    /// Starts with no plugin.
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder::default()
    }

    /// The chain of the plugins that run now. Take it once for each request, so that all its
    /// hooks see one configuration; a clone that is kept keeps its plugins open.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.inner.current.get()
    }

    /// The plugins that run now, in their order. The entry to [`apply`](Self::apply) again is
    /// each one's [`local_config`](PluginHandle::local_config).
    #[must_use]
    pub fn handles(&self) -> Vec<PluginHandle> {
        self.chain().handles().cloned().collect()
    }

    /// What each plugin has counted since the gateway was started, by name: also over handles
    /// that were replaced, and for plugins that are no longer there. Counters only go up, so the name of a plugin that is
    /// removed stays, its gauges at rest: names should come from a bounded set.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, PluginStats> {
        let mut retired = self.inner.lock();
        let present = self.handles();
        retired.with(&present)
    }

    /// Lets no run begin from now on, gives those under way, and the calls in the background,
    /// `timeout` to finish, and shuts down all plugins. It returns as soon as all that is over.
    ///
    /// Runs that come later fail with [`HaltReason::ShutDown`](crate::HaltReason::ShutDown),
    /// and calls that do not finish with [`ErrorKind::Closed`](hookwire::ErrorKind::Closed). A
    /// request that runs hooks before and after its work needs both: stop taking requests
    /// first, and shut the gateway down when they are over.
    ///
    /// Any clone may call it, any number of times; the earliest deadline counts.
    ///
    /// # Panics
    /// Outside a runtime with time enabled.
    ///
    /// # Cancel safety
    /// Dropped early, it still lets no run begin; the plugins are closed by another shutdown,
    /// or with the last clone of the gateway and of its chains.
    pub async fn shutdown(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout.min(Duration::from_secs(86_400 * 365));
        let left = || deadline.saturating_duration_since(Instant::now());
        let handles = {
            // From here on nothing is swapped.
            let retired = self.inner.lock();
            self.inner.lifetime.close();
            let closing = retired.closing().filter_map(|handle| handle.upgrade());
            closing.chain(self.handles()).collect::<Vec<_>>()
        };
        self.inner.lifetime.ended(left()).await;
        join_all(handles.iter().map(|handle| handle.shutdown(left()))).await;
    }
}

impl Inner {
    // Nothing panics while it is held, and what is behind it is whole at all times.
    fn lock(&self) -> MutexGuard<'_, Retired> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("chain", &self.chain())
            .field("reloads", &self.reload_stats())
            .finish_non_exhaustive()
    }
}
