//! The Unix socket that a plugin listens on, and its connections.

use std::convert::identity;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::problem::{ConfigError, Problems};
use super::rule::{Rule, YEAR, seconds};
use super::section::{self, Table};
use super::setters::setters;
use crate::model::Object;
use crate::wire::codec::DEFAULT_MAX_FRAME_LEN;

/// What `sun_path` holds, without the NUL at its end.
const MAX_PATH: usize = if cfg!(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)) {
    103
} else {
    107
};

/// The reference server closes a connection after 300 s without a request; one
/// second is left for being late.
const MAX_IDLE: Duration = Duration::from_secs(299);

pub(super) const PREFIX: &str = "unix_socket.";

pub(super) const TABLE: Table = &[
    ("path", Rule::Path),
    ("reconnect_attempts", Rule::Whole(0..=u32::MAX as i128)),
    ("reconnect_delay", Rule::Seconds(YEAR)),
    ("max_backoff", Rule::Seconds(YEAR)),
    ("connect_timeout", Rule::Seconds(YEAR)),
    ("max_connections", Rule::Whole(1..=1024)),
    ("max_in_flight", Rule::Whole(1..=65_536)),
    ("idle_timeout", Rule::Seconds(MAX_IDLE)),
    ("keep_alive", Rule::SecondsOrOff(MAX_IDLE)),
    ("max_connection_age", Rule::SecondsOrOff(YEAR)),
    ("stall_limit", Rule::Seconds(YEAR)),
    ("max_frame_len", Rule::Whole(1024..=u32::MAX as i128)),
    ("trust_path", Rule::Switch),
    ("peer_uids", Rule::Ids),
    ("peer_gids", Rule::Ids),
];

/// The keys of [`TABLE`], checked or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Values {
    #[serde(serialize_with = "path_or_bytes")]
    path: PathBuf,
    reconnect_attempts: u32,
    #[serde(with = "seconds")]
    reconnect_delay: Duration,
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    max_backoff: Option<Duration>,
    #[serde(with = "seconds")]
    connect_timeout: Duration,
    max_connections: usize,
    max_in_flight: usize,
    #[serde(with = "seconds")]
    idle_timeout: Duration,
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    keep_alive: Option<Duration>,
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    max_connection_age: Option<Duration>,
    #[serde(with = "seconds")]
    stall_limit: Duration,
    max_frame_len: usize,
    trust_path: bool,
    peer_uids: Vec<u32>,
    peer_gids: Vec<u32>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            reconnect_attempts: 3,
            reconnect_delay: Duration::from_millis(100),
            max_backoff: None,
            connect_timeout: Duration::from_secs(5),
            max_connections: 8,
            max_in_flight: 16,
            idle_timeout: Duration::from_secs(8),
            keep_alive: None,
            max_connection_age: None,
            stall_limit: Duration::from_secs(2),
            max_frame_len: DEFAULT_MAX_FRAME_LEN,
            trust_path: false,
            peer_uids: Vec::new(),
            peer_gids: Vec::new(),
        }
    }
}

/// An empty path is one that was not set. What is not UTF-8 becomes a list of bytes, which is then refused: written any other
/// way, it would name another file.
fn path_or_bytes<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some("") => serializer.serialize_none(),
        Some(path) => path.serialize(serializer),
        None => path.as_os_str().as_encoded_bytes().serialize(serializer),
    }
}

impl Values {
    /// What the rule of one key cannot tell.
    fn check(&self, section: &Object, problems: &mut Problems) {
        let mut refuse = |key: &str, reason: String| {
            problems.add(format!("{PREFIX}{key}"), section.get(key), reason);
        };
        let path = section.get("path").unwrap_or(&Value::Null);
        if let Some(fault) = path.as_str().and_then(path_fault) {
            refuse("path", fault);
        } else if path.is_null() {
            refuse("path", "missing; it must be the absolute path of the plugin's socket".into());
        }
        // A long `reconnect_delay` alone, as written for the reference, lifts the default cap.
        if self.max_backoff.is_some_and(|cap| cap < self.reconnect_delay) {
            let base = self.reconnect_delay.as_secs_f64();
            refuse("max_backoff", format!("must not be below reconnect_delay ({base})"));
        }
        // A connection that is closed before its first probe would never be probed.
        if self.keep_alive.is_some_and(|every| every >= self.idle_timeout) {
            let idle = self.idle_timeout.as_secs_f64();
            refuse("keep_alive", format!("must be below idle_timeout ({idle})"));
        }
    }
}

fn path_fault(path: &str) -> Option<String> {
    Some(match path {
        "" => "must not be empty".into(),
        path if !path.starts_with('/') => "must be absolute".into(),
        path if path.contains(char::is_control) => "must not contain control characters".into(),
        path if path.len() > MAX_PATH => {
            let len = path.len();
            format!("must be at most {MAX_PATH} bytes long (a limit of the system), not {len}")
        }
        _ => return None,
    })
}

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

impl UnixSocketConfig {
    /// Starts with the socket at `path`, which must be absolute, without control
    /// characters, and at most 107 bytes long (103 on BSD and macOS).
    pub fn builder(path: impl AsRef<Path>) -> UnixSocketBuilder {
        UnixSocketBuilder::default().path(path)
    }

