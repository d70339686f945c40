//! What a plugin is reached over.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

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
}

impl From<&Transport> for Endpoint {
    fn from(Transport::Unix(socket): &Transport) -> Self {
        Self::from(Arc::<Path>::from(socket.path()))
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
pub struct UnixSocketSection {
    #[serde(flatten)]
    pub(super) transport: Transport,
    #[serde(flatten)]
    pub(super) policy: CallPolicy,
}

impl UnixSocketSection {
    /// As it is before anything is set.
    pub(super) fn unset() -> Self {
        let transport = Transport::Unix(UnixSocketConfig(unix_socket::Values::default()));
        Self { transport, policy: CallPolicy(policy::Values::default()) }
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let transport = Transport::Unix(UnixSocketConfig::read(section));
        let policy = CallPolicy::read(section);
        for (key, nearest) in section.unknown(KEYS) {
            let meant = nearest.map(|known| format!(", did you mean `{known}`?"));
            section.refuse_key(key, format!("unknown key{}", meant.unwrap_or_default()));
        }
        Self { transport, policy }
    }
}

impl<'de> Deserialize<'de> for UnixSocketSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut problems = Problems::default();
        let keys = raw::read(deserializer, PREFIX, KEYS, &mut problems)?;
        let section = Self::read(&mut Section::new(&keys, PREFIX, &mut problems));
        problems.unless_any(None, Some(section)).map_err(serde::de::Error::custom)
    }
}
