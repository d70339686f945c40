//! One run: servers, plugins and callers, from the first call to their last trace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::{Bench, Goal, call_on};
use crate::coverage::{Ways, missing};
use crate::dice::Dice;
use crate::fault::{Fault, Faults, Transport};
use crate::host::{Hosted, host, host_grpc};
use crate::lateness::{self, Late, Lateness};
use crate::ledger::{Executions, Ledger};
use crate::process::{Holdings, leaks_since};
use crate::quiet;
use crate::recovery::Found;
use crate::seek::{Recoveries, SEEKERS, seek};
use crate::site::{Contexts, Rules, Site};
use crate::soak::Samples;
use crate::starved::Sampler;
use crate::tally::Tally;
use crate::target::Plugin;
use crate::work::Marker;

/// What a run is to do.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) transport: Transport,
    pub(crate) seed: u64,
    pub(crate) calls: u64,
    pub(crate) faults: u64,
    pub(crate) callers: u32,
    pub(crate) plugins: usize,
    pub(crate) kinds: Vec<Fault>,
    /// What replies bring back: plugin by plugin, over and over.
    pub(crate) contexts: Vec<Contexts>,
    /// Replies go to other requests also where nothing shows it, and servers over gRPC refuse
    /// streams whose hook has run.
    pub(crate) misled: bool,
    /// Goes on for so long, whatever was reached.
    pub(crate) lasts: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) executions: Executions,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) late: Late,
    pub(crate) gone: Found,
    pub(crate) alone: Found,
    pub(crate) frozen: Found,
    pub(crate) wrong_state: Vec<String>,
    pub(crate) ways: Ways,
    /// What should have happened, and did not.
    pub(crate) missing: Vec<String>,
    pub(crate) took: Duration,
}

impl Setup {
    /// A little of it, without faults.
    pub(crate) fn warm_up(&self) -> Self {
        let (calls, faults, lasts) = (u64::from(self.callers) * 4, 0, None);
        Self { calls, faults, lasts, kinds: Vec::new(), ..self.clone() }
    }

    /// A short run with replies that go to other requests, where nothing shows it: no
    /// client can tell.
    pub(crate) fn misled(&self) -> Self {
        use Fault::{Dropped, Duplicated, Swapped, Unasked};
        let kinds = match self.transport {
            Transport::Socket => vec![Swapped, Duplicated, Dropped, Unasked],
            Transport::Grpc => vec![Swapped],
        };
        Self {
            calls: self.calls.div_ceil(50),
            faults: self.faults.div_ceil(50),
            kinds,
            contexts: vec![Contexts::None],
            misled: true,
            lasts: None,
            ..self.clone()
        }
    }

    /// Runs on `clients`, with the servers on a runtime of their own; what came of it,
    /// and what is held after it that was not before.
    pub(crate) fn run(&self, clients: &Runtime, samples: &mut Samples) -> (Outcome, Holdings) {
        let before = Holdings::now(clients.handle());
        let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let servers = servers.expect("a runtime for the servers");
        let outcome = clients.block_on(self.play(servers.handle(), samples));
        drop(servers);
        let leaked = clients.block_on(leaks_since(before));
        (outcome, leaked)
    }

