//! The Unix socket that a plugin listens on, and its connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::keys::keys;
use super::problem::ConfigError;
use super::rule::{
    U32, YEAR, ids, in_seconds, path, path_or_bytes, seconds, seconds_or_off, some, switch, whole,
};
use super::section::{self, Section};
use crate::wire::codec::DEFAULT_MAX_FRAME_LEN;

/// The reference server closes a connection after 300 s without a request; one
/// second is left for being late.
const MAX_IDLE: Duration = Duration::from_secs(299);

pub(super) const PREFIX: &str = "unix_socket.";

/// The Unix socket that a plugin listens on, and its connections.
///
/// Only the path is needed, everything else has a default. In a file, durations are
/// seconds (`0.5`), here they are [`Duration`]s.
///
/// ```
/// use hookwire::{PluginConfig, UnixSocketConfig};
///
/// let socket = UnixSocketConfig::builder("/run/plugins/my.sock").max_connections(4);
/// let plugin = PluginConfig::builder("MyPlugin").unix_socket(socket).build()?;
///
/// let same = serde_json::json!({
///     "name": "MyPlugin",
///     "unix_socket": {"path": "/run/plugins/my.sock", "max_connections": 4},
/// });
/// assert_eq!(plugin, serde_json::from_value(same)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnixSocketConfig(pub(super) Values);

keys! {
    struct Values, 0 of UnixSocketConfig and UnixSocketBuilder;

    /// The socket's path, absolute.
    #[serde(serialize_with = "path_or_bytes")]
    pub fn path: PathBuf = PathBuf::new(), path => &Path, |all| &all.path;
    /// How many failed connects in a row make the waiting calls fail; after that, new calls
    /// fail at once while connecting goes on in the background. Default 3; with 0, as with
    /// 1, the first failure is enough.
    pub fn reconnect_attempts: u32 = 3, whole(U32);
    /// The base of the wait before connecting again; it doubles with every failure.
    /// Default 0.1 s, up to a year.
    #[serde(serialize_with = "in_seconds")]
    pub fn reconnect_delay: Duration = Duration::from_millis(100), seconds(YEAR);
    /// The longest wait before connecting again. Default 1 s, or
    /// [`reconnect_delay`](Self::reconnect_delay) where that is longer; never below it.
    #[serde(serialize_with = "in_seconds", skip_serializing_if = "Option::is_none")]
    pub fn max_backoff: Option<Duration> = None, some(seconds(YEAR)) => Duration, |all| {
        all.max_backoff.unwrap_or(all.reconnect_delay.max(Duration::from_secs(1)))
    };
    /// The time one connect may take. Default 5 s, up to a year.
    #[serde(serialize_with = "in_seconds")]
    pub fn connect_timeout: Duration = Duration::from_secs(5), seconds(YEAR);
    /// The most connections to this plugin. A server answers one call at a time on each, so
    /// this is how many calls it works on at once. Default 8, from 1 to 1024.
    pub fn max_connections: usize = 8, whole(1..=1024);
    /// The most calls written ahead on one connection. Default 16, from 1 to 65536.
    pub fn max_in_flight: usize = 16, whole(1..=65_536);
    /// How long an unused connection stays open. Default 8 s, at most 299 s: the server
    /// closes it after 300 s.
    ///
    /// A reference server on Python 3.12 or later that is asked to stop does so only when its
    /// clients let go, so this is how long its stop can take: less than what service managers
    /// wait before they kill (Docker 10 s, Kubernetes 30 s, systemd 90 s). A connection
    /// costs less to open than a call takes.
    #[serde(serialize_with = "in_seconds")]
    pub fn idle_timeout: Duration = Duration::from_secs(8), seconds(MAX_IDLE);
    /// How old a connection may grow. Then it takes no more calls and ends after those under
    /// way; each is up to a tenth of that younger, so that those which were opened together
    /// are not replaced together. Default `None`: as old as it likes.
    ///
    /// It is not needed for a server that is replaced on its path, which is noticed anyway:
    /// rather for what cannot be, as where a proxy with other servers behind it holds the
    /// socket.
    #[serde(serialize_with = "in_seconds", skip_serializing_if = "Option::is_none")]
    pub fn max_connection_age: Option<Duration> = None, seconds_or_off(YEAR);
    /// How long a connection may be idle before the server is asked, for nobody, whether it
    /// still answers. It has [`stall_limit`](Self::stall_limit) for it, or the connection is
    /// closed; that does not count as use. Must be below
    /// [`idle_timeout`](Self::idle_timeout). Default `None`: never.
    #[serde(serialize_with = "in_seconds", skip_serializing_if = "Option::is_none")]
    pub fn keep_alive: Option<Duration> = None, seconds_or_off(MAX_IDLE);
    /// How long a reply whose caller has left may still be overdue before its connection is
    /// closed. Default 2 s, up to a year.
    #[serde(serialize_with = "in_seconds")]
    pub fn stall_limit: Duration = Duration::from_secs(2), seconds(YEAR);
    /// The largest message in either direction, in bytes. Default 16777216 (16 MiB, the
    /// limit of the reference server), from 1024 to 4294967295 (its length has 4 bytes).
    pub fn max_frame_len: usize = DEFAULT_MAX_FRAME_LEN, whole(1024..=u32::MAX as i128);
    /// Whether the path is checked before connecting: there must be a socket and no symbolic
    /// link on the way to it; it and every directory above it must belong to root, to this
    /// process's user or to one of [`peer_uids`](Self::peer_uids); and nobody else may be able
    /// to put something in its place. Default false.
    pub fn trust_path: bool = false, switch;
    /// The users that the plugin's server may run as, checked after connecting and before
    /// anything is sent: the kernel knows which process began to listen. Default empty: any.
    pub fn peer_uids: Vec<u32> = Vec::new(), ids => &[u32], |all| &all.peer_uids;
    /// The groups that the plugin's server may run as: its effective group, not its
    /// supplementary ones. With `peer_uids`, both must fit. Default empty: any.
    pub fn peer_gids: Vec<u32> = Vec::new(), ids => &[u32], |all| &all.peer_gids;
}

