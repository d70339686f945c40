//! What a plugin is reached over.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "grpc")]
use super::grpc::{self, GrpcConfig};
use super::policy::{self, CallPolicy};
use super::problem::Problems;
use super::raw;
use super::section::Section;
use super::unix_socket::{self, PREFIX, UnixSocketConfig};
use crate::endpoint::Endpoint;

pub(super) const KEYS: &[&[&str]] = &[unix_socket::Values::KEYS, policy::Values::KEYS];

/// What a plugin is reached over, with its settings.
///
/// ```
/// use hookwire::PluginConfig;
/// use hookwire::config::Transport;
///
/// let guard = PluginConfig::builder("Guard").socket("/run/guard.sock").build()?;
/// match guard.transport() {
///     Transport::Unix(socket) => assert_eq!(socket.max_connections(), 8),
///     other => println!("reached over {other:?}"),
/// }
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Transport {
    /// A Unix domain socket.
    Unix(UnixSocketConfig),
    /// gRPC, to servers here or on other machines. Feature `grpc`.
    #[cfg(feature = "grpc")]
    Grpc(GrpcConfig),
}

impl Transport {
    /// A Unix socket of which nothing is set.
    pub(super) fn unset() -> Self {
        Self::Unix(UnixSocketConfig(unix_socket::Values::default()))
    }

    /// The key of its section in an entry.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix_socket",
            #[cfg(feature = "grpc")]
            Self::Grpc(_) => "grpc",
        }
    }

    /// The time one connect may take.
    pub(crate) fn connect_timeout(&self) -> std::time::Duration {
        match self {
            Self::Unix(socket) => socket.connect_timeout(),
            #[cfg(feature = "grpc")]
            Self::Grpc(grpc) => grpc.connect_timeout(),
        }
    }
}

impl From<&Transport> for Endpoint {
    fn from(transport: &Transport) -> Self {
        match transport {
            Transport::Unix(socket) => Self::from(socket.path()),
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => Self::from(grpc.targets()),
        }
    }
}

/// A transport and the policy: in a file, the keys of both are in one section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reach {
    #[serde(flatten)]
    pub(super) transport: Transport,
    #[serde(flatten)]
    pub(super) policy: CallPolicy,
}

impl Reach {
    /// As it is before anything is set.
    pub(super) fn unset() -> Self {
        let policy = CallPolicy(policy::Values::default());
        Self { transport: Transport::unset(), policy }
    }

    pub(super) fn over_a_socket(section: &mut Section<'_>) -> Self {
        let transport = Transport::Unix(UnixSocketConfig::read(section));
        let policy = CallPolicy::read(section);
        section.refuse_unknown(KEYS);
        Self { transport, policy }
    }

    #[cfg(feature = "grpc")]
    pub(super) fn over_grpc(section: &mut Section<'_>) -> Self {
        let transport = Transport::Grpc(GrpcConfig::read(section));
        let policy = CallPolicy::read(section);
        grpc::refuse_unknown(section);
        Self { transport, policy }
    }

    /// As an entry has it.
    pub(super) fn in_its_section<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut section = serializer.serialize_map(Some(1))?;
        section.serialize_entry(self.transport.key(), self)?;
        section.end()
    }
}

/// The `unix_socket` section of a plugin's entry: the socket, and how the plugin is called.
///
/// For an application whose own configuration file has just such a section. Valid as soon
/// as it exists.
///
/// ```
/// use hookwire::PluginConfig;
/// use hookwire::config::UnixSocketSection;
///
/// let section: UnixSocketSection =
///     serde_json::from_str(r#"{"path": "/run/guard.sock", "timeout": 5, "max_connections": 4}"#)?;
/// let guard = PluginConfig::builder("Guard").unix_socket_section(section).build()?;
/// assert_eq!(guard.policy().timeout().as_secs(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnixSocketSection(pub(super) Reach);

impl<'de> Deserialize<'de> for UnixSocketSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut problems = Problems::default();
        let keys = raw::read(deserializer, PREFIX, KEYS, &mut problems)?;
        let reach = Reach::over_a_socket(&mut Section::new(&keys, PREFIX, &mut problems));
        problems.unless_any(None, Some(Self(reach))).map_err(serde::de::Error::custom)
    }
}

/// The `grpc` section of a plugin's entry: the servers, and how the plugin is called. Feature
/// `grpc`.
///
/// For an application whose own configuration file has just such a section. Valid as soon
/// as it exists.
///
/// ```
/// use hookwire::PluginConfig;
/// use hookwire::config::GrpcSection;
///
/// let section: GrpcSection =
///     serde_json::from_str(r#"{"target": "guard.example:50051", "tls": {}, "timeout": 5}"#)?;
/// let guard = PluginConfig::builder("Guard").grpc_section(section).build()?;
/// assert_eq!(guard.policy().timeout().as_secs(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "grpc")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrpcSection(pub(super) Reach);

#[cfg(feature = "grpc")]
impl<'de> Deserialize<'de> for GrpcSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut problems = Problems::default();
        let keys = raw::read(deserializer, grpc::PREFIX, grpc::KEYS, &mut problems)?;
        let reach = Reach::over_grpc(&mut Section::new(&keys, grpc::PREFIX, &mut problems));
        problems.unless_any(None, Some(Self(reach))).map_err(serde::de::Error::custom)
    }
}
