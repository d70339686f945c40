//! The servers that a plugin is reached at over gRPC, and the way to them.

use std::path::Path;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::keys::keys;
use super::policy;
use super::problem::ConfigError;
use super::rule::{
    U32, YEAR, ids, in_seconds, in_seconds_or_off, seconds, seconds_or_off, some, switch, whole,
};
use super::section::{self, Section};
use super::servers::{self, Servers};
use super::tls::{self, TlsConfig};
use crate::grpc::target::Target;
use crate::wire::codec::DEFAULT_MAX_FRAME_LEN;

pub(super) const PREFIX: &str = "grpc.";

/// What the reference's gRPC server takes; it has no setting for it.
pub(crate) const DEFAULT_MAX_MESSAGE_LEN: usize = 4 * 1024 * 1024;

/// More is not taken as one piece by h2, and then the call would wait for its deadline: a message
/// has a prefix of five bytes.
const MOST_MESSAGE_LEN: i128 = i32::MAX as i128 - 5;

/// The servers that a plugin is reached at over gRPC, and the way to them. Feature `grpc`.
///
/// Only where the servers are is needed, and beyond this machine how the way there is
/// secured; everything else has a default. No environment variables are read.
///
/// ```
/// use hookwire::config::TlsConfig;
/// use hookwire::{GrpcConfig, PluginConfig};
///
/// let tls = TlsConfig::new().with_ca_bundle("/etc/gateway/plugins-ca.pem");
/// let grpc = GrpcConfig::builder().target("guard.example:50051").tls(tls).max_in_flight(64);
/// let plugin = PluginConfig::builder("Guard").grpc(grpc).build()?;
///
/// let same = serde_json::json!({
///     "name": "Guard",
///     "grpc": {
///         "target": "guard.example:50051",
///         "tls": {"ca_bundle": "/etc/gateway/plugins-ca.pem"},
///         "max_in_flight": 64,
///     },
/// });
/// assert_eq!(plugin, serde_json::from_value(same)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrpcConfig {
    #[serde(flatten)]
    pub(super) servers: Servers,
    #[serde(flatten, serialize_with = "tls_and_name")]
    pub(super) tls: Option<TlsConfig>,
    #[serde(flatten)]
    pub(super) values: Values,
}

keys! {
    struct Values, values of GrpcConfig and GrpcBuilder;

    /// Whether plaintext may leave this machine. Default `None`: plaintext goes to loopback
    /// addresses and Unix sockets only, everything else needs [`tls`](Self::tls). `Some(false)`:
    /// not even to loopback addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fn plaintext: Option<bool> = None, some(switch) => Option<bool>, |all| all.plaintext;
    /// How many failed connects in a row make a server count as down; once all are, the waiting
    /// calls fail, and new ones fail at once while connecting goes on in the background.
    /// Default 3; with 0, as with 1, the first failure is enough.
    pub fn reconnect_attempts: u32 = 3, whole(U32);
    /// The base of the wait before connecting to a server again; it doubles with every failure.
    /// Default 0.1 s, up to a year.
    #[serde(serialize_with = "in_seconds")]
    pub fn reconnect_delay: Duration = Duration::from_millis(100), seconds(YEAR);
    /// The longest wait before connecting again. Default 1 s, or
    /// [`reconnect_delay`](Self::reconnect_delay) where that is longer; never below it.
    #[serde(serialize_with = "in_seconds", skip_serializing_if = "Option::is_none")]
    pub fn max_backoff: Option<Duration> = None, some(seconds(YEAR)) => Duration, |all| {
        all.max_backoff.unwrap_or(all.reconnect_delay.max(Duration::from_secs(1)))
    };
    /// The time one connect may take: to resolve the name, connect, agree on TLS, and be
    /// answered once. Default 5 s, up to a year.
    #[serde(serialize_with = "in_seconds")]
    pub fn connect_timeout: Duration = Duration::from_secs(5), seconds(YEAR);
    /// The most calls under way at each server, and never more than it allows itself. Default
    /// 128, from 1 to 65536.
    pub fn max_in_flight: usize = 128, whole(1..=65_536);
    /// How often the server of an open connection is asked whether it still answers, and serves:
    /// a call of `cpex.Health/Check`, no ping of HTTP/2, for which the reference's server would
    /// end running hooks. Of a connection that plugins share it is asked once for all. Up to a
    /// year. Default 10 s, for a machine that is gone says nothing; `None`: never.
    #[serde(serialize_with = "in_seconds_or_off")]
    pub fn keep_alive: Option<Duration> = Some(Duration::from_secs(10)), seconds_or_off(YEAR);
    /// The largest request, in bytes. Default 4194304 (4 MiB, the fixed limit of the
    /// reference's gRPC server), from 1024 to 2147483642 (with its prefix, as much as
    /// a window of HTTP/2 can be): raise it only for servers that take more.
    pub fn max_message_len: usize = DEFAULT_MAX_MESSAGE_LEN, whole(1024..=MOST_MESSAGE_LEN);
    /// The largest reply, in bytes. Default 16777216 (16 MiB, as over a socket), from 1024 to
    /// 4294967295. The reference's gRPC server has no limit of its own.
    pub fn max_reply_len: usize = DEFAULT_MAX_FRAME_LEN, whole(1024..=u32::MAX as i128);
    /// As [`UnixSocketConfig::trust_path`](super::UnixSocketConfig::trust_path), for `uds`.
    /// Default false.
    pub fn trust_path: bool = false, switch;
    /// As [`UnixSocketConfig::peer_uids`](super::UnixSocketConfig::peer_uids), for `uds`.
    /// Default empty: any.
    pub fn peer_uids: Vec<u32> = Vec::new(), ids => &[u32], |all| &all.peer_uids;
    /// As [`UnixSocketConfig::peer_gids`](super::UnixSocketConfig::peer_gids), for `uds`.
    /// Default empty: any.
    pub fn peer_gids: Vec<u32> = Vec::new(), ids => &[u32], |all| &all.peer_gids;
}

