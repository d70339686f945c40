//! Where a plugin is, for errors and logs.

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "grpc")]
use crate::grpc::target::Target;

/// Where a plugin is, for errors and logs. Cheap to clone.
///
/// `Display` shows control characters escaped. Of a plugin that is reached over gRPC it names
/// the targets, of many the first ones.
///
/// ```
/// use hookwire::PluginConfig;
///
/// let guard = PluginConfig::builder("Guard").socket("/run/guard.sock").build()?;
/// assert_eq!(guard.endpoint().to_string(), "/run/guard.sock");
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Socket(Arc<Path>),
    #[cfg(feature = "grpc")]
    Targets(Arc<[Target]>),
}

/// So many targets are named.
#[cfg(feature = "grpc")]
const NAMED: usize = 3;

impl Endpoint {
    /// Whether gRPC is spoken there.
    pub(crate) fn is_grpc(&self) -> bool {
        !matches!(self.0, Place::Socket(_))
    }

    /// The path of the plugin's socket, over which it may speak gRPC; `None` for a plugin that
    /// has none.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Socket(path) => Some(path),
            #[cfg(feature = "grpc")]
            Place::Targets(targets) => match &targets[..] {
                [Target::Unix(path)] => Some(path),
                _ => None,
            },
        }
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self(Place::Socket(path.into()))
    }
}

impl From<Arc<Path>> for Endpoint {
    fn from(path: Arc<Path>) -> Self {
        Self(Place::Socket(path))
    }
}

#[cfg(feature = "grpc")]
impl From<&[Target]> for Endpoint {
    fn from(targets: &[Target]) -> Self {
        Self(Place::Targets(targets.into()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Socket(path) => Escaped(&path.to_string_lossy()).fmt(f),
            #[cfg(feature = "grpc")]
            Place::Targets(targets) => {
                for (at, target) in targets.iter().take(NAMED).enumerate() {
                    let before = if at == 0 { "" } else { ", " };
                    write!(f, "{before}{}", Escaped(&target.to_string()))?;
                }
                match targets.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

/// Shows control characters as escapes: a name in a log must not steer a terminal.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(char::is_control) {
            return f.write_str(self.0);
        }
        self.0.chars().try_for_each(|char| match char.is_control() {
            true => write!(f, "{}", char.escape_default()),
            false => f.write_char(char),
        })
    }
}
