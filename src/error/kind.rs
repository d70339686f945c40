//! The families of failures.

use std::fmt;

/// The family of a failure, for metrics and `match`.
///
/// A gateway that answers over HTTP may map them so:
///
/// ```
/// use hookwire::ErrorKind;
///
/// fn status(kind: ErrorKind) -> u16 {
///     match kind {
///         // The gateway itself is set up wrongly.
///         ErrorKind::NameMismatch | ErrorKind::NoHooks | ErrorKind::UnregisteredHook => 500,
///         // The caller's request cannot be said, or is too large.
///         ErrorKind::InvalidRequest => 422,
///         ErrorKind::RequestTooLarge => 413,
///         // Later it may work; `PluginError::retry_after` may say when.
///         ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Shutdown => 503,
///         ErrorKind::Timeout => 504,
///         // The plugin, or the way to it: `Untrusted`, `Disconnected`, `Mismatch`, ...
///         _ => 502,
///     }
/// }
/// assert_eq!(status(ErrorKind::Timeout), 504);
/// assert_eq!(status(ErrorKind::Plugin), 502);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server knows the plugin under another spelling only.
    NameMismatch,
    /// Neither the local nor the remote configuration names a hook.
    NoHooks,
    /// The hook type is not in the registry.
    UnregisteredHook,
    /// The payload or the context cannot be said on the wire.
    InvalidRequest,
    /// The encoded request is above `max_frame_len`.
    RequestTooLarge,
    /// All places for calls are taken, and too many calls wait for one already, or the
    /// caller chose not to wait.
    Overloaded,
    /// The plugin is down: it cannot be reached, or does not answer.
    Unavailable,
    /// The other side of the socket is not the one that the configuration trusts.
    Untrusted,
    /// The connection was lost while the call was on its way.
    Disconnected,
    /// The deadline passed.
    Timeout,
    /// The handle was shut down.
    Shutdown,
    /// The server broke the framing rules.
    Framing,
    /// The reply belongs to another request, or cannot be proven not to.
    Mismatch,
    /// The reply could not be understood.
    Undecodable,
    /// The reply holds neither a result nor an error.
    EmptyReply,
    /// The plugin answered with an error of its own.
    Plugin,
    /// The task that owns the connection is gone (its runtime was dropped).
    TaskGone,
}

impl ErrorKind {
    /// The stable snake_case name used in logs, metrics and the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameMismatch => "name_mismatch",
            Self::NoHooks => "no_hooks",
            Self::UnregisteredHook => "unregistered_hook",
            Self::InvalidRequest => "invalid_request",
            Self::RequestTooLarge => "request_too_large",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Untrusted => "untrusted",
            Self::Disconnected => "disconnected",
            Self::Timeout => "timeout",
            Self::Shutdown => "shutdown",
            Self::Framing => "framing",
            Self::Mismatch => "mismatch",
            Self::Undecodable => "undecodable",
            Self::EmptyReply => "empty_reply",
            Self::Plugin => "plugin_error",
            Self::TaskGone => "task_gone",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
