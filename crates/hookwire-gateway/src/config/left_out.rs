//! The entries that are no plugins behind Unix sockets.

use std::fmt;

use super::problem::escaped;

/// A plugin of the gateway's file that is not reached over a Unix socket: the gateway has to run
/// it in another way, or it does not run.
///
/// ```
/// use hookwire_gateway::{GatewayConfig, ReachedBy};
///
/// let config = GatewayConfig::from_str("
/// plugins:
///   - {name: Filter, kind: my_gateway.plugins.Filter}
///   - {name: Remote, kind: external, mcp: {proto: STREAMABLEHTTP, url: 'http://10.0.0.1/mcp'}}
/// ")?;
/// let [filter, remote] = config.left_out() else { panic!() };
/// assert_eq!((filter.name(), filter.kind()), ("Filter", "my_gateway.plugins.Filter"));
/// assert_eq!((filter.reached_by(), remote.reached_by()), (ReachedBy::InProcess, ReachedBy::Mcp));
/// assert_eq!(remote.to_string(), "plugin `Remote` (kind `external`, line 4) is reached over MCP");
/// # Ok::<(), hookwire_gateway::GatewayConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) reached_by: ReachedBy,
    pub(super) line: Option<usize>,
}

/// How a plugin is reached that is not behind a Unix socket. See [`LeftOut`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReachedBy {
    /// Its kind is a class that the reference's gateway loads into its own process.
    InProcess,
    /// Over MCP: HTTP, or a process's standard input and output.
    Mcp,
    /// Over gRPC.
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
        write!(f, "plugin `{}` (kind `{}`", escaped(&self.name), escaped(&self.kind))?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        f.write_str(match self.reached_by {
            ReachedBy::InProcess => ") runs in the gateway's process",
            ReachedBy::Mcp => ") is reached over MCP",
            ReachedBy::Grpc => ") is reached over gRPC",
        })
    }
}
