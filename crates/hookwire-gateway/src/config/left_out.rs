//! The entries that are no plugins which are called here.

use std::fmt;

use hookwire::config::PluginMode;
use hookwire::model::Object;

use super::problem::{GatewayConfigError, escaped};

/// A plugin of the gateway's file that is not reached over a Unix socket, or over gRPC (feature
/// `grpc`): the gateway has to run
/// it in another way, or it does not run. One whose [`mode`](Self::mode) can deny, and that nobody
/// runs, is a guard that does not guard.
///
/// `Display` and `Debug` have no value that a template brought in.
///
/// ```
/// use hookwire::config::PluginMode;
/// use hookwire_gateway::{GatewayConfig, ReachedBy};
///
/// let config = GatewayConfig::from_str("
/// plugins:
///   - {name: Filter, kind: my_gateway.plugins.Filter, mode: audit, config: {words: [foo]}}
///   - {name: Remote, kind: external, mcp: {proto: STREAMABLEHTTP, url: 'http://10.0.0.1/mcp'}}
/// ")?;
/// let [filter, remote] = config.left_out() else { panic!() };
/// assert_eq!((filter.name(), filter.kind()), ("Filter", "my_gateway.plugins.Filter"));
/// assert_eq!((filter.reached_by(), remote.reached_by()), (ReachedBy::InProcess, ReachedBy::Mcp));
/// assert_eq!((filter.mode(), remote.mode()), (PluginMode::Audit, PluginMode::Sequential));
/// assert_eq!(filter.entry().unwrap()["config"]["words"][0], "foo");
/// assert_eq!(remote.to_string(), "plugin `Remote` (kind `external`, line 4) is reached over MCP");
/// # Ok::<(), hookwire_gateway::GatewayConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub(super) name: String,
    pub(super) kind: String,
    /// The name, if the file has it.
    pub(super) shown_name: Option<String>,
    pub(super) shows_kind: bool,
    pub(super) reached_by: ReachedBy,
    pub(super) mode: PluginMode,
    pub(super) hooks: Vec<String>,
    /// Which of the entries it is, from 1.
    pub(super) number: usize,
    pub(super) line: Option<usize>,
    pub(super) entry: Result<Object, GatewayConfigError>,
}

/// How a plugin is reached that is not behind a Unix socket. See [`LeftOut`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReachedBy {
    /// Its kind is a class that the reference's gateway loads into its own process.
    InProcess,
    /// Over MCP: HTTP, or a process's standard input and output.
    Mcp,
    /// Over gRPC; with the feature `grpc` such a plugin is called like one behind a socket.
    Grpc,
}

impl LeftOut {
    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind, such as a class or `external`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// How it is reached instead.
    #[must_use]
    pub fn reached_by(&self) -> ReachedBy {
        self.reached_by
    }

    /// How it is to be run: [`Disabled`](PluginMode::Disabled) ones need nobody.
    #[must_use]
    pub fn mode(&self) -> PluginMode {
        self.mode
    }

    /// Its hooks, as the entry has them.
    #[must_use]
    pub fn hooks(&self) -> &[String] {
        &self.hooks
    }

    /// The whole entry, its templates rendered and its merge keys resolved, for who runs the
    /// plugin.
    ///
    /// # Errors
    /// What in it cannot be read: a template that cannot be rendered, as of a variable that is
    /// not set, or what JSON cannot say. Only the entries of plugins behind Unix sockets are
    /// refused for that when the file is read.
    pub fn entry(&self) -> Result<&Object, &GatewayConfigError> {
        self.entry.as_ref()
    }

    fn shown_kind(&self) -> &str {
        if self.shows_kind { &self.kind } else { "(from a template)" }
    }

    /// Where its entry begins, from 1. `None` as of [`ConfigProblem::line`].
    ///
    /// [`ConfigProblem::line`]: super::ConfigProblem::line
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown_name {
            Some(name) => write!(f, "plugin `{}`", escaped(name))?,
            None => write!(f, "entry {} of `plugins`", self.number)?,
        }
        write!(f, " (kind `{}`", escaped(self.shown_kind()))?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        f.write_str(match self.reached_by {
            ReachedBy::InProcess => ") is for the gateway's own process",
            ReachedBy::Mcp => ") is reached over MCP",
            ReachedBy::Grpc => ") is reached over gRPC",
        })
    }
}

impl fmt::Debug for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeftOut")
            .field("name", &self.shown_name.as_deref().unwrap_or("(from a template)"))
            .field("kind", &self.shown_kind())
            .field("reached_by", &self.reached_by)
            .field("mode", &self.mode)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}
