//! What a plugin's connections over gRPC are held to, and which servers they lead to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::remote::Remote;

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