    async fn play(&self, servers: &Handle, samples: &mut Samples) -> Outcome {
        let started = Instant::now();
        let faults = Arc::new(Faults::default());
        let ledger = Arc::new(Ledger::new(self.everybody()));
        let lateness = match self.transport {
            Transport::Socket => Lateness::new(),
            Transport::Grpc => Lateness::over_grpc(),
        };
        let bench = Bench { ledger: Arc::clone(&ledger), lateness: Arc::new(lateness) };
        let (faulty, faults_last) = watch::channel(());
        let (mut plugins, mut hosts, mut returns) = (Vec::new(), Vec::new(), Vec::new());
        for site in self.sites(&faults, &ledger) {
            let (returned, seen) = mpsc::channel(1);
            let dice = Dice::new(self.seed, [u64::MAX, site.index as u64]);
            let host = match self.transport {
                Transport::Socket => host,
                Transport::Grpc => host_grpc,
            };
            let (place, task) =
                host(servers, Arc::clone(&site), dice, returned, faults_last.clone());
            plugins.push(Plugin::new(&site, place));
            hosts.push(task);
            returns.push(seen);
        }
        let plugins: Arc<[Plugin]> = plugins.into();
        let seekers: Vec<_> = (returns.into_iter().enumerate())
            .map(|(index, returns)| {
                let first = self.callers + index as u32 * SEEKERS;
                tokio::spawn(seek(Arc::clone(&plugins), index, bench.clone(), first, returns))
            })
            .collect();

        let canaries = bench.lateness.watch();
        let sampler = Sampler::start(Arc::clone(&bench.lateness));
        let goal = self.goal(started, &faults);
        let mut callers = JoinSet::new();
        for caller in 0..self.callers {
            let dice = Dice::new(self.seed, [u64::MAX - 1, u64::from(caller)]);
            callers.spawn(call_on(Arc::clone(&plugins), bench.clone(), caller, dice, goal.clone()));
        }
        let mut tallies: Vec<Tally> = (0..=plugins.len()).map(|_| Tally::default()).collect();
        let joined = async {
            while let Some(ended) = callers.join_next().await {
                let own = ended.expect("a caller does not panic");
                tallies.iter_mut().zip(own).for_each(|(tally, own)| tally.add(own));
            }
        };
        samples.take_until(joined, &bench).await;

        // With the faults end the outages, and with them the seekers.
        drop(faulty);
        let mut servers: Vec<Hosted> = Vec::new();
        for task in hosts {
            servers.push(task.await.expect("a server does not panic"));
        }
        let mut recoveries = Recoveries::default();
        for (seeker, tally) in seekers.into_iter().zip(&mut tallies) {
            let (calls, seen) = seeker.await.expect("a seeker does not panic");
            tally.add(calls);
            recoveries.gone.add(&seen.gone);
            recoveries.alone.add(&seen.alone);
            recoveries.frozen.add(&seen.frozen);
        }
        let took = started.elapsed();
        let questions = plugins.iter().map(|plugin| plugin.site.questions()).sum();
        let stats = plugins.iter().map(|plugin| plugin.handle.stats());
        let ways = Ways::of(stats, questions, &tallies);
        let mut wrong_state = Vec::new();
        for (index, (plugin, tally)) in plugins.iter().zip(&tallies).enumerate() {
            let caller = self.callers + self.plugins as u32 * SEEKERS + index as u32;
            let marker = Marker { caller, number: 0, may_repeat: false };
            wrong_state.extend(quiet::inspect(plugin, tally, &bench, marker).await);
        }
        sleep(lateness::PATIENCE).await;
        drop((canaries, sampler));

        part(plugins).await;
        for server in servers {
            server.kill().await;
        }
        let mut tally = Tally::default();
        tallies.into_iter().for_each(|part| tally.add(part));
        let (late, executions) = (bench.lateness.settle(), ledger.executions());
        let Recoveries { gone, alone, frozen } = recoveries;
        let (gone, alone, frozen) = (gone.found(), alone.found(), frozen.found());
        Outcome {
            tally,
            executions,
            faults: faults.by_name(),
            late,
            gone,
            alone,
            frozen,
            wrong_state,
            ways,
            missing: missing(&self.kinds, self.plugins, &faults, &ways),
            took,
        }
    }

    /// Callers, seekers, and one more for each plugin's last calls.
    fn everybody(&self) -> usize {
        self.callers as usize + self.plugins * (SEEKERS as usize + 1)
    }

    fn sites(&self, faults: &Arc<Faults>, ledger: &Arc<Ledger>) -> Vec<Arc<Site>> {
        // Not every call comes to a server, and not every fault finds its moment.
        let gap = 0.5 * self.calls as f64 / self.faults.max(1) as f64;
        let Self { seed, misled, .. } = *self;
        let rules = Arc::new(Rules { seed, faults: self.kinds.clone(), gap, misled });
        let contexts = self.contexts.iter().cycle();
        let sites = (0..self.plugins).zip(contexts).map(|(index, &contexts)| {
            let (faults, ledger) = (Arc::clone(faults), Arc::clone(ledger));
            Arc::new(Site::new(index, contexts, Arc::clone(&rules), faults, ledger))
        });
        sites.collect()
    }

    fn goal(&self, started: Instant, happened: &Arc<Faults>) -> Goal {
        Goal {
            calls_each: self.calls.div_ceil(u64::from(self.callers)) as u32,
            faults: if self.kinds.is_empty() { 0 } else { self.faults },
            until: self.lasts.map(|lasts| started + lasts),
            happened: Arc::clone(happened),
        }
    }
}

/// Every other plugin is shut down, the others are only dropped.
async fn part(plugins: Arc<[Plugin]>) {
    for plugin in plugins.iter().step_by(2) {
        plugin.handle.shutdown(Duration::from_millis(100)).await;
    }
}
