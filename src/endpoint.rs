//! Where a plugin is, for errors and logs.

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Where a plugin is, for errors and logs. Cheap to clone.
///
/// `Display` shows control characters escaped.
///
/// ```
/// use hookwire::PluginConfig;
///
/// let guard = PluginConfig::builder("Guard").socket("/run/guard.sock").build()?;
/// assert_eq!(guard.endpoint().to_string(), "/run/guard.sock");
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Arc<Path>);

impl Endpoint {
    /// The path of the plugin's socket; `None` for a plugin that has none.
    pub fn path(&self) -> Option<&Path> {
        Some(&self.0)
    }
}

impl From<Arc<Path>> for Endpoint {
    fn from(path: Arc<Path>) -> Self {
        Self(path)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0.to_string_lossy()).fmt(f)
    }
}

/// Shows control characters as escapes: a name in a log must not steer a terminal.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char.is_control() {
            true => write!(f, "{}", char.escape_default()),
            false => f.write_char(char),
        })
    }
}
