//! The `unix_socket` section: where a plugin listens, and the bound of every
//! queue, buffer and wait on the way to it.
//!
//! Each knob is declared once, in the table below; its field, getter, setter,
//! reading and writing follow from it. The builder writes the same entry that a
//! file holds and has it read, so both pass exactly the same checks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::entry::{self, Object, Section};
use super::problem::{ConfigError, Problems};
use super::setting::{Knob, Setting};
use super::words::{BigIntegers, RetryPolicy};
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

/// Short enough that a point in time plus a wait can never overflow.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The reference server closes a connection after 300 s without a request; one
/// second is left for being late.
const MAX_IDLE: Duration = Duration::from_secs(299);

macro_rules! knobs {
    (
        $($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $bounds:expr;)+
        @ids $($(#[$ids_doc:meta])* $ids:ident;)+
    ) => {
        /// Where a plugin listens, and how it may be called.
        ///
        /// Only `path` is needed, everything else has a default. In a file, durations
        /// are seconds (`0.5`), here they are [`Duration`]s.
        ///
        /// ```
        /// use hookwire::{RetryPolicy, UnixSocketConfig};
        /// use std::time::Duration;
        ///
        /// let socket = UnixSocketConfig::builder("/run/plugins/my.sock")
        ///     .timeout(Duration::from_secs(5))
        ///     .max_connections(4)
        ///     .build()?;
        /// assert_eq!(socket.retry(), RetryPolicy::Unsent);
        ///
        /// let same = serde_json::json!({
        ///     "path": "/run/plugins/my.sock", "timeout": 5, "max_connections": 4,
        /// });
        /// assert_eq!(socket, serde_json::from_value(same)?);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct UnixSocketConfig {
            path: PathBuf,
            $($name: $type,)+
            $($ids: Vec<u32>,)+
        }

        const KEYS: &[&str] = &["path", $(stringify!($name),)+ $(stringify!($ids),)+];

        impl UnixSocketConfig {
            /// Starts a configuration of the socket at `path`, which must be absolute
            /// and at most 107 bytes long (103 on BSD and macOS).
            pub fn builder(path: impl AsRef<Path>) -> UnixSocketBuilder {
                UnixSocketBuilder::default().path(path.as_ref())
            }

            /// The socket's path, absolute.
            #[must_use]
            pub fn path(&self) -> &Path {
                &self.path
            }

            $($(#[$doc])* #[must_use] pub fn $name(&self) -> $type {
                self.$name
            })+

            $($(#[$ids_doc])* #[must_use] pub fn $ids(&self) -> &[u32] {
                &self.$ids
            })+

            /// Everything, as a file would hold it.
            fn entry(&self) -> Object {
                let mut entry = Object::new();
                entry.insert("path".into(), path_value(&self.path));
                $(entry.insert(stringify!($name).into(), self.$name.write());)+
                $(entry.insert(stringify!($ids).into(), self.$ids.write());)+
                entry
            }

            /// Usable only if no problem was noted.
            pub(super) fn read(entry: &Object, problems: &mut Problems) -> Self {
                let mut section = Section::new("unix_socket.", entry, problems);
                let mut config = Self {
                    path: read_path(&mut section),
                    $($name: section.read(stringify!($name), &$bounds).unwrap_or($default),)+
                    $($ids: section.read(stringify!($ids), &()).unwrap_or_default(),)+
                };
                config.settle_backoff(&mut section);
                config.check_keep_alive(&mut section);
                refuse_unknown_keys(&mut section);
                config
            }
        }

        impl UnixSocketBuilder {
            $($(#[$doc])* pub fn $name(self, $name: $type) -> Self {
                self.set(stringify!($name), $name.write())
            })+

            $($(#[$ids_doc])* pub fn $ids(self, $ids: impl IntoIterator<Item = u32>) -> Self {
                self.set(stringify!($ids), Vec::from_iter($ids).write())
            })+
        }
    };
}

knobs! {
    /// How many failed connects in a row make the waiting calls fail; after that, new
    /// calls fail at once while connecting goes on in the background. Default 3; with
    /// 0, as with 1, the first failure is enough.
    reconnect_attempts: u32 = 3, 0..=u32::MAX;
    /// The base of the wait before connecting again; it doubles with every failure.
    /// Default 0.1 s.
    reconnect_delay: Duration = Duration::from_millis(100), YEAR;
    /// The time a call has for everything: to wait for a place, connect, write, and
    /// get its reply. Default 30 s.
    timeout: Duration = Duration::from_secs(30), YEAR;
    /// The most connections to this plugin. A server answers one call at a time on
    /// each, so this is how many calls it works on at once. Default 8, from 1 to 1024.
    max_connections: usize = 8, 1..=1024;
    /// The most calls written ahead on one connection. Default 16, from 1 to 65536.
    max_in_flight: usize = 16, 1..=65_536;
    /// The most calls that may wait for a place when every connection is full; one more
    /// is refused as overloaded. Default 1024, from 0 (refuse at once) to 1048576.
    queue_capacity: usize = 1024, 0..=1_048_576;
    /// The time one connect may take. Default 5 s.
    connect_timeout: Duration = Duration::from_secs(5), YEAR;
    /// The longest wait before connecting again. Default 1 s, or `reconnect_delay` where
    /// that is longer; it cannot be below `reconnect_delay`.
    max_backoff: Duration = Duration::from_secs(1), YEAR;
    /// How long an unused connection stays open. Default 240 s, at most 299 s: the server
    /// closes it after 300 s.
    idle_timeout: Duration = Duration::from_secs(240), MAX_IDLE;
    /// How long a reply whose caller has left may still be overdue before its connection
    /// is closed. Default 2 s.
    stall_limit: Duration = Duration::from_secs(2), YEAR;
    /// How many replies in a row must be missing for calls to fail at once, until one
    /// call that is let through on trial gets a reply. A reply is missing when its call is
    /// over and the plugin had at least half of `timeout` for it, or else after
    /// `stall_limit` more.
    /// Default 5; with 0 only a plugin that cannot be reached fails calls at once.
    breaker_threshold: u32 = 5, 0..=u32::MAX;
    /// The longest time between two such trials. It starts at 1 s and doubles with every
    /// trial without a reply. Default 30 s.
    breaker_max_open: Duration = Duration::from_secs(30), YEAR;
    /// How long a connection may be idle before the server is asked, for nobody, whether
    /// it still answers. It has `stall_limit` for it, or the connection is closed; that
    /// does not count as use of the connection. Must be below `idle_timeout`. Default
    /// `None`: never.
    keep_alive: Option<Duration> = None, MAX_IDLE;
    /// Which calls are sent again after their connection broke. Default
    /// [`RetryPolicy::Unsent`].
    retry: RetryPolicy = RetryPolicy::default(), ();
    /// How many calls may be sent again: this percentage of the calls of the last 10 s,
    /// plus 10 for each second. Default 20, at most 100.
    retry_budget: u32 = 20, 0..=100;
    /// Whether connecting asks the server about the plugin: its name is compared exactly,
    /// its configuration merged. The checks on replies are always on. Default true.
    verify: bool = true, ();
    /// Whether each call carries a stamp in its context's metadata, under
    /// [`STAMP_KEY`](crate::model::STAMP_KEY), that its reply must bring back: a result
    /// is then proven to belong to its call, whatever the server does. The plugin must
    /// leave the key where it is. Default false.
    stamp: bool = false, ();
    /// The largest message in either direction, in bytes. Default 16777216 (16 MiB, the
    /// limit of the reference server), from 1024 to 4294967295 (its length has 4 bytes).
    max_frame_len: usize = DEFAULT_MAX_FRAME_LEN, 1024..=u32::MAX as usize;
    /// What happens to integers that the wire cannot carry exactly. Default
    /// [`BigIntegers::Refuse`].
    big_integers: BigIntegers = BigIntegers::default(), ();
    /// Whether the socket's path is looked at before connecting: there must be a socket
    /// and no symbolic link on the way to it; it and every directory above it must belong
    /// to root, to this process's user or to one of `peer_uids`; and nobody else may be
    /// able to put something in its place. Default false.
    trust_path: bool = false, ();

    @ids
    /// The users that the plugin's server may run as, looked at after connecting and
    /// before anything is sent: the kernel says who began to listen. Default empty: any.
    peer_uids;
    /// The groups that the plugin's server may run as: its effective group, not its
    /// supplementary ones. With `peer_uids`, both must fit. Default empty: any.
    peer_gids;
}

impl UnixSocketConfig {
    /// A long `reconnect_delay` alone, as written for the reference, lifts the default
    /// cap; a cap that was set must fit. One that was refused already is no second problem.
    fn settle_backoff(&mut self, section: &mut Section<'_>) {
        let base = self.reconnect_delay;
        let set = section.raw("max_backoff").and_then(|value| Duration::read(value, &YEAR));
        if set.is_some_and(|cap| cap < base) {
            let base = base.as_secs_f64();
            section.refuse("max_backoff", format!("must not be below reconnect_delay ({base})"));
        }
        self.max_backoff = self.max_backoff.max(base);
    }

    /// A connection that is closed before its first probe would never be probed.
    fn check_keep_alive(&self, section: &mut Section<'_>) {
        if self.keep_alive.is_some_and(|every| every >= self.idle_timeout) {
            let idle = self.idle_timeout.as_secs_f64();
            section.refuse("keep_alive", format!("must be below idle_timeout ({idle})"));
        }
    }
}

impl Serialize for UnixSocketConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entry().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UnixSocketConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = entry::deserialize(deserializer)?;
        UnixSocketBuilder { entry }.build().map_err(serde::de::Error::custom)
    }
}

