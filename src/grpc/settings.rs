//! What a plugin's connections over gRPC are held to, and where they lead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::pool::Key;
use crate::unix::connect::Connect;
use crate::unix::message::Method;

/// How connections are made and used; the configuration has checked it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// For the connection, TLS, and the first answer of the server, together.
    pub(crate) connect_timeout: Duration,
    /// The base of the wait between two attempts to connect to one server.
    pub(crate) reconnect_delay: Duration,
    pub(crate) max_backoff: Duration,
    /// Failed attempts in a row after which a server counts as down; at least one.
    pub(crate) reconnect_attempts: u32,
    /// The most calls on their way to one server.
    pub(crate) max_in_flight: usize,
    /// How long a connection may be quiet before the server is asked whether it is there.
    pub(crate) keep_alive: Option<Duration>,
    /// The largest messages, in bytes.
    pub(crate) max_request_len: usize,
    pub(crate) max_reply_len: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            reconnect_delay: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            reconnect_attempts: 3,
            max_in_flight: 128,
            keep_alive: Some(Duration::from_secs(10)),
            // The reference's server takes no more, and cannot be told to.
            max_request_len: 4 * 1024 * 1024,
            max_reply_len: 16 * 1024 * 1024,
        }
    }
}

/// One server: its name for people, and the way to it.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) name: Arc<str>,
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) paths: Paths,
    /// What decides that another plugin's way is this one; `None`: nothing does.
    pub(crate) key: Option<Key>,
}

impl Remote {
    /// `scheme` and `authority` are what the server is told of itself; they decide nothing
    /// about how it is connected to.
    pub(crate) fn new(
        name: impl Into<Arc<str>>,
        scheme: Scheme,
        authority: &Authority,
        connector: Arc<dyn Connect>,
    ) -> Self {
        Self { name: name.into(), connector, paths: Paths::new(&scheme, authority), key: None }
    }

    /// The same, where other plugins may have the same way.
    pub(crate) fn keyed(name: impl Into<Arc<str>>, key: Key, connector: Arc<dyn Connect>) -> Self {
        let new = Self::new(name, key.scheme.clone(), &key.authority, connector);
        Self { key: Some(key), ..new }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.name).finish()
    }
}

/// The servers of a plugin.
#[derive(Clone)]
pub(crate) enum Servers {
    /// They do not change.
    Known(Vec<Remote>),
    /// They have to be found, and others may be found later.
    Named(Arc<dyn Names>),
}

/// An attempt to find a plugin's servers.
pub(crate) type Finding = Pin<Box<dyn Future<Output = io::Result<Vec<Remote>>> + Send>>;

/// Finds all servers of a plugin, each with a name of its own that stays the same.
pub(crate) trait Names: Send + Sync + 'static {
    /// Starts one attempt.
    fn find(&self) -> Finding;
}

/// Where the methods of the protocol are on one server.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    invoke_hook: Uri,
    get_config: Uri,
    get_configs: Uri,
    pub(crate) check: Uri,
}

impl Paths {
    fn new(scheme: &Scheme, authority: &Authority) -> Self {
        let at = |path| {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
            parts.path_and_query = Some(PathAndQuery::from_static(path));
            // All three parts are there, so this cannot fail.
            Uri::from_parts(parts).unwrap_or_default()
        };
        Self {
            invoke_hook: at("/cpex.PluginService/InvokeHook"),
            get_config: at("/cpex.PluginService/GetPluginConfig"),
            get_configs: at("/cpex.PluginService/GetPluginConfigs"),
            check: at("/cpex.Health/Check"),
        }
    }

    /// `empty`: the message is, which asks for all configurations.
    pub(crate) fn of(&self, method: Method, empty: bool) -> &Uri {
        match method {
            Method::InvokeHook => &self.invoke_hook,
            Method::GetConfig if empty => &self.get_configs,
            Method::GetConfig | Method::Check => &self.get_config,
            Method::Connect => &self.check,
        }
    }
}
