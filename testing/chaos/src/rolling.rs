//! A rolling restart, over and over: one plugin under constant load whose server is replaced
//! by the next version every two seconds, in turns by one that takes its path over while it
//! goes on, and by one that comes after it has died.
//!
//! Every answer tells the version of the server that gave it. No call may be answered by a
//! version that was replaced more than a second before the call, none may be lost that was
//! not the oldest of its connection when the server died, and nothing may grow.

use std::sync::Arc;
use std::time::Duration;

use hookwire::{CallPolicy, PluginConfig, PluginHandle, RetryPolicy, UnixSocketConfig};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::{Bench, call_once};
use crate::lateness::{self, Lateness};
use crate::ledger::{Executions, Ledger};
use crate::place::Place;
use crate::plan::Plan;
use crate::process::{Holdings, leaks_since};
use crate::server;
use crate::site::{Contexts, Rules, Site};
use crate::soak::{FLAT, MEMORY, Samples};
use crate::starved::Sampler;
use crate::tally::Tally;
use crate::target::Plugin;
use crate::work::Marker;
use fault_server::FaultServer;

/// From one version to the next.
const EVERY: Duration = Duration::from_secs(2);

/// Memory is compared in parts of so many seconds.
const PART: usize = 30;

/// The process has a few MB, and so much more of them in its first minutes: the judges remember
/// the last minute of a busy machine. A byte of each call would be twenty times that.
const SLACK: f64 = 1024.0 * 1024.0;

/// What is held after a run that was not before it, and is no leak: what runtimes keep.
const BYTES_ALLOWED: usize = 256 * 1024;

/// A run that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rolling {
    pub(crate) seed: u64,
    pub(crate) callers: u32,
    pub(crate) lasts: Duration,
    /// From one version to the next.
    pub(crate) every: Duration,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rolled {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) taken_over: u32,
    pub(crate) died: u32,
    /// Sent again, as a server that works in order had not begun them.
    pub(crate) sent_again: u64,
    /// The oldest on their connections when their server died.
    pub(crate) lost_heads: u64,
    /// No more than so many: one for each connection of a server that died.
    pub(crate) most_heads: u64,
    /// All other failures.
    pub(crate) lost: u64,
    pub(crate) outdated: u64,
    pub(crate) stalest_ms: f64,
    pub(crate) mismatched: u64,
    pub(crate) executed_twice: u64,
    pub(crate) hung: u64,
    pub(crate) leaked: usize,
    /// How far each of memory, files and tasks strayed, in percent of its median and as it is
    /// counted.
    pub(crate) drifts: Vec<(&'static str, f64, f64)>,
    /// The first wrong answers, in words.
    pub(crate) told: Vec<String>,
}

impl Rolling {
    pub(crate) fn new(seed: u64, minutes: f64) -> Self {
        let lasts = Duration::from_secs_f64(minutes * 60.0);
        Self { seed, callers: 64, lasts, every: EVERY }
    }

    /// Runs on `clients`, with the servers on a runtime of their own.
    pub(crate) fn run(self, clients: &Runtime) -> Rolled {
        let before = Holdings::now(clients.handle());
        let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let servers = servers.expect("a runtime for the servers");
        // Memory that the samples take while they are counted would be counted with them.
        let mut samples = Samples::with_room(self.lasts.as_secs() as usize + 60);
        let mut rolled = clients.block_on(self.play(&servers, &mut samples));
        drop(servers);
        drop(samples);
        let leaked = clients.block_on(leaks_since(before));
        let bytes = if leaked.bytes > BYTES_ALLOWED { leaked.bytes } else { 0 };
        rolled.leaked = leaked.tasks + leaked.fds + bytes;
        rolled
    }