const OF_TLS: &[&str] = &["tls", "server_name"];

pub(super) const KEYS: &[&[&str]] = &[servers::KEYS, OF_TLS, Values::KEYS, policy::Values::KEYS];

/// Keys of `unix_socket` that have no meaning here, and why.
const OF_THE_SOCKET: &[(&str, &str)] = &[
    ("path", "here a socket's path is `uds`"),
    ("max_frame_len", "here requests have `max_message_len`, and replies `max_reply_len`"),
    ("max_connections", "here each server has one connection, with `max_in_flight` calls on it"),
    ("idle_timeout", "here a connection stays open"),
    ("max_connection_age", "here servers say when a connection is too old"),
    ("stall_limit", "here a call that is over holds up no other"),
];

/// Refuses the keys that are not known, with what was probably meant.
pub(super) fn refuse_unknown(section: &mut Section<'_>) {
    for (key, nearest) in section.unknown(KEYS) {
        let of_the_socket = OF_THE_SOCKET.iter().find(|(known, _)| *known == key);
        let reason = match (of_the_socket, nearest) {
            (Some((_, why)), _) => format!("is a key of `unix_socket`; {why}"),
            (None, Some(nearest)) => format!("unknown key, did you mean `{nearest}`?"),
            (None, None) => "unknown key".into(),
        };
        section.refuse_key(key, reason);
    }
}

impl GrpcConfig {
    /// Starts with the defaults; it still needs one of [`target`](GrpcBuilder::target),
    /// [`targets`](GrpcBuilder::targets) and [`uds`](GrpcBuilder::uds).
    pub fn builder() -> GrpcBuilder {
        GrpcBuilder::default()
    }

    /// Where the servers are; never empty.
    pub fn targets(&self) -> &[Target] {
        self.servers.targets()
    }

    /// The TLS that every connection has; `None` for plaintext.
    pub fn tls(&self) -> Option<&TlsConfig> {
        self.tls.as_ref()
    }

    /// As it is before anything is set, or checked.
    pub(super) fn unchecked(builder: GrpcBuilder) -> Self {
        let GrpcBuilder { servers, tls, values } = builder;
        Self { servers, tls, values }
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let servers = Servers::read(section);
        let tls = tls::read(section);
        let values = Values::read(section);
        if values.max_backoff.is_some_and(|cap| cap < values.reconnect_delay) {
            let base = values.reconnect_delay.as_secs_f64();
            section.refuse("max_backoff", format!("must not be below reconnect_delay ({base})"));
        }
        if section.get("uds").is_none() {
            for key in ["trust_path", "peer_uids", "peer_gids"] {
                if section.get(key).is_some_and(|value| !is_default(value)) {
                    section.refuse_key(key, "is about a Unix socket, and `uds` is not set");
                }
            }
        }
        check_security(&servers, values.plaintext, section);
        Self { servers, tls, values }
    }
}