impl UnixSocketConfig {
    /// Starts with the socket at `path`, which must be absolute, without control
    /// characters, and at most 107 bytes long (103 on BSD and macOS).
    pub fn builder(path: impl AsRef<Path>) -> UnixSocketBuilder {
        UnixSocketBuilder::default().path(path)
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let values: Values = Values::read(section);
        section.needs("path", "it must be the absolute path of the plugin's socket");
        // A long `reconnect_delay` alone, as written for the reference, lifts the default cap.
        if values.max_backoff.is_some_and(|cap| cap < values.reconnect_delay) {
            let base = values.reconnect_delay.as_secs_f64();
            section.refuse("max_backoff", format!("must not be below reconnect_delay ({base})"));
        }
        // A connection that is closed before its first probe would never be probed.
        if values.keep_alive.is_some_and(|every| every >= values.idle_timeout) {
            let idle = values.idle_timeout.as_secs_f64();
            section.refuse("keep_alive", format!("must be below idle_timeout ({idle})"));
        }
        Self(values)
    }
}

/// Builds a [`UnixSocketConfig`], which has an example; what is not set keeps its default.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the configuration"]
pub struct UnixSocketBuilder(pub(super) Values);

impl UnixSocketBuilder {
    /// Sets [`path`](UnixSocketConfig::path).
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path = path.as_ref().into();
        self
    }

    /// Sets [`max_backoff`](UnixSocketConfig::max_backoff).
    pub fn max_backoff(mut self, max_backoff: Duration) -> Self {
        self.0.max_backoff = Some(max_backoff);
        self
    }

    /// Sets [`peer_uids`](UnixSocketConfig::peer_uids).
    pub fn peer_uids(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.0.peer_uids = Vec::from_iter(ids);
        self
    }

    /// Sets [`peer_gids`](UnixSocketConfig::peer_gids).
    pub fn peer_gids(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.0.peer_gids = Vec::from_iter(ids);
        self
    }

    /// Checks everything that was set.
    ///
    /// # Errors
    /// All values that are out of their bounds, together.
    pub fn build(self) -> Result<UnixSocketConfig, ConfigError> {
        section::built(&self.0, PREFIX, UnixSocketConfig::read)
    }
}

/// To change a configuration that is there already.
impl From<UnixSocketConfig> for UnixSocketBuilder {
    fn from(config: UnixSocketConfig) -> Self {
        Self(config.0)
    }
}
