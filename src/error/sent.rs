//! Whether the plugin can have seen a failed request.

use std::fmt;

/// Whether the hook of a failed call can have run.
///
/// Exhaustive on purpose: it decides whether a call may be made again, and a caller should
/// be told by the compiler about an answer that it is not prepared for.
///
/// ```
/// use hookwire::{PluginError, Sent};
///
/// fn advice(error: &PluginError) -> &'static str {
///     match error.sent() {
///         Sent::No => "the hook did not run; calling again cannot run it twice",
///         Sent::Unstarted => "safe to call again if the server works in order",
///         Sent::Maybe => "the hook may have run; look before you call again",
///     }
/// }
/// assert_eq!(Sent::Unstarted.to_string(), "unstarted");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sent {
    /// No byte of the request was handed to the kernel: the hook did not run.
    No,
    /// The request was written behind a call that the server had not answered when the
    /// connection ended. A server that works in order, and gives up a connection that it
    /// cannot write to, has not begun the hook and never will. The reference is such a
    /// server; one that works on several calls of a connection at a time is not.
    ///
    /// Over gRPC: the server stops, and has said in the way of HTTP/2 (GOAWAY) that it will not
    /// come to this call. Such a call is sent again by itself, and fails only where that happens
    /// to it over and over.
    Unstarted,
    /// The hook may have run, or may still run.
    Maybe,
}

impl Sent {
    /// The stable word used in logs, metrics and the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unstarted => "unstarted",
            Self::Maybe => "maybe",
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
