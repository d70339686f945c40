//! The families of failures.

use std::fmt;

/// The family of a failure: what a caller decides by.
///
/// [`PluginError::reason`](crate::PluginError::reason) is a finer word for the same
/// failure; each reason belongs to one kind ([`reasons`](Self::reasons)).
///
/// A gateway that answers over HTTP may map them so:
///
/// ```
/// use hookwire::ErrorKind;
///
/// fn status(kind: ErrorKind) -> u16 {
///     match kind {
///         // The gateway itself is set up wrongly, or calls what it should leave out.
///         ErrorKind::Config | ErrorKind::Disabled => 500,
///         // The client's request does not fit into the protocol.
///         ErrorKind::InvalidRequest => 422,
///         // It may work later; `PluginError::retry_after` may tell when.
///         ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Closed => 503,
///         ErrorKind::Timeout => 504,
///         // The plugin, or the way to it: `Disconnected`, `BadReply`, `Plugin`.
///         _ => 502,
///     }
/// }
/// assert_eq!(status(ErrorKind::Timeout), 504);
/// assert_eq!(status(ErrorKind::Plugin), 502);
///
/// // Metrics that start at 0 for each reason:
/// let reasons = ErrorKind::ALL.iter().flat_map(|kind| kind.reasons());
/// assert!(reasons.clone().any(|reason| *reason == "retry_budget_spent"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The plugin cannot be used as it is configured: its name differs on the server, the
    /// server is weaker than a strict entry allows, no hook is named, the hook type is not
    /// registered, the handle has a connector and the plugin no socket, or the server does not
    /// know the method that was called.
    Config,
    /// The plugin is disabled, here or on its server, and not to be called: the gateway leaves
    /// it out, which is no failure.
    Disabled,
    /// The payload or the context cannot be encoded, or is larger than `max_frame_len`
    /// (over gRPC, `max_message_len`).
    InvalidRequest,
    /// All slots for calls are taken, and too many calls wait for one already, or the
    /// caller chose not to wait.
    Overloaded,
    /// The plugin is down: it cannot be reached, is not trusted, or does not answer. Or its
    /// entry is strict, and its server has not told its own yet.
    Unavailable,
    /// The connection was lost while the call was on its way.
    Disconnected,
    /// The deadline passed.
    Timeout,
    /// The reply breaks the protocol, belongs to another request or cannot be proven not
    /// to, or does not deserialise into the type that was asked for.
    BadReply,
    /// The plugin answered with an error of its own, beside which it may have
    /// [denied](crate::PluginError::is_denial) the request.
    Plugin,
    /// The handle was shut down, or the runtime that drives its connections is gone.
    Closed,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Config,
        Self::Disabled,
        Self::InvalidRequest,
        Self::Overloaded,
        Self::Unavailable,
        Self::Disconnected,
        Self::Timeout,
        Self::BadReply,
        Self::Plugin,
        Self::Closed,
    ];

    /// The stable snake_case word of this kind, for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Disabled => "disabled",
            Self::InvalidRequest => "invalid_request",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Disconnected => "disconnected",
            Self::Timeout => "timeout",
            Self::BadReply => "bad_reply",
            Self::Plugin => "plugin",
            Self::Closed => "closed",
        }
    }

    /// All that [`PluginError::reason`](crate::PluginError::reason) may be for this kind.
    #[must_use]
    pub fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::Config => &[
                "name_mismatch",
                "weaker_server",
                "no_hooks",
                "unregistered_hook",
                "connector_over_grpc",
                "unimplemented",
            ],
            Self::Disabled => &["disabled"],
            Self::InvalidRequest => &["invalid_request", "request_too_large"],
            Self::Overloaded => &["overloaded"],
            Self::Unavailable => &["unavailable", "unresponsive", "untrusted", "unchecked"],
            Self::Disconnected => &["disconnected", "closed_after_fault", "retry_budget_spent"],
            Self::Timeout => &["timeout"],
            Self::BadReply => {
                &["framing", "mismatch", "unproven", "undecodable", "wrong_type", "empty_reply"]
            }
            Self::Plugin => &["plugin_error", "denied"],
            Self::Closed => &["shutdown", "task_gone"],
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
