//! How a handle is made.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use tokio::io::{AsyncRead, AsyncWrite};

use tokio::runtime::Handle;

use super::checked::Checked;
use super::{Inner, PluginHandle};
use crate::call::Caller;
use crate::config::{PluginConfig, Transport};
#[cfg(feature = "grpc")]
use crate::error::Cause;
use crate::error::PluginError;
#[cfg(all(feature = "grpc", feature = "testing"))]
use crate::grpc::in_memory::ToServers;
use crate::hooks::HookRegistry;
use crate::options::CallOptions;
use crate::shared_connections::SharedConnections;
use crate::unix::connect::{Connect, FnConnector, Generation, Numbered, UnixConnector};

/// How a handle is made, where [`PluginHandle::connect`] is not enough.
///
/// ```no_run
/// use hookwire::{HookRegistry, PluginConfig, PluginHandle};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = HookRegistry::builtin().register("billing_pre_charge");
/// let config = PluginConfig::builder("Billing").socket("/run/plugins/billing.sock").build()?;
/// let billing = PluginHandle::builder(config).registry(registry).allow_no_hooks().connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct PluginHandleBuilder {
    config: PluginConfig,
    registry: Arc<HookRegistry>,
    allow_no_hooks: bool,
    runtime: Option<Handle>,
    connector: Option<Arc<dyn Connect>>,
    generation: Option<Generation>,
    connections: Option<SharedConnections>,
}

impl PluginHandleBuilder {
    pub(super) fn new(config: PluginConfig) -> Self {
        // A thousand handles need no thousand copies of the same names.
        static BUILTIN: LazyLock<Arc<HookRegistry>> =
            LazyLock::new(|| Arc::new(HookRegistry::builtin()));
        Self {
            config,
            registry: Arc::clone(&BUILTIN),
            allow_no_hooks: false,
            runtime: None,
            connector: None,
            generation: None,
            connections: None,
        }
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

    /// Opens connections by calling `connect` instead of connecting to the configured
    /// socket, which still names the plugin's endpoint in errors and logs. For sockets that
    /// come from elsewhere, and for tests without any. `connect_timeout` bounds each call of
    /// it; the checks of who is on the other side (`peer_uids`, `trust_path`) are up to it.
    /// Of a plugin that is reached over gRPC every call fails then, with the reason
    /// `connector_over_grpc`.
    ///
    /// ```
    /// use hookwire::{PluginConfig, PluginHandle};
    ///
    /// # fn make(config: PluginConfig) -> PluginHandle {
    /// PluginHandle::builder(config)
    ///     .connector(|| async {
    ///         let (near, _far) = tokio::io::duplex(4096);
    ///         // `_far` is the server's end.
    ///         Ok(near)
    ///     })
    ///     .connect_lazy()
    /// # }
    /// ```
    pub fn connector<F, Fut, S>(mut self, connect: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connector = Some(Arc::new(FnConnector(connect)));
        self
    }

    /// Tells the server that [`connector`](Self::connector) leads to from those that it led to
    /// before, as the file at the path does for connections that are made there: once the
    /// number is another, connections that were made before take no more calls and end after
    /// those under way. Asked before a connection is made, and at most twice a second before
    /// calls, so it must not block; where it panics, nothing is known.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// use hookwire::{PluginConfig, PluginHandle};
    ///
    /// # fn make(config: PluginConfig) -> PluginHandle {
    /// let release = Arc::new(AtomicU64::new(1));
    /// PluginHandle::builder(config)
    ///     .connector(|| async {
    ///         let (near, _far) = tokio::io::duplex(4096);
    ///         Ok(near)
    ///     })
    ///     .connector_generation(move || release.load(Relaxed))
    ///     .connect_lazy()
    /// # }
    /// ```
    pub fn connector_generation(
        mut self,
        generation: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.generation = Some(Arc::new(generation));
        self
    }

    /// As [`connector`](Self::connector), for the servers of a plugin that is reached over gRPC:
    /// `connect` is given the address of one. For this repository's simulation, and no part of
    /// the API.
    #[cfg(all(feature = "grpc", feature = "testing"))]
    #[doc(hidden)]
    pub fn connector_to_servers<F, Fut, S>(mut self, connect: F) -> Self
    where
        F: Fn(&str) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connector = Some(Arc::new(ToServers(Arc::new(connect))));
        self
    }

    /// Shares connections to gRPC servers with the other plugins that are given the same. Default:
    /// connections of its own. See [`SharedConnections`], which has an example.
    pub fn connections(mut self, connections: &SharedConnections) -> Self {
        self.connections = Some(connections.clone());
        self
    }

    /// The runtime that the plugin's tasks run on, with I/O and time enabled. It must be
    /// driven for as long as the handle is used. Default: the runtime that is entered where
    /// the handle is made, or else that of the first call. When it has ended, the next call
    /// starts the tasks anew on its own runtime.
    ///
    /// ```
    /// use hookwire::{PluginConfig, PluginHandle};
    ///
    /// # fn make(config: PluginConfig) -> Result<PluginHandle, std::io::Error> {
    /// // Made at the start, long before anything else runs.
    /// let runtime = tokio::runtime::Runtime::new()?;
    /// let guard = PluginHandle::builder(config).runtime(runtime.handle().clone()).connect_lazy();
    /// # Ok(guard)
    /// # }
    /// ```
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
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
        handle.check().await.map_err(PluginError::given_up)?;
        Ok(handle)
    }

    /// As [`PluginHandle::connect_lazy`].
    #[must_use]
    pub fn connect_lazy(self) -> PluginHandle {
        let (runtime, shared) = (self.runtime.clone(), self.connections.clone());
        let client = Caller::new(&self.config, self.socket_connector(), runtime, shared);
        #[cfg(feature = "grpc")]
        if matches!(self.config.transport(), Transport::Grpc(_))
            && (self.opens_sockets() || self.generation.is_some())
        {
            client.gate.bar(Cause::ConnectorOverGrpc);
        }
        self.over(client)
    }

    /// The connector is the application's, and knows nothing of servers.
    #[cfg(feature = "grpc")]
    fn opens_sockets(&self) -> bool {
        self.connector.as_ref().is_some_and(|connector| !connector.is_in_memory())
    }

    /// What opens sockets instead of, or as, the plugin's own way does.
    fn socket_connector(&self) -> Option<Arc<dyn Connect>> {
        let Some(generation) = self.generation.clone() else { return self.connector.clone() };
        let connector = self.connector.clone().or_else(|| match self.config.transport() {
            Transport::Unix(socket) => Some(Arc::new(UnixConnector::from(socket)) as _),
            #[cfg(feature = "grpc")]
            Transport::Grpc(_) => None,
        })?;
        Some(Arc::new(Numbered { connector, generation }))
    }

    /// A handle over a client that was made elsewhere.
    pub(crate) fn over(self, client: Caller) -> PluginHandle {
        let Self { config, registry, allow_no_hooks, .. } = self;
        let identity = Arc::clone(&client.identity);
        let checked = Arc::new(Checked::new(config, registry, allow_no_hooks, identity));
        let inner = Inner { client, checked };
        PluginHandle { inner: Arc::new(inner), options: CallOptions::new() }
    }
}

impl fmt::Debug for PluginHandleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHandleBuilder")
            .field("config", &self.config)
            .field("registry", &self.registry)
            .field("allow_no_hooks", &self.allow_no_hooks)
            .finish_non_exhaustive()
    }
}
