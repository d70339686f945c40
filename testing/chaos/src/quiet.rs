//! When all callers are done and the servers behave again, a plugin must be as good
//! as new: nothing under way, every call accounted for, every place free.

use std::time::Duration;

use hookwire::config::Transport;
use hookwire::{CallOptions, ConnectionState, Overload, PluginContext, PluginStats};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::Bench;
use crate::coverage::QUESTIONS;
use crate::tally::Tally;
use crate::target::{Plugin, Target as _};
use crate::work::{Marker, Question, Work};

/// Far above what any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often all places are used at once before one counts as lost.
const TRIES: u32 = 3;

/// What is wrong with a plugin that should be quiet. `tally` is what its callers
/// counted, and `marker` the first of those that nobody has used.
pub(crate) async fn inspect(
    plugin: &Plugin,
    tally: &Tally,
    bench: &Bench,
    marker: Marker,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if !becomes_idle(plugin).await {
        wrong.push(format!("not idle: {:?}", plugin.handle.stats()));
    }
    wrong.extend(accounts(&plugin.handle.stats(), tally));
    // The servers were started anew: the first calls may find a connection that has
    // ended and was not noticed yet. Places must not get lost over that.
    use_every_place(plugin, bench, marker).await;
    // A place that is lost stays lost. One that a question of the plugin's own has, which may be
    // asked at any time, is free again when that is answered.
    let mut refused = Vec::new();
    for round in 1..=TRIES {
        let number = marker.number + round * places_of(plugin) as u32;
        refused = use_every_place(plugin, bench, Marker { number, ..marker }).await;
        if refused.is_empty() {
            break;
        }
        becomes_idle(plugin).await;
    }
    wrong.extend(refused);
    if !becomes_idle(plugin).await {
        wrong.push(format!("not idle after its last calls: {:?}", plugin.handle.stats()));
    }
    for connection in plugin.handle.stats().connections {
        if !matches!(connection.state, ConnectionState::Ready | ConnectionState::Idle) {
            wrong.push(format!("a connection is {}, its server is up", connection.state.as_str()));
        }
    }
    wrong.iter().map(|what| format!("{}: {what}", plugin.name())).collect()
}

async fn becomes_idle(plugin: &Plugin) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let stats = plugin.handle.stats();
        let open = |state| matches!(state, ConnectionState::Ready | ConnectionState::Idle);
        if (stats.in_flight, stats.queued, stats.waiting) == (0, 0, 0)
            && stats.connections.iter().all(|connection| open(connection.state))
        {
            return true;
        }
        sleep(Duration::from_millis(5)).await;
    }
    false
}

/// The plugin's counters against those of its callers.
pub(crate) fn accounts(stats: &PluginStats, tally: &Tally) -> Vec<String> {
    let not_calls = QUESTIONS.iter().chain(&["never_begun"]);
    let calls = tally.calls - not_calls.map(|outcome| tally.of(outcome)).sum::<u64>();
    let left = tally.of("left") + tally.of("never_ended");
    let ended = stats.ok
        + stats.violations
        + stats.plugin_errors
        + stats.timeouts
        + stats.refused
        + stats.mismatches
        + stats.other_failures;
    let errors = tally.of("plugin_error") + tally.of("unproven_error");
    let pairs = [
        ("calls", stats.calls, calls),
        ("ok", stats.ok, tally.of("allowed")),
        ("violations", stats.violations, tally.of("denied")),
        ("plugin_errors", stats.plugin_errors, errors),
        ("timeouts", stats.timeouts, tally.of("timeout")),
        ("mismatches", stats.mismatches, tally.of("mismatch") + tally.of("unproven")),
        ("calls that ended", ended, calls - left),
    ];
    let wrong = pairs.into_iter().filter(|(_, counted, expected)| counted != expected);
    wrong.map(|(what, counted, told)| format!("{what}: {counted}, callers saw {told}")).collect()
}

fn places_of(plugin: &Plugin) -> usize {
    let config = plugin.handle.config();
    match config.transport() {
        Transport::Unix(socket) => socket.max_connections() * socket.max_in_flight(),
        Transport::Grpc(grpc) => grpc.targets().len() * grpc.max_in_flight(),
        _ => 0,
    }
}

/// As many calls at once as there are places. None may be refused for want of one.
async fn use_every_place(plugin: &Plugin, bench: &Bench, first: Marker) -> Vec<String> {
    let places = places_of(plugin);
    let first = Marker { may_repeat: plugin.resends(), ..first };
    let options = CallOptions::new().overload(Overload::Refuse).timeout(PATIENCE);
    let mut calls = JoinSet::new();
    for number in 0..places as u32 {
        let handle = plugin.handle.clone();
        let marker = Marker { number: first.number + number, ..first };
        calls.spawn(async move {
            let mut context = PluginContext::new(format!("request-{marker}"));
            let question = Question::new(marker, "");
            match handle.with(options).invoke_hook::<Work>(&question, &mut context).await {
                Err(error) if error.plugin_fault().is_none() => Some(error.to_string()),
                _ => None,
            }
        });
    }
    let failures: Vec<String> = calls.join_all().await.into_iter().flatten().collect();
    let ran = (0..places as u32)
        .filter(|number| bench.ledger.has_run(Marker { number: first.number + number, ..first }));
    let missing = places - ran.count();
    let mut wrong = Vec::new();
    if let Some(failure) = failures.first() {
        wrong.push(format!("{} of {places} last calls failed: {failure}", failures.len()));
    } else if missing > 0 {
        wrong.push(format!("{missing} of {places} last calls did not run"));
    }
    wrong
}