    pub(super) fn read(section: &Object, problems: &mut Problems) -> Self {
        let values: Values = section::read(section, PREFIX, &[TABLE], problems);
        values.check(section, problems);
        Self(values)
    }

    /// The socket's path, absolute.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How many failed connects in a row make the waiting calls fail; after that, new calls
    /// fail at once while connecting goes on in the background. Default 3; with 0, as with
    /// 1, the first failure is enough.
    pub fn reconnect_attempts(&self) -> u32 {
        self.0.reconnect_attempts
    }

    /// The base of the wait before connecting again; it doubles with every failure.
    /// Default 0.1 s, up to a year.
    pub fn reconnect_delay(&self) -> Duration {
        self.0.reconnect_delay
    }

    /// The longest wait before connecting again. Default 1 s, or
    /// [`reconnect_delay`](Self::reconnect_delay) where that is longer; never below it.
    pub fn max_backoff(&self) -> Duration {
        self.0.max_backoff.unwrap_or(self.0.reconnect_delay.max(Duration::from_secs(1)))
    }

    /// The time one connect may take. Default 5 s, up to a year.
    pub fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    /// The most connections to this plugin. A server answers one call at a time on each, so
    /// this is how many calls it works on at once. Default 8, from 1 to 1024.
    pub fn max_connections(&self) -> usize {
        self.0.max_connections
    }

    /// The most calls written ahead on one connection. Default 16, from 1 to 65536.
    pub fn max_in_flight(&self) -> usize {
        self.0.max_in_flight
    }

    /// How long an unused connection stays open. Default 8 s, at most 299 s: the server
    /// closes it after 300 s.
    ///
    /// A reference server on Python 3.12 or later that is asked to stop does so only when its
    /// clients let go, so this is how long its stop can take: less than what service managers
    /// wait before they kill (Docker 10 s, Kubernetes 30 s, systemd 90 s). A connection
    /// costs less to open than a call takes.
    pub fn idle_timeout(&self) -> Duration {
        self.0.idle_timeout
    }

    /// How old a connection may grow. Then it takes no more calls and ends after those under
    /// way; each is up to a tenth of that younger, so that those which were opened together
    /// are not replaced together. Default `None`: as old as it likes.
    ///
    /// It is not needed for a server that is replaced on its path, which is noticed anyway:
    /// rather for what cannot be, as where a proxy with other servers behind it holds the
    /// socket.
    pub fn max_connection_age(&self) -> Option<Duration> {
        self.0.max_connection_age
    }

    /// How long a connection may be idle before the server is asked, for nobody, whether it
    /// still answers. It has [`stall_limit`](Self::stall_limit) for it, or the connection is
    /// closed; that does not count as use. Must be below
    /// [`idle_timeout`](Self::idle_timeout). Default `None`: never.
    pub fn keep_alive(&self) -> Option<Duration> {
        self.0.keep_alive
    }

    /// How long a reply whose caller has left may still be overdue before its connection is
    /// closed. Default 2 s, up to a year.
    pub fn stall_limit(&self) -> Duration {
        self.0.stall_limit
    }

    /// The largest message in either direction, in bytes. Default 16777216 (16 MiB, the
    /// limit of the reference server), from 1024 to 4294967295 (its length has 4 bytes).
    pub fn max_frame_len(&self) -> usize {
        self.0.max_frame_len
    }

    /// Whether the path is checked before connecting: there must be a socket and no symbolic
    /// link on the way to it; it and every directory above it must belong to root, to this
    /// process's user or to one of [`peer_uids`](Self::peer_uids); and nobody else may be able
    /// to put something in its place. Default false.
    pub fn trust_path(&self) -> bool {
        self.0.trust_path
    }

    /// The users that the plugin's server may run as, checked after connecting and before
    /// anything is sent: the kernel knows which process began to listen. Default empty: any.
    pub fn peer_uids(&self) -> &[u32] {
        &self.0.peer_uids
    }

    /// The groups that the plugin's server may run as: its effective group, not its
    /// supplementary ones. With `peer_uids`, both must fit. Default empty: any.
    pub fn peer_gids(&self) -> &[u32] {
        &self.0.peer_gids
    }
}

/// Builds a [`UnixSocketConfig`]; what is not set keeps its default.
///
/// See [`UnixSocketConfig`] for an example.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the configuration"]
pub struct UnixSocketBuilder(pub(super) Values);

impl UnixSocketBuilder {
    setters! {
        UnixSocketConfig, 0, identity:
        reconnect_attempts: u32,
        reconnect_delay: Duration,
        max_backoff: Duration,
        connect_timeout: Duration,
        max_connections: usize,
        max_in_flight: usize,
        idle_timeout: Duration,
        keep_alive: Option<Duration>,
        max_connection_age: Option<Duration>,
        stall_limit: Duration,
        max_frame_len: usize,
        trust_path: bool,
    }

    /// Sets [`path`](UnixSocketConfig::path).
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path = path.as_ref().into();
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
        section::built(&self.0, UnixSocketConfig::read)
    }
}

/// To change a configuration that is there already.
impl From<UnixSocketConfig> for UnixSocketBuilder {
    fn from(config: UnixSocketConfig) -> Self {
        Self(config.0)
    }
}