/// Builds a [`UnixSocketConfig`]; each knob that is not set keeps its default.
///
/// See [`UnixSocketConfig`] for an example.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the configuration"]
pub struct UnixSocketBuilder {
    entry: Object,
}

impl UnixSocketBuilder {
    /// Checks everything that was set.
    ///
    /// # Errors
    /// All values that are out of their bounds, together.
    pub fn build(self) -> Result<UnixSocketConfig, ConfigError> {
        let mut problems = Problems::default();
        let config = UnixSocketConfig::read(&self.entry, &mut problems);
        problems.unless_any(None, Some(config))
    }

    pub(super) fn path(self, path: &Path) -> Self {
        self.set("path", path_value(path))
    }

    pub(super) fn into_entry(self) -> Object {
        self.entry
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.entry.insert(key.into(), value);
        self
    }
}

/// To change a few knobs of a configuration that is there already.
impl From<UnixSocketConfig> for UnixSocketBuilder {
    fn from(config: UnixSocketConfig) -> Self {
        Self { entry: config.entry() }
    }
}

/// What is not UTF-8 becomes a list of bytes, which is then refused: written any
/// other way, it would name another file.
fn path_value(path: &Path) -> Value {
    path.to_str().map_or_else(|| path.as_os_str().as_encoded_bytes().into(), Value::from)
}

/// Empty only where a problem was noted.
fn read_path(section: &mut Section<'_>) -> PathBuf {
    let Some(value) = section.raw("path") else {
        section.complain("path", "missing; it must be the absolute path of the plugin's socket");
        return PathBuf::new();
    };
    let Some(path) = value.as_str() else {
        section.refuse("path", "must be a string, in UTF-8");
        return PathBuf::new();
    };
    let reason = if path.is_empty() {
        "must not be empty".into()
    } else if !path.starts_with('/') {
        "must be absolute".into()
    } else if path.contains('\0') {
        "must not contain a NUL".into()
    } else if path.len() > MAX_PATH {
        format!("must be at most {MAX_PATH} bytes long (a limit of the system), not {}", path.len())
    } else {
        return path.into();
    };
    section.refuse("path", reason);
    PathBuf::new()
}

fn refuse_unknown_keys(section: &mut Section<'_>) {
    for key in section.keys().filter(|key| !KEYS.contains(key)) {
        let (nearest, _) = entry::nearest(key, KEYS);
        section.complain(key, format!("unknown key, did you mean `{nearest}`?"));
    }
}
