//! Counters, latencies and gauges of a plugin.

mod histogram;
mod snapshot;
mod times;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::breaker::BreakerState;
use crate::error::{ErrorKind, PluginError};

pub use histogram::LatencyHistogram;
pub use snapshot::{ConnectionStats, PluginStats};
pub use times::HookStats;

use times::HookTimes;

/// What a transport tells of a plugin at one moment.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) connections: Vec<ConnectionStats>,
    /// All requests that are not on a connection, those that wait for room included.
    pub(crate) in_queue: usize,
    /// Those that wait for room.
    pub(crate) waiting: usize,
    pub(crate) breaker: BreakerState,
    pub(crate) breaker_opened: u64,
    pub(crate) panics: u64,
}

/// Counted in the callers' tasks, never under a lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    /// Requests of which at least a byte was sent, hook calls and questions.
    pub(crate) sent: AtomicU64,
    pub(crate) plugin_errors: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) retries_refused: AtomicU64,
    pub(crate) mismatches: AtomicU64,
    pub(crate) other_failures: AtomicU64,
    pub(crate) inexact_requests: AtomicU64,
    pub(crate) inexact_replies: AtomicU64,
    /// Verdicts are counted here alone.
    hooks: HookTimes,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a call that brought a result, once.
    pub(crate) fn count_result(&self, hook: &str, allowed: bool, took: Duration) {
        let times = self.hooks.of(hook);
        if allowed { times.allowed(took) } else { times.denied(took) }
    }

    /// Counts a call that was made and failed, once.
    pub(crate) fn count_failure(&self, hook: &str, error: &PluginError, took: Duration) {
        if error.is_denial() {
            return self.hooks.of(hook).denied(took);
        }
        self.count_error(error);
        self.hooks.of(hook).failed(took);
    }

    /// Counts an error by its kind; of a call that was not even tried, that is all.
    pub(crate) fn count_error(&self, error: &PluginError) {
        Self::add(match error.kind() {
            ErrorKind::Plugin => &self.plugin_errors,
            ErrorKind::Timeout => &self.timeouts,
            ErrorKind::BadReply if matches!(error.reason(), "mismatch" | "unproven") => {
                &self.mismatches
            }
            ErrorKind::Overloaded
            | ErrorKind::Unavailable
            | ErrorKind::Config
            | ErrorKind::Disabled
            | ErrorKind::InvalidRequest => &self.refused,
            ErrorKind::Closed if error.reason() == "shutdown" => &self.refused,
            ErrorKind::Closed | ErrorKind::Disconnected | ErrorKind::BadReply => {
                &self.other_failures
            }
        });
    }

    pub(crate) fn snapshot(&self, gauges: Gauges) -> PluginStats {
        let Gauges { connections, in_queue, waiting, breaker, breaker_opened, panics } = gauges;
        let sum = |of: fn(&ConnectionStats) -> u64| connections.iter().map(of).sum();
        let hooks = self.hooks.snapshot();
        PluginStats {
            calls: self.calls.load(Relaxed),
            ok: hooks.values().map(|times| times.allowed.count()).sum(),
            violations: hooks.values().map(|times| times.denied.count()).sum(),
            plugin_errors: self.plugin_errors.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            refused: self.refused.load(Relaxed),
            mismatches: self.mismatches.load(Relaxed),
            other_failures: self.other_failures.load(Relaxed),
            inexact_requests: self.inexact_requests.load(Relaxed),
            inexact_replies: self.inexact_replies.load(Relaxed),
            retries: self.retries.load(Relaxed),
            retries_refused: self.retries_refused.load(Relaxed),
            hooks,
            config_answers: 0,
            config_changes: 0,
            breaker,
            breaker_opened,
            panics,
            abandoned: sum(|connection| connection.abandoned),
            reconnects: sum(|connection| connection.connects.saturating_sub(1)),
            bytes_sent: sum(|connection| connection.bytes_sent),
            bytes_received: sum(|connection| connection.bytes_received),
            waiting,
            queued: in_queue.saturating_sub(waiting)
                + connections.iter().map(|connection| connection.queued).sum::<usize>(),
            in_flight: connections.iter().map(|connection| connection.in_flight).sum(),
            connections,
        }
    }
}

#[cfg(test)]
mod tests;