    async fn play(self, servers: &Runtime, samples: &mut Samples) -> Rolled {
        let ledger = Arc::new(Ledger::new(self.callers as usize));
        let rules = Rules { seed: self.seed, faults: Vec::new(), gap: f64::MAX, misled: false };
        let faults = Arc::default();
        let site = Site::new(0, Contexts::Returned, Arc::new(rules), faults, Arc::clone(&ledger));
        let site = Arc::new(site);
        let bench = Bench { ledger: Arc::clone(&ledger), lateness: Arc::new(Lateness::new()) };
        let (server, path) = {
            let _servers = servers.enter();
            let mut server = server::first(&site);
            server.restart();
            let path = server.path();
            (server, path)
        };
        let plugin = Arc::new(Plugin::over(handle(&path, &site), &site, Place::Socket(path)));
        let until = Instant::now() + self.lasts;
        let switches = servers.spawn(switch(server, Arc::clone(&site), self.every, until));

        let canaries = bench.lateness.watch();
        let sampler = Sampler::start(Arc::clone(&bench.lateness));
        let mut callers = JoinSet::new();
        for caller in 0..self.callers {
            callers.spawn(call_until(Arc::clone(&plugin), bench.clone(), caller, until));
        }
        let mut tally = Tally::default();
        let joined = async {
            while let Some(ended) = callers.join_next().await {
                tally.add(ended.expect("a caller does not panic"));
            }
        };
        samples.take_until(joined, &bench).await;
        let (server, Switches { taken_over, died }) =
            switches.await.expect("the servers do not panic");
        sleep(lateness::PATIENCE).await;
        drop((canaries, sampler));
        let stats = plugin.handle.stats();
        plugin.handle.shutdown(Duration::from_secs(1)).await;
        drop(server);
        let executions: Executions = ledger.executions();
        let answered =
            ["allowed", "denied", "plugin_error"].map(|name| tally.of(name)).iter().sum();
        Rolled {
            calls: tally.calls,
            answered,
            taken_over,
            died,
            sent_again: stats.retries,
            lost_heads: tally.lost_heads,
            most_heads: u64::from(died) * stats.connections.len() as u64,
            lost: tally.calls - answered - tally.lost_heads,
            outdated: tally.outdated,
            stalest_ms: tally.stalest.as_secs_f64() * 1e3,
            mismatched: tally.mismatched + tally.never_ran,
            executed_twice: executions.twice + executions.false_unsent,
            hung: bench.lateness.settle().hung + tally.never_ended,
            leaked: 0,
            drifts: samples
                .drifts_in(PART)
                .into_iter()
                .map(|drift| (drift.what, drift.worst * 100.0, drift.worst * drift.median))
                .collect(),
            told: tally.wrongs,
        }
    }
}

/// The plugin as a gateway has it that restarts its plugins: what cannot have begun is sent
/// again. All else is as it is by default.
fn handle(path: &std::path::Path, site: &Site) -> PluginHandle {
    let policy = CallPolicy::builder().retry(RetryPolicy::Unstarted);
    let config = PluginConfig::builder(&site.name).hook("tool_pre_invoke");
    let config = config.unix_socket(UnixSocketConfig::builder(path)).policy(policy);
    PluginHandle::connect_lazy(config.build().expect("a valid configuration"))
}

struct Switches {
    taken_over: u32,
    died: u32,
}

/// One version after the other.
async fn switch(
    mut server: FaultServer,
    site: Arc<Site>,
    every: Duration,
    until: Instant,
) -> (FaultServer, Switches) {
    let mut switches = Switches { taken_over: 0, died: 0 };
    // One that was replaced, and answers those who still call it.
    let mut replaced = None;
    while Instant::now() + every < until {
        sleep(every).await;
        drop(replaced.take());
        if switches.died < switches.taken_over {
            server.kill().await;
            server = server::successor(&site, &server);
            switches.died += 1;
        } else {
            let successor = server::successor(&site, &server);
            replaced = Some(std::mem::replace(&mut server, successor));
            switches.taken_over += 1;
        }
    }
    (server, switches)
}

/// One call after the other.
async fn call_until(plugin: Arc<Plugin>, bench: Bench, caller: u32, until: Instant) -> Tally {
    let (mut tally, mut number) = (Tally::default(), 0);
    // As much time as the plugin has by default.
    let plan = Plan { timeout: None, ..Plan::plain() };
    while Instant::now() < until {
        let marker = Marker { caller, number, may_repeat: false };
        call_once(&*plugin, &plan, marker, &bench, &mut tally).await;
        number += 1;
    }
    tally
}

