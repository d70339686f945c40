use std::time::Duration;

use super::*;
use crate::breaker::BreakerState;
use crate::unix::reconnect::ConnectionState;

const MS: Duration = Duration::from_millis(1);

fn allowed(times: &HookTimes, hook: &str) -> u64 {
    times.snapshot().get(hook).map_or(0, |stats| stats.allowed.count())
}

#[test]
fn a_hook_is_there_from_its_first_call_on_and_each_has_its_own_times() {
    let times = HookTimes::default();
    assert!(times.snapshot().is_empty());
    times.of("tool_pre_invoke").allowed(MS);
    times.of("invoice_check").failed(3 * MS);
    times.of("tool_pre_invoke").denied(2 * MS);
    let stats = times.snapshot();
    assert_eq!(stats.keys().collect::<Vec<_>>(), ["invoice_check", "tool_pre_invoke"]);
    let (tool, invoice) = (&stats["tool_pre_invoke"], &stats["invoice_check"]);
    assert_eq!((tool.allowed.sum(), tool.denied.sum()), (MS, 2 * MS));
    assert_eq!((tool.answered().count(), tool.answered().sum()), (2, 3 * MS));
    assert_eq!((tool.failed.count(), invoice.answered().count()), (0, 0));
    assert_eq!((invoice.failed.count(), invoice.failed.sum()), (1, 3 * MS));
}

#[test]
fn hooks_that_are_called_first_at_once_are_all_counted() {
    let times = HookTimes::default();
    let hooks = ["a", "b", "c", "d", "e", "f", "g", "h"];
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let times = &times;
            scope.spawn(move || {
                for at in 0..8_000 {
                    times.of(hooks[(at + thread) % hooks.len()]).allowed(MS);
                }
            });
        }
    });
    assert_eq!(hooks.map(|hook| allowed(&times, hook)), [8_000; 8]);
    assert_eq!(times.snapshot().len(), hooks.len());
}

fn connection(state: ConnectionState) -> ConnectionStats {
    ConnectionStats {
        state,
        queued: 1,
        in_flight: 2,
        connects: 3,
        bytes_sent: 4,
        bytes_received: 5,
        abandoned: 6,
    }
}

/// Every number is `n`, so that one that is left out of a sum is seen.
fn stats(n: u64, breaker: BreakerState, hook: &str) -> PluginStats {
    let mut times = HookStats::default();
    times.allowed.record(MS);
    PluginStats {
        calls: n,
        ok: n,
        violations: n,
        plugin_errors: n,
        timeouts: n,
        refused: n,
        mismatches: n,
        other_failures: n,
        inexact_requests: n,
        inexact_replies: n,
        retries: n,
        retries_refused: n,
        config_answers: n,
        config_changes: n,
        breaker,
        breaker_opened: n,
        panics: n,
        abandoned: n,
        reconnects: n,
        bytes_sent: n,
        bytes_received: n,
        waiting: n as usize,
        queued: n as usize,
        in_flight: n as usize,
        connections: Vec::new(),
        hooks: [(hook.to_owned(), times)].into(),
    }
}

#[test]
fn counters_gauges_and_histograms_add_up() {
    let mut sum = stats(1, BreakerState::Open, "a");
    sum += &stats(10, BreakerState::Closed, "b");
    sum += &stats(100, BreakerState::HalfOpen, "b");
    let mut expected = stats(111, BreakerState::HalfOpen, "a");
    let mut twice = HookStats::default();
    twice.allowed.record(MS);
    twice.allowed.record(MS);
    expected.hooks.insert("b".to_owned(), twice);
    assert_eq!(sum, expected);
}

#[test]
fn a_sum_begins_with_nothing() {
    let one = stats(7, BreakerState::Open, "a");
    let mut sum = PluginStats::default();
    sum += &one;
    assert_eq!(sum, one);
}

#[test]
fn of_handles_that_are_shut_down_a_sum_keeps_what_they_counted_and_no_connections() {
    use ConnectionState::{Idle, Ready, Shutdown};
    let with = |states: &[ConnectionState]| {
        let connections = states.iter().copied().map(connection).collect();
        PluginStats { connections, ..stats(1, BreakerState::Closed, "a") }
    };
    let mut sum = with(&[Ready, Shutdown]);
    sum += &with(&[Shutdown, Shutdown]);
    sum += &with(&[Idle, Ready]);
    let states: Vec<_> = sum.connections.iter().map(|connection| connection.state).collect();
    assert_eq!((states, sum.bytes_sent), (vec![Ready, Idle, Ready], 3));
}