/// As a configuration is written that does not set it.
fn is_default(value: &serde_json::Value) -> bool {
    *value == false || *value == "off" || value.as_array().is_some_and(Vec::is_empty)
}

/// Nothing is plaintext by mistake: neither because a section `tls` has no effect, nor because
/// there is none.
fn check_security(servers: &Servers, plaintext: Option<bool>, section: &mut Section<'_>) {
    let has_tls = section.get("tls").is_some();
    if has_tls && section.get("uds").is_some() {
        section.refuse_key(
            "tls",
            "is not for a Unix socket (`uds`), which does not leave the machine; remove one of them",
        );
    }
    match plaintext {
        Some(true) if has_tls => section.refuse(
            "plaintext",
            "contradicts `tls`, and it is not clear which of them is meant; remove one of them",
        ),
        Some(false) if !has_tls && section.get("uds").is_none() => section.refuse(
            "plaintext",
            "is false, and without `tls` there is nothing else; add `tls: {}`",
        ),
        None if !has_tls => servers.refuse_unless_local(section),
        Some(_) | None => {}
    }
}

/// In a file, the name stands beside the section.
fn tls_and_name<S: Serializer>(tls: &Option<TlsConfig>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Written<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        tls: Option<&'a TlsConfig>,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_name: Option<&'a str>,
    }
    let tls = tls.as_ref();
    Written { tls, server_name: tls.and_then(TlsConfig::server_name) }.serialize(serializer)
}

/// Builds a [`GrpcConfig`], which has an example; what is not set keeps its default.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the configuration"]
pub struct GrpcBuilder {
    servers: Servers,
    tls: Option<TlsConfig>,
    values: Values,
}

impl GrpcBuilder {
    /// Where the server is: `host:port`, `[v6]:port`, `dns:///host:port`, or a list of addresses
    /// of several servers, `ipv4:a:port,b:port` or `ipv6:[a]:port,[b]:port`. Of a name, every
    /// address is a server. Takes the place of what said it before.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.servers = Servers::target(target.into());
        self
    }

    /// As [`target`](Self::target), for several.
    pub fn targets<T: Into<String>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        self.servers = Servers::list(targets.into_iter().map(Into::into).collect());
        self
    }

    /// The Unix socket on which a server speaks gRPC, by its absolute path. Takes the place of
    /// what said before where the server is.
    pub fn uds(mut self, path: impl AsRef<Path>) -> Self {
        self.servers = Servers::uds(path.as_ref().into());
        self
    }

    /// Sets [`tls`](GrpcConfig::tls).
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets [`plaintext`](GrpcConfig::plaintext).
    pub fn plaintext(mut self, plaintext: bool) -> Self {
        self.values.plaintext = Some(plaintext);
        self
    }

    /// Sets [`max_backoff`](GrpcConfig::max_backoff).
    pub fn max_backoff(mut self, max_backoff: Duration) -> Self {
        self.values.max_backoff = Some(max_backoff);
        self
    }

    /// Sets [`peer_uids`](GrpcConfig::peer_uids).
    pub fn peer_uids(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.values.peer_uids = Vec::from_iter(ids);
        self
    }

    /// Sets [`peer_gids`](GrpcConfig::peer_gids).
    pub fn peer_gids(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.values.peer_gids = Vec::from_iter(ids);
        self
    }

    /// Checks everything that was set.
    ///
    /// # Errors
    /// All values that are out of their bounds, together.
    pub fn build(self) -> Result<GrpcConfig, ConfigError> {
        section::built(&GrpcConfig::unchecked(self), PREFIX, GrpcConfig::read)
    }
}

/// To change a configuration that is there already.
impl From<GrpcConfig> for GrpcBuilder {
    fn from(config: GrpcConfig) -> Self {
        let GrpcConfig { servers, tls, values } = config;
        Self { servers, tls, values }
    }
}
