//! Where a plugin's server is reached.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a plugin's server is reached. Cheap to clone.
///
/// `Display` shows it as it is configured, control characters escaped: it may be printed
/// and logged.
///
/// ```
/// # fn look(error: hookwire::PluginError) {
/// use hookwire::Endpoint;
///
/// match error.endpoint() {
///     Endpoint::Unix(path) => println!("look at {}", path.display()),
///     other => println!("look at {other}"),
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The path of a Unix domain socket.
    Unix(Arc<Path>),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unix(path) = self;
        for part in path.to_string_lossy().split_inclusive(char::is_control) {
            let printable = part.strip_suffix(char::is_control).unwrap_or(part);
            write!(f, "{printable}{}", part[printable.len()..].escape_default())?;
        }
        Ok(())
    }
}

impl From<Arc<Path>> for Endpoint {
    fn from(path: Arc<Path>) -> Self {
        Self::Unix(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_path_are_shown_escaped() {
        let shown = |path: &str| Endpoint::from(Arc::from(Path::new(path))).to_string();
        assert_eq!(shown("/run/plugins/wächter.sock"), "/run/plugins/wächter.sock");
        assert_eq!(shown("/run/a\nb\u{1b}[2J"), "/run/a\\nb\\u{1b}[2J");
        assert_eq!(shown("\n"), "\\n");
    }
}
