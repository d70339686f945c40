//! What a single call may do differently from its plugin's configuration.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::RetryPolicy;

/// What a call does when all slots for calls are taken.
///
/// There are `max_connections * max_in_flight` slots; `queue_capacity` calls may wait for
/// one.
///
/// ```
/// use hookwire::{CallOptions, Overload};
///
/// let options = CallOptions::new().overload(Overload::Refuse);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overload {
    /// Wait for a slot, until the call's deadline.
    #[default]
    Wait,
    /// Fail at once with [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded).
    Refuse,
}

/// Overrides for the calls of one handle; see [`PluginHandle::with`](crate::PluginHandle::with).
/// What is not set is as the plugin is configured.
///
/// ```
/// use std::time::Duration;
/// use hookwire::{CallOptions, RetryPolicy};
///
/// let options = CallOptions::new()
///     .timeout(Duration::from_millis(250))
///     .retry(RetryPolicy::Resend);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) overload: Overload,
}

impl CallOptions {
    /// No overrides.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The time for the whole call: waiting for a slot, connecting, writing and
    /// waiting for the reply. Default: `timeout` of the plugin. At most a year.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(Duration::from_secs(86_400 * 365)));
        self
    }

    /// A point in time by which the call ends too, if its `timeout` is not over before: for
    /// calls that share the time of one request. Default: none.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Whether the call may be sent again although the hook may have run.
    /// Default: `retry` of the plugin.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// What to do when all slots are taken. Default: [`Overload::Wait`].
    #[must_use]
    pub fn overload(mut self, overload: Overload) -> Self {
        self.overload = overload;
        self
    }
}
