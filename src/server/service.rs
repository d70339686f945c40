//! The plugins behind a server, and its answer to each request.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::connection::{Connection, Received};
use super::error::INTERNAL_ERROR_CODE;
use super::info::Listing;
use super::listener::Run;
use super::plugin::unknown_hook;
use super::reply::{self, Fault};
use super::request::{HookRequest, Incoming};
use super::{HandlerError, HookCall, Plugin, PluginServerBuilder};
use crate::config::{BigIntegers, PluginMode};
use crate::wire::EncodeError;
use crate::wire::FRAME_HEADER;
use crate::wire::request::EncodedFrame;

/// Plugins that are ready to serve any number of streams. Cloning shares them.
///
/// ```
/// use hookwire::server::{Handlers, PluginServer};
///
/// # async fn run() -> std::io::Result<()> {
/// let service = PluginServer::builder().plugin("Guard", Handlers::new()).build()?;
/// let (client, server) = tokio::io::duplex(4096);
/// tokio::spawn(async move { service.serve_stream(server).await });
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PluginService(Arc<Inner>);

struct Inner {
    plugins: HashMap<String, Box<dyn Plugin>>,
    /// Names in lower case, and the reply with the configuration.
    configs: Vec<(String, EncodedFrame)>,
    all_configs: EncodedFrame,
    no_config: EncodedFrame,
    unknown_message: EncodedFrame,
    max_frame_len: usize,
    idle_timeout: Duration,
    big_integers: BigIntegers,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    open: AtomicU64,
    accepted: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
}

/// What a server has done so far.
///
/// ```
/// # fn look(server: &hookwire::server::PluginServer) {
/// println!("{} requests answered", server.stats().requests);
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that are open now.
    pub open_connections: u64,
    /// Connections so far.
    pub connections: u64,
    /// Requests of any kind that were answered so far. Health checks are none.
    pub requests: u64,
    /// Calls over gRPC that were refused so far because their client would have held more than
    /// `max_buffered` leaves it. Those that found no room for their reply are in `requests` too:
    /// their handlers have run.
    pub refused: u64,
}

impl PluginService {
    pub(super) fn new(builder: PluginServerBuilder) -> io::Result<Self> {
        if builder.idle_timeout.is_zero() {
            return Err(invalid(
                "`idle_timeout` is zero, which would close every connection at once; \
                 `Duration::MAX` closes none",
            ));
        }
        let mut infos = Vec::new();
        let mut plugins = HashMap::new();
        for (mut info, plugin) in builder.plugins {
            if info.name.is_empty() {
                return Err(invalid("a plugin has an empty name; clients could not call it"));
            }
            if infos.iter().any(|known: &super::PluginInfo| known.name == info.name) {
                return Err(invalid(&format!("two plugins have the name `{}`", info.name)));
            }
            info.hooks.get_or_insert_with(|| plugin.hooks());
            if info.mode != PluginMode::Disabled {
                plugins.insert(info.name.clone(), plugin);
            }
            infos.push(info);
        }
        let unencodable = |error: EncodeError| invalid(&format!("a plugin's info: {error}"));
        let listings: Vec<Listing<'_>> = infos.iter().map(Listing::from).collect();
        let configs = infos.iter().zip(&listings).map(|(info, listing)| {
            let reply = reply::config(listing).map_err(unencodable)?;
            Ok((info.name.to_lowercase(), reply))
        });
        Ok(Self(Arc::new(Inner {
            plugins,
            configs: configs.collect::<io::Result<_>>()?,
            all_configs: reply::configs(&listings).map_err(unencodable)?,
            no_config: reply::no_config().map_err(unencodable)?,
            unknown_message: reply::unknown_message().map_err(unencodable)?,
            max_frame_len: builder.max_frame_len,
            idle_timeout: builder.idle_timeout,
            big_integers: builder.big_integers,
            counters: Counters::default(),
        })))
    }