impl Rolled {
    /// What should not have been, in words.
    pub(crate) fn broken(&self) -> Vec<String> {
        let counts = [
            ("calls answered by a version replaced more than 1 s before", self.outdated),
            ("calls lost that were not the oldest on a connection whose server died", self.lost),
            ("calls lost beyond the oldest", self.lost_heads.saturating_sub(self.most_heads)),
            ("replies mismatched", self.mismatched),
            ("hooks run twice", self.executed_twice),
            ("calls hung", self.hung),
            ("tasks, files or bytes leaked", self.leaked as u64),
        ];
        let broken = counts.into_iter().filter(|(_, count)| *count > 0);
        let mut broken: Vec<_> = broken.map(|(what, count)| format!("{count} {what}")).collect();
        if self.taken_over + self.died == 0 {
            broken.push("no version was replaced".to_owned());
        }
        let unsteady = self.drifts.iter().filter(|(what, percent, amount)| {
            let slack = if *what == MEMORY { SLACK } else { 0.0 };
            *percent > FLAT * 100.0 && *amount > slack
        });
        broken.extend(unsteady.map(|(what, percent, _)| format!("{what} {percent:.1} % off")));
        broken
    }

    pub(crate) fn print(&self) {
        let Self { calls, answered, taken_over, died, sent_again, .. } = self;
        let Self { lost_heads, most_heads, lost, outdated, stalest_ms, .. } = self;
        println!("switches             {taken_over} taken over, {died} after a crash");
        println!("calls                {calls}, {answered} answered, {sent_again} sent again");
        println!(
            "lost                 {lost_heads} at a head (of {most_heads} heads), {lost} others"
        );
        println!(
            "outdated             {outdated} made more than 1 s after their server was replaced, none later than {stalest_ms:.0} ms"
        );
        println!("mismatched           {}", self.mismatched);
        println!("executed twice       {}", self.executed_twice);
        println!("hung                 {}", self.hung);
        for (what, percent, amount) in &self.drifts {
            println!("{what:<20} {percent:.1} % off its median at the most, that is {amount:.0}");
        }
        self.told.iter().for_each(|told| println!("! {told}"));
        self.broken().iter().for_each(|broken| println!("BROKEN: {broken}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_promise_that_a_run_breaks_is_told() {
        let kept = || Rolled {
            taken_over: 1,
            lost_heads: 8,
            most_heads: 8,
            drifts: vec![(MEMORY, 6.0, 5e5), ("open files", 4.0, 1.0)],
            ..Rolled::default()
        };
        assert_eq!(kept().broken(), Vec::<String>::new());
        let breaks: [fn(&mut Rolled); 10] = [
            |rolled| rolled.outdated = 1,
            |rolled| rolled.lost = 1,
            |rolled| rolled.lost_heads = 9,
            |rolled| rolled.mismatched = 1,
            |rolled| rolled.executed_twice = 1,
            |rolled| rolled.hung = 1,
            |rolled| rolled.leaked = 1,
            |rolled| rolled.taken_over = 0,
            |rolled| rolled.drifts[0].2 = 2e6,
            |rolled| rolled.drifts[1].1 = 6.0,
        ];
        for (index, break_it) in breaks.into_iter().enumerate() {
            let mut rolled = kept();
            break_it(&mut rolled);
            assert_eq!(rolled.broken().len(), 1, "number {index}: {:?}", rolled.broken());
        }
    }

    #[test]
    fn a_handle_follows_its_plugin_from_version_to_version() {
        let clients = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (lasts, every) = (Duration::from_secs(4), Duration::from_millis(1_300));
        let rolling = Rolling { seed: 1, callers: 8, lasts, every };
        let rolled = rolling.run(&clients.expect("a runtime"));
        assert_eq!((rolled.outdated, rolled.lost, rolled.mismatched), (0, 0, 0), "{rolled:?}");
        assert!(rolled.taken_over > 0 && rolled.died > 0 && rolled.answered > 0, "{rolled:?}");
    }
}
