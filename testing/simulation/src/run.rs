//! One run: a plugin, its handles one after the other, and their callers, for some steps.
//!
//! A step is a burst of calls in some mood of the plugin, the plugin's recovery, which
//! the client must find, and a long rest in which hardly anybody calls. Each step has dice
//! of its own, so that a run of fewer steps is the beginning, or the end, of the longer.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::caller::{self, Held};
use crate::client;
use crate::dice::{chance, dice};
use crate::event::{Event, Over};
use crate::logs::{self, Logs, Manners};
use crate::mood::{Fault, Faults, Mood};
use crate::plan::{Payload, Plan, Settings};
use crate::servers::Servers;
use crate::troubles::troubles;
use crate::world::{Record, World};

/// How much of a run is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub over: Over,
    /// These steps, the last one excluded.
    pub first: u32,
    pub steps: u32,
    /// The most callers at a time.
    pub callers: u32,
    pub faults: Faults,
    /// Keeps the whole trace, not only its end.
    pub keep_all: bool,
}

impl Limits {
    pub fn of(over: Over) -> Self {
        let faults = Faults::all(over);
        Self { over, first: 0, steps: 12, callers: 200, faults, keep_all: false }
    }
}

/// Runs a seed on this thread.
pub fn run(seed: u64, limits: &Limits) -> Record {
    // The client draws its jitter from this thread's dice.
    fastrand::seed(seed);
    let _guard = tracing::subscriber::set_default(Logs);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O");
    let record = runtime.block_on(async {
        let world = World::new(seed, limits.over, limits.keep_all);
        Run { world: Arc::clone(&world), limits: *limits, held: None }.steps().await;
        world.record()
    });
    logs::behave(Manners { listens: false, panics: None });
    record
}

