//! What a plugin's counters and gauges were at one time: plain values, which add up.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::HookStats;
use crate::breaker::BreakerState;
use crate::unix::reconnect::ConnectionState;

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
/// for (hook, times) in &stats.hooks {
///     println!("{hook}: half of the answers came within {:?}", times.answered().p50());
/// }
/// # }
/// ```
///
/// Snapshots add up, of several handles to one plugin or of one handle after another. Counters
/// and histograms are summed, and so are `waiting`, `queued` and `in_flight`. `breaker` is that of
/// what was added last, so add the handle that takes the calls now at the end. `connections`
/// are those of both that are not shut down for good.
///
/// ```
/// use hookwire::{PluginHandle, PluginStats};
///
/// /// Goes on where the handle before was replaced.
/// fn total(retired: &PluginStats, current: &PluginHandle) -> PluginStats {
///     let mut total = retired.clone();
///     total += &current.stats();
///     total
/// }
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
    /// How long the calls of each hook took; a hook is here from its first call on.
    pub hooks: BTreeMap<String, HookStats>,
}

impl Default for PluginStats {
    /// Nothing was counted, and calls pass: where a sum begins.
    fn default() -> Self {
        Self {
            calls: 0,
            ok: 0,
            violations: 0,
            plugin_errors: 0,
            timeouts: 0,
            refused: 0,
            mismatches: 0,
            other_failures: 0,
            inexact_requests: 0,
            inexact_replies: 0,
            retries: 0,
            retries_refused: 0,
            config_answers: 0,
            config_changes: 0,
            breaker: BreakerState::Closed,
            breaker_opened: 0,
            panics: 0,
            abandoned: 0,
            reconnects: 0,
            bytes_sent: 0,
            bytes_received: 0,
            waiting: 0,
            queued: 0,
            in_flight: 0,
            connections: Vec::new(),
            hooks: BTreeMap::new(),
        }
    }
}

impl AddAssign<&Self> for PluginStats {
    fn add_assign(&mut self, other: &Self) {
        // Named one by one, so that a field that is new cannot be forgotten.
        let Self {
            calls,
            ok,
            violations,
            plugin_errors,
            timeouts,
            refused,
            mismatches,
            other_failures,
            inexact_requests,
            inexact_replies,
            retries,
            retries_refused,
            config_answers,
            config_changes,
            breaker,
            breaker_opened,
            panics,
            abandoned,
            reconnects,
            bytes_sent,
            bytes_received,
            waiting,
            queued,
            in_flight,
            connections,
            hooks,
        } = other;
        self.calls += calls;
        self.ok += ok;
        self.violations += violations;
        self.plugin_errors += plugin_errors;
        self.timeouts += timeouts;
        self.refused += refused;
        self.mismatches += mismatches;
        self.other_failures += other_failures;
        self.inexact_requests += inexact_requests;
        self.inexact_replies += inexact_replies;
        self.retries += retries;
        self.retries_refused += retries_refused;
        self.config_answers += config_answers;
        self.config_changes += config_changes;
        self.breaker = *breaker;
        self.breaker_opened += breaker_opened;
        self.panics += panics;
        self.abandoned += abandoned;
        self.reconnects += reconnects;
        self.bytes_sent += bytes_sent;
        self.bytes_received += bytes_received;
        self.waiting += waiting;
        self.queued += queued;
        self.in_flight += in_flight;
        self.connections.extend_from_slice(connections);
        // What they have counted is in the sums above.
        self.connections.retain(|connection| connection.state != ConnectionState::Shutdown);
        for (hook, times) in hooks {
            match self.hooks.get_mut(hook) {
                Some(sum) => *sum += times,
                None => drop(self.hooks.insert(hook.clone(), times.clone())),
            }
        }
    }
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
