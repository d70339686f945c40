//! Every way a call can fail, told to a person.
//!
//! A [`PluginError`] names the plugin and its endpoint, tells what happened, and answers
//! the one question that decides what the caller may do next: can the hook have run?
//!
//! Errors carry no payload and no secret, with two exceptions whose words are not ours: a
//! plugin's own message ([`PluginFault::message`]), for the reference server quotes parts
//! of a payload that it refuses; and the words of the caller's types when their
//! `Serialize` or `Deserialize` gives up. `Display` passes both on, `Debug` shows their
//! size only, and [`PluginError::public_message`] has neither.

use std::{fmt, io, sync::Arc, time::Duration};

use crate::endpoint::Endpoint;

mod cause;
mod kind;
mod phrases;
mod sent;
mod stage;

pub use crate::model::PluginFault;
pub(crate) use cause::Cause;
pub use kind::ErrorKind;
#[cfg(feature = "grpc")]
pub(crate) use phrases::Ended;
pub(crate) use phrases::Slots;
pub use sent::Sent;
pub use stage::Stage;

/// A failed call: which plugin, where, what happened, and whether it was sent.
///
/// `Display` also tells when a plugin that is down is tried again; `{error:#}` leaves that
/// out, for programs that end with the error.
///
/// ```
/// # fn look(error: hookwire::PluginError) {
/// use hookwire::{ErrorKind, Sent};
///
/// if error.kind() == ErrorKind::Timeout && error.sent() == Sent::No {
///     // The hook certainly did not run: calling again cannot run it twice.
/// }
/// // For the operator: all of it. For the gateway's client: nothing of the inside.
/// eprintln!("{error}");
/// println!("{}", error.public_message());
/// # }
/// ```
#[derive(Clone)]
pub struct PluginError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    plugin: Arc<str>,
    endpoint: Endpoint,
    errand: Errand,
    sent: Sent,
    cause: Cause,
}

/// What the server was wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To run a hook.
    Hook,
    /// To connect, or to be asked about the plugin: no hook is involved.
    Question,
    /// To be asked about all its plugins.
    Server,
    /// To connect a handle that is not made unless that succeeds.
    Start,
}

impl PluginError {
    pub(crate) fn new(
        plugin: Arc<str>,
        endpoint: impl Into<Endpoint>,
        errand: Errand,
        (sent, cause): (Sent, Cause),
    ) -> Self {
        Self(Box::new(Inner { plugin, endpoint: endpoint.into(), errand, sent, cause }))
    }

