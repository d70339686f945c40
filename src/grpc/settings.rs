//! A stub: what `plugin` is made with, until the way of a call over HTTP/2 is merged.

use std::sync::Arc;
use std::time::Duration;

use crate::unix::connect::Connect;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) reconnect_delay: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) reconnect_attempts: u32,
    pub(crate) max_in_flight: usize,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) max_request_len: usize,
    pub(crate) max_reply_len: usize,
}

/// One server: its name for people, and the way to it.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) name: Arc<str>,
    pub(crate) connector: Arc<dyn Connect>,
}

pub(crate) type Servers = Vec<Remote>;