struct Run {
    world: Arc<World>,
    limits: Limits,
    held: Option<Arc<Held>>,
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Run {
    async fn steps(mut self) {
        for step in self.limits.first..self.limits.steps {
            let mut rng = dice(self.world.seed, "step", step.into());
            if self.held.is_some() && chance(&mut rng, 30) {
                self.let_go().await;
            }
            let mood = Mood::draw(&mut rng, self.limits.faults);
            let held = match &self.held {
                Some(held) => Arc::clone(held),
                None => self.make(&mut rng),
            };
            self.held = Some(Arc::clone(&held));
            self.world.set_mood(mood);
            let stopped = self.burst(step, &held, &mood, &mut rng).await;
            if self.world.is_broken() {
                return;
            }
            if stopped {
                drop(held);
                self.let_go().await;
            } else {
                self.recover(&held).await;
                drop(held);
                self.rest(&mut rng).await;
            }
            if self.world.is_broken() {
                return;
            }
        }
        self.let_go().await;
        self.world.see(Event::Ended);
    }

    /// A handle with another configuration.
    fn make(&self, rng: &mut fastrand::Rng) -> Arc<Held> {
        let log_panics = self.limits.faults.has(Fault::Log) && chance(rng, 20);
        let listens = log_panics || chance(rng, 20);
        let panics = log_panics.then(|| rng.fork());
        logs::behave(Manners { listens, panics });
        Held::new(&self.world, Settings::draw(rng, self.limits.over, log_panics))
    }

    /// Drops the last handle. Its sockets have to be closed by the next one.
    async fn let_go(&mut self) {
        self.held = None;
        sleep(millis(5)).await;
    }

    /// Callers, the plugin's troubles, and the judge's looks in between. True if the handle
    /// was shut down.
    async fn burst(
        &self,
        step: u32,
        held: &Arc<Held>,
        mood: &Mood,
        rng: &mut fastrand::Rng,
    ) -> bool {
        // In every run there is a crowd.
        let drawn = [2, 20, 100, 200][rng.usize(0..4)];
        let callers = if step.is_multiple_of(4) { 200 } else { drawn }.min(self.limits.callers);
        let spread = [0, 100, 3_000, 20_000][rng.usize(0..4)];
        let mut tasks = JoinSet::new();
        let burst = rng.u64(..);
        for number in 0..callers {
            let mut rng = dice(burst, "caller", number.into());
            let (held, mood) = (Arc::clone(held), *mood);
            tasks.spawn(async move {
                sleep(millis(rng.u64(0..=spread))).await;
                for _ in 0..rng.u32(1..=6) {
                    caller::call(&held, Plan::draw(&mut rng, &mood)).await;
                    if chance(&mut rng, 30) {
                        sleep(millis(rng.u64(0..500))).await;
                    }
                }
            });
        }
        let stops = chance(rng, 8);
        if stops {
            let (held, mut rng) = (Arc::clone(held), rng.fork());
            tasks.spawn(async move { stop(&held, &mut rng).await });
        }
        let troubles = tokio::spawn(troubles(Arc::clone(&self.world), rng.fork()));
        while !tasks.is_empty() && !self.world.is_broken() {
            match timeout(millis(rng.u64(1..=60)), tasks.join_next()).await {
                Ok(Some(Err(error))) => self.panicked(held, mood, &error),
                _ => held.sample(),
            }
        }
        troubles.abort();
        held.sample();
        stops
    }

    /// A caller's task panicked: was it its own doing?
    fn panicked(&self, held: &Held, mood: &Mood, error: &tokio::task::JoinError) {
        let expected = held.settings.log_panics || mood.faults.has(Fault::Panic);
        if !expected {
            self.world.fail(10, format!("a call panicked: {error}"));
        }
    }

    /// The plugin is well again. Once everybody can know, a call must succeed and nothing
    /// be left behind.
    async fn recover(&self, held: &Arc<Held>) {
        self.world.set_mood(Mood::well());
        self.world.release();
        let recovery = held.settings.recovery();
        for _ in 0..4 {
            sleep(millis(recovery.div_ceil(4))).await;
            held.sample();
        }
        if held.settings.log_panics {
            // A panic may take the call down.
            return;
        }
        for _ in held.handles() {
            self.world.see(Event::Recovered);
            caller::call(held, Plan::plain()).await;
        }
        sleep(millis(1)).await;
        let handles = held.handles();
        let (sample, counters) = (client::sample(&self.world, handles), client::counters(handles));
        self.world.see(Event::Rested(sample, counters));
    }

    /// Minutes or hours, in which the plugin may come and go and somebody calls now and
    /// then.
    async fn rest(&self, rng: &mut fastrand::Rng) {
        let Some(held) = &self.held else { return };
        let longest = [60_000, 3_600_000, 6 * 3_600_000][rng.usize(0..3)];
        let faults = chance(rng, 30) && !held.settings.log_panics;
        for _ in 0..rng.u32(1..=4) {
            sleep(millis(rng.u64(1..=longest))).await;
            held.sample();
            if faults && self.limits.faults.has(Fault::Restart) {
                let victims = self.world.some_servers(rng);
                let absent = if chance(rng, 50) { victims } else { Servers::NONE };
                self.world.set_mood(Mood { absent, ..Mood::well() });
                self.world.kill(victims);
                self.world.count_fault();
            }
            if faults && self.limits.faults.has(Fault::GoAway) && chance(rng, 30) {
                let stopped = self.world.some_servers(rng);
                self.world.stop(stopped);
                self.world.count_fault();
            }
            if self.limits.faults.has(Fault::TakenOver) && chance(rng, 20) {
                self.world.take_over();
                self.world.count_fault();
            }
            if chance(rng, 50) && !held.settings.log_panics {
                let mut plan = Plan::plain();
                if chance(rng, 20) {
                    plan.payload = Payload::Question;
                }
                caller::call(held, plan).await;
            }
        }
    }
}

/// Shuts the handle down at some time, and sees that it is.
async fn stop(held: &Held, rng: &mut fastrand::Rng) {
    sleep(millis(rng.u64(0..5_000))).await;
    let after = [0, 50, 3_000][rng.usize(0..3)];
    held.world.see(Event::Stopping { by: held.world.now() + after });
    // What it returns waits with the clock of the wall; the state tells the same.
    for handle in held.handles() {
        drop(handle.shutdown(millis(after)));
    }
    sleep(millis(after + 5)).await;
    held.sample();
}