    /// The plugin that was called.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.0.plugin
    }

    /// Where that plugin is reached.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    #[cfg(test)]
    pub(crate) fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The family of the failure: what a caller decides by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.cause.kind()
    }

    /// A finer, stable snake_case word for the failure, for metrics and logs, such as
    /// `unresponsive`. [`ErrorKind::reasons`] lists all of a kind.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.cause.reason()
    }

    /// A sentence for the gateway's own client. It is one of a few constant texts: no
    /// plugin's name, no path, no part of a payload, and no words of the plugin.
    ///
    /// `Display` has everything, for the operator.
    #[must_use]
    pub fn public_message(&self) -> &'static str {
        self.0.cause.public_message()
    }

    /// Whether the hook can have run. Of a failed question (connecting, `plugin_config`,
    /// `plugin_configs`) it matters little: no hook runs for one.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.0.sent
    }

    /// True if the deadline passed, wherever the call was.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// True if the plugin denied the request all the same: its error came beside (half of) a
    /// verdict that denies. A gateway that lets requests pass where a plugin fails
    /// (`on_error: ignore`) must not let this one pass.
    ///
    /// [`enforce`](crate::PluginHandle::enforce) makes it a
    /// [`Denied`](crate::Stopped::Denied).
    ///
    /// ```
    /// use hookwire::PluginError;
    ///
    /// /// What `on_error: ignore` may let pass.
    /// fn may_be_ignored(error: &PluginError) -> bool {
    ///     !error.is_denial()
    /// }
    /// ```
    #[must_use]
    pub fn is_denial(&self) -> bool {
        self.plugin_fault().is_some_and(PluginFault::is_denial)
    }

    /// True if the same call may succeed later **and** cannot run the hook twice: it was
    /// not sent, and its cause is not the request itself.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.sent == Sent::No
            && matches!(
                self.kind(),
                ErrorKind::Overloaded
                    | ErrorKind::Unavailable
                    | ErrorKind::Disconnected
                    | ErrorKind::Timeout
            )
    }

    /// How long until a plugin that is down is tried again, as of when this error was
    /// made. `None` for other errors, while it is being tried, and where nobody tries it:
    /// [`connect`](crate::PluginHandle::connect) leaves no handle behind that would.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.cause.retry_after()?.filter(|_| self.is_tried_again())
    }

    /// Whether a handle is there that tries a plugin again which is down.
    fn is_tried_again(&self) -> bool {
        // A server that was asked and refuses is no plugin that is down. One that went down after the
        // call was sent is, and then it is known when it is tried.
        let is_down = self.0.sent == Sent::No || self.0.cause.retry_after().flatten().is_some();
        self.0.errand != Errand::Start && is_down
    }

    /// The same, where its handle is given up.
    pub(crate) fn given_up(mut self) -> Self {
        self.0.errand = Errand::Start;
        self
    }

    /// How many attempts to connect have failed in a row, if that is why the plugin is
    /// [unavailable](ErrorKind::Unavailable).
    #[must_use]
    pub fn attempts(&self) -> Option<u32> {
        match self.0.cause {
            Cause::Unavailable { attempts, .. } | Cause::Untrusted { attempts, .. } => {
                Some(attempts)
            }
            _ => None,
        }
    }

    /// Where the call was when its deadline passed; `None` if it did not pass.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self.0.cause {
            Cause::Timeout { stage, .. } => Some(stage),
            _ => None,
        }
    }

    /// The timeout that the call had; `None` if it did not run out.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        match self.0.cause {
            Cause::Timeout { timeout, .. } => Some(timeout),
            _ => None,
        }
    }

    /// The I/O error behind the failure, if there is one: of the last attempt to connect,
    /// or of the connection that was lost. `Display` includes its text.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        self.0.cause.io_error()
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
        let Inner { plugin, endpoint, errand, sent, cause } = &*self.0;
        match errand {
            Errand::Server => write!(f, "the server at {endpoint}: {cause}")?,
            _ => write!(f, "plugin `{plugin}` at {endpoint}: {cause}")?,
        }
        if let Some(next) = cause.next().filter(|_| self.is_tried_again() && !f.alternate()) {
            write!(f, "; {next}")?;
        }
        match (errand, sent, cause) {
            // No hook was involved.
            (Errand::Question | Errand::Server | Errand::Start, ..) => Ok(()),
            // With a reply, nobody wonders whether the request was sent.
            (Errand::Hook, _, Cause::Plugin(_)) => Ok(()),
            (Errand::Hook, Sent::No, _) => f.write_str(" [not sent: the hook did not run]"),
            (Errand::Hook, Sent::Unstarted, _) if endpoint.is_grpc() => {
                f.write_str(" [sent, and passed over by a server that stops: the hook did not run]")
            }
            (Errand::Hook, Sent::Unstarted, _) => f.write_str(
                " [sent behind an unanswered call: a server that works in order has not begun it]",
            ),
            (Errand::Hook, Sent::Maybe, _) => f.write_str(" [sent: the hook may have run]"),
        }
    }
}

impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginError")
            .field("plugin", &self.0.plugin)
            .field("endpoint", &self.0.endpoint)
            .field("sent", &self.0.sent)
            .field("cause", &self.0.cause)
            .finish()
    }
}

/// Without a source: `Display` is complete, so a log that prints the chain would repeat it.
impl std::error::Error for PluginError {}

#[cfg(test)]
mod tests;
