//! A plugin with three servers under load, that are restarted or killed: what becomes of the
//! calls, as counts.

use std::time::{Duration, Instant};

use hookwire::config::GrpcConfig;
use hookwire::{CallPolicy, PluginConfig, PluginHandle, Sent};

use super::calls::{LIMIT, PLUGIN, in_time};
use super::guards::Guards;
use super::load::{Load, Outcomes};

/// How long after an event calls may fail for it.
const AT_ONCE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) callers: usize,
    /// What a hook takes.
    pub(crate) ms: u64,
    /// Calls between two events.
    pub(crate) calls: usize,
    pub(crate) rounds: usize,
}

/// What became of calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) failed: usize,
    /// Of those that failed, those that were not sent.
    pub(crate) not_sent: usize,
    /// Hooks that began more than once for one call.
    pub(crate) twice: usize,
    /// Calls that ended later than in the first 100 ms after an event.
    pub(crate) later: usize,
    pub(crate) failed_later: usize,
}

async fn connect(guards: &Guards) -> PluginHandle {
    let grpc = GrpcConfig::builder().targets(guards.addresses());
    let config = PluginConfig::builder(PLUGIN).hook("tool_pre_invoke").grpc(grpc);
    let config = config.policy(CallPolicy::builder().timeout(LIMIT));
    let config = config.build().expect("a valid configuration");
    let plugin = in_time("connect", PluginHandle::connect(config)).await.expect("it is there");
    let all = plugin.clone();
    super::calls::eventually("every server is connected to", move || {
        all.stats().connections.iter().filter(|one| one.connects > 0).count() == 3
    })
    .await;
    plugin
}

/// Each server is stopped in good order, and started again, one after the other.
pub(crate) async fn rolling_restart(size: Size) -> Counts {
    let mut guards = Guards::start().await;
    let plugin = connect(&guards).await;
    let load = Load::start(&plugin, size.callers, size.ms);
    let mut events = Vec::new();
    for number in 0..size.rounds * guards.all.len() {
        let guard = number % guards.all.len();
        load.go_on(size.calls).await;
        events.push(Instant::now());
        guards.all[guard].stop().await;
        load.go_on(size.calls).await;
        guards.all[guard].start_again().await;
        back(&plugin, guard).await;
    }
    load.go_on(size.calls).await;
    counts(&load.stop().await, &guards, &events)
}

/// One server is killed, and started again.
pub(crate) async fn one_is_killed(size: Size) -> Counts {
    let mut guards = Guards::start().await;
    let plugin = connect(&guards).await;
    let load = Load::start(&plugin, size.callers, size.ms);
    let mut events = Vec::new();
    for _ in 0..size.rounds {
        load.go_on(size.calls).await;
        events.push(Instant::now());
        guards.all[1].kill().await;
        load.go_on(size.calls).await;
        guards.all[1].start_again().await;
        back(&plugin, 1).await;
    }
    load.go_on(size.calls).await;
    counts(&load.stop().await, &guards, &events)
}

/// Waits until calls may go to this server again: the next one is not to be the last.
async fn back(plugin: &PluginHandle, guard: usize) {
    super::calls::eventually("the server is connected to again", || {
        let connection = &plugin.stats().connections[guard];
        connection.state == hookwire::ConnectionState::Ready
    })
    .await;
}

fn counts(outcomes: &Outcomes, guards: &Guards, events: &[Instant]) -> Counts {
    let begun = guards.register.begun();
    outcomes.are_true_to(&begun);
    let is_later =
        |at: &Instant| !events.iter().any(|event| (*event..*event + AT_ONCE).contains(at));
    Counts {
        calls: outcomes.ends.len(),
        failed: outcomes.failed.len(),
        not_sent: outcomes.sent(Sent::No) + outcomes.sent(Sent::Unstarted),
        twice: Outcomes::twice(&begun).len(),
        later: outcomes.ends.iter().filter(|at| is_later(at)).count(),
        failed_later: outcomes.failed.iter().filter(|failed| is_later(&failed.at)).count(),
    }
}