    /// Serves a stream that is already connected, until its other end closes it.
    ///
    /// # Errors
    /// If the stream fails, or the client breaks the framing.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream and cancels the handler under way.
    pub async fn serve_stream<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (_serve, run) = watch::channel(Run::Serve);
        self.serve_until(stream, run, |_, _| Ok(())).await
    }

    pub(super) async fn serve_until<S>(
        &self,
        stream: S,
        run: watch::Receiver<Run>,
        received: Received<S>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let _open = Open::new(&self.0.counters);
        let served = Connection::new(self, stream, run, received).serve().await;
        if let Err(error) = &served {
            tracing::debug!(%error, "a client's connection ended");
        }
        served
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let counters = &self.0.counters;
        ServerStats {
            open_connections: counters.open.load(Relaxed),
            connections: counters.accepted.load(Relaxed),
            requests: counters.requests.load(Relaxed),
            refused: counters.refused.load(Relaxed),
        }
    }

    pub(super) fn max_frame_len(&self) -> usize {
        self.0.max_frame_len
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.0.idle_timeout
    }

    /// Answers one request. `None` if not even an error fits into a frame: the
    /// connection must be closed then, as the reference does for every such reply.
    pub(crate) async fn answer(&self, message: &[u8]) -> Option<EncodedFrame> {
        let inner = &*self.0;
        let reply = match Incoming::read(message) {
            Incoming::Hook(request) => self.answer_hook(&request).await,
            Incoming::Config(name) => Some(self.config(name).clone()),
            Incoming::Configs => Some(inner.all_configs.clone()),
            Incoming::Unknown => {
                tracing::warn!(length = message.len(), "a request of an unknown kind");
                Some(inner.unknown_message.clone())
            }
        };
        inner.counters.requests.fetch_add(1, Relaxed);
        reply
    }

    /// The reply about the plugin of this name, in whatever case.
    fn config(&self, name: &str) -> &EncodedFrame {
        let name = name.to_lowercase();
        let found = self.0.configs.iter().find(|(known, _)| *known == name);
        found.map_or(&self.0.no_config, |(_, reply)| reply)
    }

    async fn answer_hook(&self, request: &HookRequest<'_>) -> Option<EncodedFrame> {
        let plugin = self.0.plugins.get(request.plugin).map(|plugin| &**plugin);
        self.answer_by(plugin, request).await
    }

    /// Answers a hook call as this plugin does, whichever is called.
    pub(crate) async fn answer_by(
        &self,
        plugin: Option<&dyn Plugin>,
        request: &HookRequest<'_>,
    ) -> Option<EncodedFrame> {
        let limit = self.0.max_frame_len;
        let error = match self.run_hook(plugin, request).await {
            Ok(reply) if reply.len() - FRAME_HEADER <= limit => return Some(reply),
            Ok(reply) => HandlerError::internal(format!(
                "the plugin's reply is {} bytes, the limit is {limit}",
                reply.len() - FRAME_HEADER
            )),
            Err(error) => error,
        };
        let fits = |frame: &EncodedFrame| frame.len() - FRAME_HEADER <= limit;
        self.fault(request.plugin, &error).ok().filter(fits).or_else(|| {
            let error = HandlerError::internal("the plugin's error cannot be sent".to_owned());
            self.fault(request.plugin, &error).ok().filter(fits)
        })
    }

    async fn run_hook(
        &self,
        plugin: Option<&dyn Plugin>,
        request: &HookRequest<'_>,
    ) -> Result<EncodedFrame, HandlerError> {
        if let Some(what) = request.not_finite {
            return Err(HandlerError::internal(format!(
                "Fail to serialize {what} for Value.number_value, which would parse as string_value"
            )));
        }
        let Some(plugin) = plugin else {
            return Err(unknown_hook(request.hook_type, request.plugin));
        };
        let call = HookCall::new(request, self.0.big_integers);
        // A plugin that panics has spoilt its own state at worst: that of the
        // connection is not reachable from it.
        let answer = AssertUnwindSafe(async { plugin.invoke(call).await }).catch_unwind().await;
        let reply = answer.unwrap_or_else(|_| {
            tracing::error!(plugin = request.plugin, hook = request.hook_type, "a plugin panicked");
            let message = format!("the plugin panicked in `{}`", request.hook_type);
            Err(HandlerError::new(message).with_code(INTERNAL_ERROR_CODE))
        });
        Ok(reply?.0)
    }

    fn fault(&self, called: &str, error: &HandlerError) -> Result<EncodedFrame, EncodeError> {
        // An error with an empty message would be none.
        let message = if error.message.is_empty() { "Unknown error" } else { &error.message };
        let fault = Fault {
            message,
            plugin: error.plugin_name.as_deref().unwrap_or(called),
            code: &error.code,
            details: Some(&error.details),
            mcp_error_code: error.mcp_error_code,
        };
        reply::fault(called, fault, self.0.big_integers)
    }
}

impl fmt::Debug for PluginService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginService")
            .field("plugins", &self.0.plugins.keys())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("cannot serve: {problem}"))
}

/// What gRPC tells apart by the method that is called.
#[cfg(feature = "grpc")]
impl PluginService {
    /// Answers an InvokeHookRequest. `None` if not even an error fits into the limit.
    pub(super) async fn answer_call(&self, request: &HookRequest<'_>) -> Option<EncodedFrame> {
        let reply = self.answer_hook(request).await;
        self.0.counters.requests.fetch_add(1, Relaxed);
        reply
    }

    /// Answers a GetPluginConfigRequest.
    pub(super) fn answer_config(&self, name: &str) -> EncodedFrame {
        self.0.counters.requests.fetch_add(1, Relaxed);
        self.config(name).clone()
    }

    /// Answers a GetPluginConfigsRequest.
    pub(super) fn answer_configs(&self) -> EncodedFrame {
        self.0.counters.requests.fetch_add(1, Relaxed);
        self.0.all_configs.clone()
    }

    /// Counts a call that found no room.
    pub(super) fn refuse(&self) {
        self.0.counters.refused.fetch_add(1, Relaxed);
    }

    /// Counts a connection, as open until the value is dropped.
    pub(super) fn open(&self) -> Open<'_> {
        Open::new(&self.0.counters)
    }
}

/// Counts a connection as open for as long as it lives.
pub(super) struct Open<'a>(&'a Counters);

impl<'a> Open<'a> {
    fn new(counters: &'a Counters) -> Self {
        counters.accepted.fetch_add(1, Relaxed);
        counters.open.fetch_add(1, Relaxed);
        Self(counters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
