//! What can be seen of a plugin from outside: its counters, and when it was last reached.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::checked::Checked;
use super::{Inner, PluginHandle};
use crate::call::Observer;
use crate::error::{Errand, PluginError, Sent};
use crate::last_seen::LastFailure;
use crate::options::CallOptions;
use crate::stats::{Counters, PluginStats};
use crate::unix::reconnect::ConnectionState;

/// A handle that does not keep its plugin open. Its counters can be read while the last calls
/// finish, and when the last handle is gone: for totals that go on where a handle is replaced.
///
/// ```
/// # fn replace(guard: hookwire::PluginHandle, total_calls: &mut u64) {
/// let weak = guard.downgrade();
/// drop(guard);
/// // Calls under way have handles of their own, and are counted when they end.
/// if weak.is_final() {
///     *total_calls += weak.stats().calls;
/// }
/// # }
/// ```
pub struct WeakPluginHandle {
    inner: Weak<Inner>,
    counters: Arc<Counters>,
    observer: Observer,
    checked: Arc<Checked>,
}

impl WeakPluginHandle {
    /// A handle, if there still is one elsewhere. It has no options.
    #[must_use]
    pub fn upgrade(&self) -> Option<PluginHandle> {
        let inner = self.inner.upgrade()?;
        Some(PluginHandle { inner, options: CallOptions::new() })
    }

    /// The plugin's name, as configured here.
    #[must_use]
    pub fn name(&self) -> &str {
        self.checked.local.name()
    }

    /// As [`PluginHandle::stats`].
    #[must_use]
    pub fn stats(&self) -> PluginStats {
        let mut stats = self.counters.snapshot(self.observer.gauges());
        stats.config_answers = self.checked.answers();
        stats.config_changes = self.checked.changes();
        stats
    }

    /// True if nothing will be counted any more: the last handle is gone, and its connections
    /// are closed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.inner.strong_count() == 0 && self.observer.state() == ConnectionState::Shutdown
    }
}

impl PluginHandle {
    /// Counters since the handle was made, and gauges.
    #[must_use]
    pub fn stats(&self) -> PluginStats {
        self.downgrade().stats()
    }

    /// A handle that does not keep the plugin open.
    #[must_use]
    pub fn downgrade(&self) -> WeakPluginHandle {
        let client = &self.inner.client;
        WeakPluginHandle {
            inner: Arc::downgrade(&self.inner),
            counters: Arc::clone(&client.counters),
            observer: client.plugin.observer(),
            checked: Arc::clone(&self.inner.checked),
        }
    }

    /// How long ago the plugin was last reached: it answered a call, with whatever verdict,
    /// or a question about it, or was connected to. `None` if never.
    #[must_use]
    pub fn last_success(&self) -> Option<Duration> {
        self.inner.client.last_seen.success()
    }

    /// How the last call, question or attempt to connect failed, of those that somebody waited
    /// for. A later success does not take it back. Left out are those that
    /// tell nothing of the plugin: [`InvalidRequest`](crate::ErrorKind::InvalidRequest) and
    /// [`Disabled`](crate::ErrorKind::Disabled).
    #[must_use]
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.inner.client.last_seen.failure()
    }

    /// Why every call is refused without being made, if that is so: the plugin is disabled;
    /// its server has told that it cannot be used as it is configured; or its entry is strict,
    /// and its server has not told its own yet. The error that calls fail with.
    #[must_use]
    pub fn refusal(&self) -> Option<PluginError> {
        let cause = self.inner.checked.refusal()?;
        Some(self.inner.client.error(Errand::Hook, (Sent::No, cause)))
    }
}

impl fmt::Debug for WeakPluginHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakPluginHandle")
            .field("plugin", &self.name())
            .field("is_final", &self.is_final())
            .finish_non_exhaustive()
    }
}
