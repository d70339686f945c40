//! Each counter and gauge, and where its numbers come from.

use hookwire::BreakerState::{Closed, HalfOpen, Open};
use hookwire::ConnectionState::{self, Connecting, Idle, Ready, Shutdown, TransientFailure};
use hookwire::PluginStats;
use prometheus_client::metrics::MetricType::{self, Counter, Gauge};

pub(super) struct Metric {
    /// Counters get `_total` behind it.
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) help: &'static str,
    pub(super) series: &'static [Series],
}

/// One number of each plugin.
pub(super) struct Series {
    /// Beside the plugin's name.
    pub(super) label: Option<(&'static str, &'static str)>,
    pub(super) read: fn(&PluginStats) -> u64,
}

const fn metric(
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    series: &'static [Series],
) -> Metric {
    Metric { name, kind, help, series }
}

const fn all(read: fn(&PluginStats) -> u64) -> Series {
    Series { label: None, read }
}

const fn of(label: &'static str, value: &'static str, read: fn(&PluginStats) -> u64) -> Series {
    Series { label: Some((label, value)), read }
}

pub(super) const METRICS: &[Metric] = &[
    metric("hookwire_calls_begun", Counter, "Calls of hooks.", &[all(|stats| stats.calls)]),
    metric(
        "hookwire_calls",
        Counter,
        "Calls of hooks that ended, by outcome.",
        &[
            of("outcome", "allowed", |stats| stats.ok),
            of("outcome", "denied", |stats| stats.violations),
            of("outcome", "plugin_error", |stats| stats.plugin_errors),
            of("outcome", "timeout", |stats| stats.timeouts),
            of("outcome", "refused", |stats| stats.refused),
            of("outcome", "mismatch", |stats| stats.mismatches),
            of("outcome", "other", |stats| stats.other_failures),
        ],
    ),
    metric(
        "hookwire_inexact",
        Counter,
        "Messages that came over as something else.",
        &[
            of("direction", "sent", |stats| stats.inexact_requests),
            of("direction", "received", |stats| stats.inexact_replies),
        ],
    ),
    metric("hookwire_retries", Counter, "Requests sent again.", &[all(|stats| stats.retries)]),
    metric(
        "hookwire_retries_refused",
        Counter,
        "Requests not sent again, for the retry budget was spent.",
        &[all(|stats| stats.retries_refused)],
    ),
    metric(
        "hookwire_config_answers",
        Counter,
        "Answers of the server about the plugin's entry.",
        &[all(|stats| stats.config_answers)],
    ),
    metric(
        "hookwire_config_changes",
        Counter,
        "Answers of the server about the plugin's entry that were another one than before.",
        &[all(|stats| stats.config_changes)],
    ),
    metric(
        "hookwire_breaker_opened",
        Counter,
        "Outages, as the breaker saw them.",
        &[all(|stats| stats.breaker_opened)],
    ),
    metric(
        "hookwire_panics",
        Counter,
        "Panics of other code that were caught.",
        &[all(|stats| stats.panics)],
    ),
    metric(
        "hookwire_abandoned",
        Counter,
        "Requests and replies that were dropped, for their callers had left.",
        &[all(|stats| stats.abandoned)],
    ),
    metric(
        "hookwire_reconnects",
        Counter,
        "Connections made in place of another.",
        &[all(|stats| stats.reconnects)],
    ),
    metric(
        "hookwire_traffic_bytes",
        Counter,
        "Bytes on the sockets, frames included.",
        &[
            of("direction", "sent", |stats| stats.bytes_sent),
            of("direction", "received", |stats| stats.bytes_received),
        ],
    ),
    metric(
        "hookwire_calls_waiting",
        Gauge,
        "Calls that wait for a slot.",
        &[all(|stats| stats.waiting as u64)],
    ),
    metric(
        "hookwire_requests_queued",
        Gauge,
        "Requests that wait to be sent.",
        &[all(|stats| stats.queued as u64)],
    ),
    metric(
        "hookwire_requests_in_flight",
        Gauge,
        "Requests that wait for their reply.",
        &[all(|stats| stats.in_flight as u64)],
    ),
    metric(
        "hookwire_connections",
        Gauge,
        "Connections in this state.",
        &[
            of("state", "idle", |stats| connections(stats, Idle)),
            of("state", "connecting", |stats| connections(stats, Connecting)),
            of("state", "ready", |stats| connections(stats, Ready)),
            of("state", "transient_failure", |stats| connections(stats, TransientFailure)),
            of("state", "shutdown", |stats| connections(stats, Shutdown)),
        ],
    ),
    metric(
        "hookwire_breaker",
        Gauge,
        "1 for the state that the breaker is in.",
        &[
            of("state", "closed", |stats| u64::from(stats.breaker == Closed)),
            of("state", "half_open", |stats| u64::from(stats.breaker == HalfOpen)),
            of("state", "open", |stats| u64::from(stats.breaker == Open)),
        ],
    ),
];

fn connections(stats: &PluginStats, state: ConnectionState) -> u64 {
    stats.connections.iter().filter(|connection| connection.state == state).count() as u64
}

#[cfg(test)]
mod tests {
    use hookwire::BreakerState;

    use super::*;

    fn states(metric: &str) -> Vec<&'static str> {
        let metric = METRICS.iter().find(|known| known.name == metric).unwrap();
        metric.series.iter().map(|series| series.label.unwrap().1).collect()
    }

    #[test]
    fn states_have_the_names_that_they_have_in_traces() {
        let known = [Idle, Connecting, Ready, TransientFailure, Shutdown];
        assert_eq!(states("hookwire_connections"), known.map(ConnectionState::as_str));
        assert_eq!(states("hookwire_breaker"), [Closed, HalfOpen, Open].map(BreakerState::as_str));
    }
}
