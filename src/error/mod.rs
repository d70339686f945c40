//! Every way a call can fail, told to a person.
//!
//! A [`PluginError`] names the plugin and its socket, says what happened, and
//! answers the one question that decides what the caller may do next: was the
//! request sent? [`Sent::No`] is a promise (none of its bytes reached the
//! kernel, the hook did not run); [`Sent::Maybe`] means the hook may have run.
//!
//! Causes carry no payload and no secret, with two exceptions that are not ours to
//! mend, because the words are others': a plugin's own message
//! ([`PluginFault::message`], and so the `Display` of [`Cause::Plugin`]), for the
//! reference server quotes parts of a payload that it refuses; and what the caller's
//! types say when their `Serialize` or `Deserialize` gives up ([`TypeMessage`]).
//! `Display` passes both on, `Debug` shows their size only.

use std::{fmt, path::Path, sync::Arc, time::Duration};

mod cause;
mod fault;
mod kind;

pub use cause::{Cause, Stage};
pub use fault::PluginFault;
pub use kind::ErrorKind;

/// Whether the plugin can have seen a failed request.
///
/// Exhaustive on purpose: whether a hook may run again is decided by it, and a third
/// answer would be one that no caller is prepared for.
///
/// ```
/// use hookwire::{PluginError, Sent};
///
/// fn advice(error: &PluginError) -> &'static str {
///     match error.was_sent() {
///         Sent::No => "the hook did not run; calling again cannot run it twice",
///         Sent::Unstarted => "a server that works in order did not run the hook",
///         Sent::Maybe => "the hook may have run; look before you call again",
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sent {
    /// No byte of the request was handed to the kernel: the hook did not run.
    No,
    /// It was written behind a call that the server had not answered when the connection
    /// ended. A server that works in order, and gives up a connection that it cannot write
    /// to, has not begun the hook and never will. The reference is such a server.
    Unstarted,
    /// At least a part was handed over: the hook may have run, or may still run.
    Maybe,
}

/// A failed call: which plugin, which socket, what happened, and whether it was sent.
///
/// ```
/// # fn look(error: hookwire::PluginError) {
/// use hookwire::{ErrorKind, Sent};
///
/// if error.kind() == ErrorKind::Timeout && error.was_sent() == Sent::No {
///     // The hook certainly did not run: calling again cannot run it twice.
/// }
/// eprintln!("{error}");
/// # }
/// ```
#[derive(Clone)]
pub struct PluginError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    plugin: Arc<str>,
    socket: Arc<Path>,
    errand: Errand,
    sent: Sent,
    cause: Cause,
}

/// What the server was wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To run a hook.
    Hook,
    /// To connect, or to be asked about its plugins: no hook is involved.
    Question,
}

impl PluginError {
    pub(crate) fn new(
        plugin: Arc<str>,
        socket: Arc<Path>,
        errand: Errand,
        (sent, cause): (Sent, Cause),
    ) -> Self {
        Self(Box::new(Inner { plugin, socket, errand, sent, cause }))
    }

    /// The plugin that was called.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.0.plugin
    }

    /// The socket of that plugin.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// What happened.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The family of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.cause.kind()
    }

    /// How long until a plugin that is down is tried again, as of when this error was
    /// made. `None` for other errors, and while it is being tried.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.cause {
            Cause::Unavailable { retry_after, .. }
            | Cause::Untrusted { retry_after, .. }
            | Cause::Unresponsive { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// Whether the server can have seen the request. Of a failed question (connecting,
    /// `plugin_config`, `plugin_configs`) it matters little: no hook runs for one.
    #[must_use]
    pub fn was_sent(&self) -> Sent {
        self.0.sent
    }

    /// True if the deadline passed, wherever the call was.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// True if the same call may succeed later **and** cannot run the hook twice:
    /// it was not sent, and what stopped it is not the request itself.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.sent == Sent::No
            && matches!(
                self.kind(),
                ErrorKind::Overloaded
                    | ErrorKind::Unavailable
                    | ErrorKind::Untrusted
                    | ErrorKind::Disconnected
                    | ErrorKind::Timeout
            )
    }

    /// The plugin's own error, if that is what came back.
    #[must_use]
    pub fn plugin_fault(&self) -> Option<&PluginFault> {
        match &self.0.cause {
            Cause::Plugin(fault) => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { plugin, socket, errand, sent, cause } = &*self.0;
        write!(f, "plugin `{plugin}` at {}: {cause}", socket.display())?;
        match (errand, sent, cause) {
            // There is no hook that anybody could wonder about.
            (Errand::Question, ..) => Ok(()),
            // The reply is there: everybody knows that the request was sent.
            (Errand::Hook, _, Cause::Plugin(_)) => Ok(()),
            (Errand::Hook, Sent::No, _) => f.write_str(" [not sent: the hook did not run]"),
            (Errand::Hook, Sent::Unstarted, _) => f.write_str(
                " [sent behind another call: a server that works in order did not begin the hook]",
            ),
            (Errand::Hook, Sent::Maybe, _) => f.write_str(" [sent: the hook may have run]"),
        }
    }
}

impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginError")
            .field("plugin", &self.0.plugin)
            .field("socket", &self.0.socket)
            .field("sent", &self.0.sent)
            .field("cause", &self.0.cause)
            .finish()
    }
}

/// Without a source: [`cause`](PluginError::cause) has what is behind it, and `Display`
/// says it already.
impl std::error::Error for PluginError {}
