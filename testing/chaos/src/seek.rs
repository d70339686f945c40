//! How soon calls succeed after a server's return.
//!
//! A few seekers for each plugin call again and again, as soon as its server is
//! back, until they get an answer. What counts is when they have it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::{Bench, call_once};
use crate::fault::Fault;
use crate::outage::Return;
use crate::plan::Plan;
use crate::recovery::Recovery;
use crate::tally::Tally;
use crate::target::Target;
use crate::work::Marker;

pub(crate) const SEEKERS: u32 = 8;

/// Between two calls of a seeker.
const PAUSE: Duration = Duration::from_millis(5);

/// When a seeker gives up.
const LONG: Duration = Duration::from_secs(10);

/// After outages of one kind each.
#[derive(Default)]
pub(crate) struct Recoveries {
    /// The server was gone, or some of several.
    pub(crate) gone: Recovery,
    /// Of those, the ones that left no other server: only here a return has to be found.
    pub(crate) alone: Recovery,
    /// It was there, and did not answer. Nothing tells a client when that is over.
    pub(crate) frozen: Recovery,
}

/// Seeks the plugin at `index` after each return of its server. `first` is the first
/// of the seekers among the callers.
pub(crate) async fn seek<T: Target>(
    targets: Arc<[T]>,
    index: usize,
    bench: Bench,
    first: u32,
    mut returns: mpsc::Receiver<Return>,
) -> (Tally, Recoveries) {
    let (mut tally, mut recoveries) = (Tally::default(), Recoveries::default());
    let mut numbers = [0; SEEKERS as usize];
    while let Some(Return { fault, at, had_others, found }) = returns.recv().await {
        let is_frozen = matches!(fault, Fault::Frozen | Fault::HalfOpen);
        let recovery = if is_frozen { &mut recoveries.frozen } else { &mut recoveries.gone };
        let mut alone = (!is_frozen && !had_others).then_some(&mut recoveries.alone);
        recovery.outage();
        alone.iter_mut().for_each(|alone| alone.outage());
        let mut seekers = JoinSet::new();
        for (seeker, number) in numbers.iter().enumerate() {
            let (caller, may_repeat) = (first + seeker as u32, targets[index].resends());
            let next = Marker { caller, number: *number, may_repeat };
            let (targets, bench) = (Arc::clone(&targets), bench.clone());
            seekers.spawn(async move {
                let (calls, took) = until_answered(&targets[index], &bench, next, at).await;
                (seeker, calls, took)
            });
        }
        while let Some(ended) = seekers.join_next().await {
            let (seeker, calls, took) = ended.expect("a seeker does not panic");
            numbers[seeker] += calls.calls as u32;
            tally.add(calls);
            recovery.seeker(took);
            alone.iter_mut().for_each(|alone| alone.seeker(took));
        }
        drop(found);
    }
    (tally, recoveries)
}

/// Calls until there is an answer: how long after the return that was.
async fn until_answered<T: Target>(
    target: &T,
    bench: &Bench,
    mut marker: Marker,
    returned: Instant,
) -> (Tally, Option<Duration>) {
    let mut tally = Tally::default();
    while returned.elapsed() < LONG {
        call_once(target, &Plan::plain(), marker, bench, &mut tally).await;
        marker.number += 1;
        if tally.of("allowed") + tally.of("denied") + tally.of("plugin_error") > 0 {
            return (tally, Some(returned.elapsed()));
        }
        sleep(PAUSE).await;
    }
    (tally, None)
}
