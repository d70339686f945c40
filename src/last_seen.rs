//! When a plugin was last reached, and how the last call of it failed: for health pages.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{ErrorKind, PluginError};

/// Written by callers. A success writes one atomic; a failure never waits for the lock.
#[derive(Debug)]
pub(crate) struct LastSeen {
    started: Instant,
    /// Microseconds after `started`, and one; 0 is never.
    success: AtomicU64,
    failure: Mutex<Option<(Instant, Failure)>>,
}

/// Constant texts only, so that nothing of a request is kept.
#[derive(Debug, Clone, Copy)]
struct Failure {
    kind: ErrorKind,
    reason: &'static str,
    message: &'static str,
}

/// How the last call that failed did so. It holds nothing of a request, no path and no words
/// of the plugin, so that it may be shown to anybody.
///
/// ```
/// # fn look(guard: &hookwire::PluginHandle) {
/// if let Some(failure) = guard.last_failure() {
///     println!("{:?} ago: {} ({})", failure.ago, failure.message, failure.reason);
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastFailure {
    /// How long ago.
    pub ago: Duration,
    /// As [`PluginError::kind`].
    pub kind: ErrorKind,
    /// As [`PluginError::reason`].
    pub reason: &'static str,
    /// As [`PluginError::public_message`].
    pub message: &'static str,
}

impl LastSeen {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), success: AtomicU64::new(0), failure: Mutex::new(None) }
    }

    pub(crate) fn note_success(&self, now: Instant) {
        let after = now.saturating_duration_since(self.started).as_micros();
        self.success.store(u64::try_from(after).unwrap_or(u64::MAX - 1) + 1, Relaxed);
    }

    /// What tells of the request rather than of the plugin is left out.
    pub(crate) fn note_failure(&self, error: &PluginError) {
        if matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Disabled) {
            return;
        }
        let (kind, reason, message) = (error.kind(), error.reason(), error.public_message());
        // Whoever holds it notes a failure of this very moment.
        if let Ok(mut failure) = self.failure.try_lock() {
            *failure = Some((Instant::now(), Failure { kind, reason, message }));
        }
    }

    /// How long ago.
    pub(crate) fn success(&self) -> Option<Duration> {
        let after = self.success.load(Relaxed).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_micros(after)))
    }

    pub(crate) fn failure(&self) -> Option<LastFailure> {
        let failure = *self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, Failure { kind, reason, message }) = failure?;
        Some(LastFailure { ago: at.elapsed(), kind, reason, message })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::error::{Cause, Errand, Sent};

    fn error(cause: Cause) -> PluginError {
        let socket: Arc<Path> = Path::new("/plugins.sock").into();
        PluginError::new("Guard".into(), socket, Errand::Hook, (Sent::No, cause))
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_how_long_ago_the_last_success_and_the_last_failure_were() {
        let seen = LastSeen::new();
        assert_eq!((seen.success(), seen.failure()), (None, None));
        seen.note_success(Instant::now());
        tokio::time::advance(Duration::from_secs(2)).await;
        seen.note_failure(&error(Cause::TaskGone));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(seen.success(), Some(Duration::from_secs(5)));
        let failure = seen.failure().unwrap();
        assert_eq!((failure.ago, failure.reason), (Duration::from_secs(3), "task_gone"));
        seen.note_failure(&error(Cause::Shutdown));
        assert_eq!(seen.failure().unwrap().reason, "shutdown");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong_with_a_request_is_not_held_against_the_plugin() {
        let seen = LastSeen::new();
        seen.note_failure(&error(Cause::RequestTooLarge { size: 2, limit: 1 }));
        seen.note_failure(&error(Cause::Disabled));
        assert_eq!(seen.failure(), None);
    }
}
