//! The tasks that call, and what became of their calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hookwire::{PluginContext, PluginHandle};
use serde_json::Value;
use tokio::task::JoinSet;

use super::arrivals::{Arrivals, Due};
use super::stamp::Stamps;
use crate::failure::{Failure, note};
use crate::tally::{Shared, Tally};
use crate::text;

/// What is called, and by how many tasks.
#[derive(Debug)]
pub(super) struct Load {
    call: Arc<Call>,
    callers: usize,
    /// `None`: each caller calls again as soon as it can.
    arrivals: Option<Arrivals>,
}

#[derive(Debug)]
struct Call {
    hook: String,
    payload: Value,
    verify: bool,
    stamps: Stamps,
}

/// What became of some calls, and how long they took together.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
}

impl Round {
    pub(super) fn empty() -> Result<Self, Failure> {
        Ok(Self { tally: Tally::new()?, elapsed: Duration::ZERO })
    }

    /// Results per second.
    pub(super) fn per_second(&self) -> f64 {
        self.tally.ok() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.elapsed += other.elapsed;
    }
}

/// One round, as its callers see it.
struct Running {
    call: Arc<Call>,
    handle: PluginHandle,
    calls: Calls,
    /// The first failed call is the last.
    stop_at_failure: bool,
    stopped: AtomicBool,
    results: Shared,
}

/// Where callers get their next call from.
enum Calls {
    /// So many are left that nobody has begun; each is counted from its beginning.
    Left(AtomicU64),
    /// Each is counted from when it was due.
    Due(Arc<Due>),
}

impl Load {
    /// # Errors
    /// A payload that has no room for a marker is wrong usage.
    pub(super) fn new(
        hook: &str,
        mut payload: Value,
        verify: bool,
        callers: usize,
        arrivals: Option<Arrivals>,
    ) -> Result<Self, Failure> {
        let stamps = Stamps::new();
        if verify {
            stamps.next().mark(&mut payload).map_err(Failure::usage)?;
        }
        let call = Call { hook: hook.to_owned(), payload, verify, stamps };
        Ok(Self { call: Arc::new(call), callers, arrivals })
    }

    /// Makes some calls that do not count, unless the first ones fail.
    pub(super) async fn warm_up(&self, handle: &PluginHandle, calls: u64) -> Result<(), Failure> {
        self.round(handle, calls, None, true).await.map(drop)
    }

    /// Makes this many calls.
    pub(super) async fn run(&self, handle: &PluginHandle, calls: u64) -> Result<Round, Failure> {
        self.round(handle, calls, self.arrivals, false).await
    }

    async fn round(
        &self,
        handle: &PluginHandle,
        calls: u64,
        arrivals: Option<Arrivals>,
        stop_at_failure: bool,
    ) -> Result<Round, Failure> {
        let results = Shared::new()?;
        let started = Instant::now();
        let source = match arrivals {
            None => Calls::Left(AtomicU64::new(calls)),
            Some(arrivals) => {
                Calls::Due(arrivals.start(calls).map_err(Failure::io("start a thread"))?)
            }
        };
        let running = Arc::new(Running {
            call: Arc::clone(&self.call),
            handle: handle.clone(),
            calls: source,
            stop_at_failure,
            stopped: AtomicBool::new(false),
            results,
        });
        let mut callers = JoinSet::new();
        // Those beyond the calls would find none left.
        let callers_needed = self.callers.min(usize::try_from(calls).unwrap_or(usize::MAX));
        for caller in 0..callers_needed {
            callers.spawn(run_caller(Arc::clone(&running), caller));
        }
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.tick().await;
        loop {
            tokio::select! {
                ended = callers.join_next() => if ended.is_none() { break },
                _ = ticks.tick() => tell_progress(&running, calls, started),
            }
        }
        let elapsed = started.elapsed();
        Ok(Round { tally: running.results.sum()?, elapsed })
    }
}

async fn run_caller(running: Arc<Running>, caller: usize) {
    let Call { hook, payload, verify, stamps } = &*running.call;
    let handle = running.handle.clone();
    let mut payload = payload.clone();
    while let Some(started) = running.take().await {
        let stamp = stamps.next();
        if *verify {
            // The payload has room for it: the first stamp was tried at the start.
            let _ = stamp.mark(&mut payload);
        }
        let mut context = PluginContext::new(stamp.as_str());
        let outcome = handle.invoke_hook_json(hook, &payload, &mut context).await;
        let took = started.elapsed();
        let foreign =
            *verify && outcome.as_ref().is_ok_and(|result| stamp.is_foreign_to(result, &context));
        running.results.record(caller, took, &outcome, foreign);
        if outcome.is_err() && running.stop_at_failure {
            running.stopped.store(true, Relaxed);
        }
    }
}

impl Running {
    /// Takes the next call: since when its time counts. `None` if there is no more.
    async fn take(&self) -> Option<Instant> {
        if self.stopped.load(Relaxed) {
            return None;
        }
        match &self.calls {
            Calls::Left(left) => {
                let taken = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
                taken.ok().map(|_| Instant::now())
            }
            Calls::Due(due) => due.take().await,
        }
    }
}

fn tell_progress(running: &Running, calls: u64, started: Instant) {
    let (done, failed) = running.results.progress();
    let per_second = (done as f64 / started.elapsed().as_secs_f64()) as u64;
    let [done, calls, failed, per_second] = [done, calls, failed, per_second].map(text::count);
    note(format_args!("bench: {done} of {calls} calls, {failed} failed, {per_second} calls/s"));
}
