//! Counters and gauges of a plugin.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::breaker::BreakerState;
use crate::error::{ErrorKind, PluginError};
use crate::unix::connections::Connections;
use crate::unix::reconnect::ConnectionState;

/// Counted in the callers' tasks, never under a lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    /// Requests of which at least a byte was sent, hook calls and questions.
    pub(crate) sent: AtomicU64,
    pub(crate) ok: AtomicU64,
    pub(crate) violations: AtomicU64,
    pub(crate) plugin_errors: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) retries_refused: AtomicU64,
    pub(crate) mismatches: AtomicU64,
    pub(crate) other_failures: AtomicU64,
    pub(crate) inexact_requests: AtomicU64,
    pub(crate) inexact_replies: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a failed call once.
    pub(crate) fn count_failure(&self, error: &PluginError) {
        Self::add(match error.kind() {
            ErrorKind::Plugin if error.is_denial() => &self.violations,
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

    pub(crate) fn snapshot(&self, of: &Connections) -> PluginStats {
        let shared = of.lock();
        let (in_queue, waiting) = (shared.dispatch.queued(), shared.dispatch.waiting());
        let loads: Vec<_> = (0..of.slots.len()).map(|slot| shared.dispatch.load(slot)).collect();
        drop(shared);
        let connections: Vec<ConnectionStats> = of
            .slots
            .iter()
            .zip(loads)
            .map(|(slot, load)| ConnectionStats {
                state: slot.state(),
                queued: load.saturating_sub(slot.in_flight()),
                in_flight: slot.in_flight(),
                connects: slot.traffic.connects.load(Relaxed),
                bytes_sent: slot.traffic.bytes_sent.load(Relaxed),
                bytes_received: slot.traffic.bytes_received.load(Relaxed),
                abandoned: slot.traffic.abandoned.load(Relaxed),
            })
            .collect();
        let sum = |of: fn(&ConnectionStats) -> u64| connections.iter().map(of).sum();
        PluginStats {
            calls: self.calls.load(Relaxed),
            ok: self.ok.load(Relaxed),
            violations: self.violations.load(Relaxed),
            plugin_errors: self.plugin_errors.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            refused: self.refused.load(Relaxed),
            mismatches: self.mismatches.load(Relaxed),
            other_failures: self.other_failures.load(Relaxed),
            inexact_requests: self.inexact_requests.load(Relaxed),
            inexact_replies: self.inexact_replies.load(Relaxed),
            retries: self.retries.load(Relaxed),
            retries_refused: self.retries_refused.load(Relaxed),
            config_answers: 0,
            config_changes: 0,
            breaker: of.gate.state(),
            breaker_opened: of.gate.opened(),
            panics: of.identity.panics(),
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

/// A snapshot of a plugin's counters since its handle was made, and its gauges.
///
/// Counters are read one after the other, so under load they may be a few calls
/// apart from each other. At rest, `calls` is the sum of `ok`, `violations`,
/// `plugin_errors`, `timeouts`, `refused`, `mismatches`, `other_failures`, and
/// of the calls whose callers dropped them.
///
/// ```
/// # async fn show(handle: hookwire::PluginHandle) {
/// let stats = handle.stats();
/// println!("{} of {} calls allowed, {} in flight", stats.ok, stats.calls, stats.in_flight);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginStats {
    /// Calls begun.
    pub calls: u64,
    /// Results that let the request go on.
    pub ok: u64,
    /// Results that do not, and errors beside a verdict that does not.
    pub violations: u64,
    /// Other errors that the plugin reported.
    pub plugin_errors: u64,
    /// Calls that ran out of time.
    pub timeouts: u64,
    /// Calls that were refused without being sent: no slot, plugin down
    /// or not trusted, invalid request, shut down.
    pub refused: u64,
    /// Replies that belonged to another request, or brought no stamp back where one
    /// was sent.
    pub mismatches: u64,
    /// Calls that failed otherwise: connection lost, reply not understood.
    pub other_failures: u64,
    /// Calls that were encoded as something else than was given: with integers that were
    /// rounded, or text in place of what nests too deep.
    pub inexact_requests: u64,
    /// Results with NaN or an infinity where JSON was read, which has neither: it is null.
    pub inexact_replies: u64,
    /// Requests sent again under [`RetryPolicy::Resend`](crate::RetryPolicy::Resend).
    pub retries: u64,
    /// Requests not sent again because the retry budget was spent.
    pub retries_refused: u64,
    /// Answers of the server about the plugin's configuration.
    pub config_answers: u64,
    /// How often such an answer was another one than before.
    pub config_changes: u64,
    /// Whether calls are let through now.
    pub breaker: BreakerState,
    /// How often the breaker opened: outages, as this handle saw them.
    pub breaker_opened: u64,
    /// Panics of code that is not hookwire's, such as a log subscriber, that were caught
    /// in the plugin's tasks and log lines.
    pub panics: u64,
    /// Requests and replies dropped because their caller had left.
    pub abandoned: u64,
    /// Connections made in place of one that was there before.
    pub reconnects: u64,
    /// Bytes written, frames included.
    pub bytes_sent: u64,
    /// Bytes read, frames included.
    pub bytes_received: u64,
    /// Calls that wait for a slot now.
    pub waiting: usize,
    /// Requests that wait to be sent now.
    pub queued: usize,
    /// Requests that wait for their reply now, those of callers that left included.
    pub in_flight: usize,
    /// Each connection, open or not.
    pub connections: Vec<ConnectionStats>,
}

/// One connection of a plugin.
///
/// ```
/// # async fn show(handle: hookwire::PluginHandle) {
/// let open = |c: &&hookwire::ConnectionStats| c.state.is_ready();
/// println!("{} sockets open", handle.stats().connections.iter().filter(open).count());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// What the connection is doing now.
    pub state: ConnectionState,
    /// Requests that wait to be sent on it now.
    pub queued: usize,
    /// Requests that wait for their reply on it now.
    pub in_flight: usize,
    /// How often it was connected.
    pub connects: u64,
    /// Bytes written, frames included.
    pub bytes_sent: u64,
    /// Bytes read, frames included.
    pub bytes_received: u64,
    /// Requests and replies dropped because their caller had left.
    pub abandoned: u64,
}
