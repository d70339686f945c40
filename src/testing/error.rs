//! Errors to order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::details::Details;
use super::{IN_MEMORY, cause};
use crate::error::{Cause, Errand, ErrorKind, PluginError, Sent, Stage};
use crate::model::PluginViolation;
use crate::server::HandlerError;

/// An error as a call of this plugin would fail with: the first
/// [reason](ErrorKind::reasons) of this kind, until another is chosen. For code that only
/// takes errors, such as the mapping to a status; where calls are made, a
/// [`Double`](super::Double) fails them for real.
///
/// ```
/// use std::time::Duration;
///
/// use hookwire::testing::error;
/// use hookwire::{ErrorKind, Sent, Stage};
///
/// let down = error("Guard", ErrorKind::Unavailable).retry_after(Duration::from_secs(3)).build();
/// assert_eq!(down.retry_after(), Some(Duration::from_secs(3)));
/// assert!(down.is_retryable());
///
/// let late = error("Guard", ErrorKind::Timeout).stage(Stage::InFlight).build();
/// assert_eq!(late.sent(), Sent::Maybe);
///
/// let refused = error("Guard", ErrorKind::Plugin).reason("denied").build();
/// assert!(refused.is_denial());
/// ```
pub fn error(plugin: impl Into<String>, kind: ErrorKind) -> ErrorBuilder {
    ErrorBuilder {
        plugin: plugin.into(),
        socket: IN_MEMORY.into(),
        kind,
        // Each kind has one.
        reason: kind.reasons().first().copied().unwrap_or_default(),
        sent: None,
        details: Details::default(),
    }
}

/// Describes a [`PluginError`]: see [`error`].
///
/// What is not set is as in a typical error of its reason. What no such error has, such as a
/// stage where no time ran out, [`build`](Self::build) does not take.
#[derive(Debug, Clone)]
#[must_use = "`build` makes the error"]
pub struct ErrorBuilder {
    plugin: String,
    socket: PathBuf,
    kind: ErrorKind,
    reason: &'static str,
    sent: Option<Sent>,
    details: Details,
}

impl ErrorBuilder {
    /// Another reason of its kind.
    ///
    /// # Panics
    /// If it is none of the kind's [reasons](ErrorKind::reasons).
    pub fn reason(mut self, reason: &str) -> Self {
        let reasons = self.kind.reasons();
        let known = reasons.iter().find(|known| **known == reason);
        self.reason = known.unwrap_or_else(|| {
            panic!("`{reason}` is no reason of `{}`, which has {reasons:?}", self.kind)
        });
        self
    }

    /// Where the plugin is. Default: nowhere, as a [`Double`](super::Double).
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = path.into();
        self
    }

    /// Whether the hook can have run. Default: no, where an error of its reason is usually
    /// found before anything is sent; else maybe.
    pub fn sent(mut self, sent: Sent) -> Self {
        self.sent = Some(sent);
        self
    }

    /// Where the call was when its time ran out. Default: in flight.
    pub fn stage(mut self, stage: Stage) -> Self {
        self.details.stage = Some(stage);
        self
    }

    /// The time that ran out. Default: 35 s, that of a plugin.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.details.timeout = Some(timeout);
        self
    }

    /// How long until a plugin that is down is tried again. Default: it is being tried.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.details.retry_after = Some(after);
        self
    }

    /// How many attempts to connect have failed. Default: 3.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.details.attempts = Some(attempts);
        self
    }

    /// The I/O error behind it. Of a timeout, why there was no connection; default there: none.
    pub fn io_error(mut self, error: io::Error) -> Self {
        self.details.io_error = Some(Arc::new(error));
        self
    }

    /// The plugin's own error, if that is what came back.
    ///
    /// ```
    /// use hookwire::ErrorKind;
    /// use hookwire::server::HandlerError;
    /// use hookwire::testing::error;
    ///
    /// let fault = HandlerError::new("out of disk").with_code("E28");
    /// let error = error("Guard", ErrorKind::Plugin).fault(fault).build();
    /// assert_eq!(error.plugin_fault().unwrap().code, "E28");
    /// ```
    pub fn fault(mut self, fault: HandlerError) -> Self {
        self.details.fault = Some(fault);
        self
    }

    /// Why the plugin denied, beside its error: of the reason `denied`.
    pub fn violation(mut self, violation: PluginViolation) -> Self {
        self.details.violation = Some(violation);
        self
    }

    /// The error.
    ///
    /// # Panics
    /// If something was set that no error of this reason has.
    #[must_use]
    pub fn build(self) -> PluginError {
        let Self { plugin, socket, kind, reason, sent, mut details } = self;
        let cause = cause::of(reason, &plugin, &mut details);
        if let Some(left_over) = details.first() {
            panic!("no error with the reason `{reason}` has `{left_over}`");
        }
        let sent = sent.unwrap_or_else(|| usually(kind, &cause));
        assert!(
            is_possible(kind, reason, sent),
            "no error with the reason `{reason}` has {sent:?}"
        );
        let socket: Arc<std::path::Path> = socket.into();
        PluginError::new(plugin.into(), socket, Errand::Hook, (sent, cause))
    }
}

/// Whether such an error usually comes of a call that was sent.
fn usually(kind: ErrorKind, cause: &Cause) -> Sent {
    match kind {
        ErrorKind::Config
        | ErrorKind::Disabled
        | ErrorKind::InvalidRequest
        | ErrorKind::Overloaded
        | ErrorKind::Unavailable
        | ErrorKind::Closed => Sent::No,
        ErrorKind::Timeout if !matches!(cause, Cause::Timeout { stage: Stage::InFlight, .. }) => {
            Sent::No
        }
        _ => Sent::Maybe,
    }
}

/// A call that is refused before anything is tried was not sent, and one with a reply was.
/// The others may have been sent before, with a connection that was lost.
fn is_possible(kind: ErrorKind, reason: &str, sent: Sent) -> bool {
    match kind {
        ErrorKind::Config | ErrorKind::Disabled | ErrorKind::InvalidRequest => sent == Sent::No,
        ErrorKind::Unavailable if reason == "unchecked" => sent == Sent::No,
        ErrorKind::BadReply | ErrorKind::Plugin => sent == Sent::Maybe,
        _ => true,
    }
}
