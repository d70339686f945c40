//! One caller: calls one plugin after the other, leaves some calls early, and has
//! every answer judged.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hookwire::{PluginContext, PluginError, Sent};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::dice::Dice;
use crate::fault::Faults;
use crate::judge::{Asked, Told, Wrong, first_state, judge, version_of};
use crate::lateness::Lateness;
use crate::ledger::Ledger;
use crate::plan::{Leave, Plan};
use crate::site::Contexts;
use crate::tally::Tally;
use crate::target::Target;
use crate::work::Marker;

/// After this much more than its time a call is given up on: it hangs.
const GRACE: Duration = Duration::from_secs(10);

/// After a few calls a caller pauses, in milliseconds: long enough that a machine
/// with two cores has time to spare, and that a call which is late is late for a reason.
const PAUSE: (f64, f64) = (20.0, 2_000.0);

/// When another server takes a path over, so long after it no call may go to the one before.
pub(crate) const FOLLOWED: Duration = Duration::from_secs(1);

/// What judging a call needs.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) lateness: Arc<Lateness>,
}

/// When callers may stop.
#[derive(Clone)]
pub(crate) struct Goal {
    pub(crate) calls_each: u32,
    pub(crate) faults: u64,
    pub(crate) until: Option<Instant>,
    pub(crate) happened: Arc<Faults>,
}

impl Goal {
    fn is_reached(&self, calls: u32) -> bool {
        match self.until {
            Some(until) => Instant::now() >= until,
            None => calls >= self.calls_each && self.happened.total() >= self.faults,
        }
    }
}

/// Calls until the goal is reached: a tally for each target, and one for handles
/// that lived for a few calls only.
pub(crate) async fn call_on<T: Target>(
    targets: Arc<[T]>,
    bench: Bench,
    caller: u32,
    mut dice: Dice,
    goal: Goal,
) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = (0..=targets.len()).map(|_| Tally::default()).collect();
    let mut number = 0;
    // They do not all come at once.
    sleep(dice.millis(1.0, 500.0)).await;
    while !goal.is_reached(number) {
        let at = dice.below(targets.len());
        let short_lived = if dice.one_in(500) { targets[at].short_lived() } else { None };
        let (target, tally, calls) = match &short_lived {
            Some(target) => (target, targets.len(), dice.between(1, 4)),
            None => (&targets[at], at, 1),
        };
        for _ in 0..calls {
            let plan = Plan::roll(&mut dice);
            // Rolled whether it is waited for or not: what comes next must not depend on
            // how this call ends.
            let pause = dice.millis(5.0, 100.0);
            let may_repeat = plan.may_repeat || target.resends();
            let marker = Marker { caller, number, may_repeat };
            number += 1;
            let wait = call_once(target, &plan, marker, &bench, &mut tallies[tally]).await;
            if wait {
                sleep(pause).await;
            }
        }
        if dice.one_in(4) {
            sleep(dice.millis(PAUSE.0, PAUSE.1)).await;
        }
        if let Some(target) = short_lived {
            target.part(dice.one_in(2).then(|| dice.millis(0.1, 50.0))).await;
        }
    }
    tallies
}

/// One call; true if its caller should wait before the next one, as the plugin is
/// down or full.
pub(crate) async fn call_once<T: Target>(
    target: &T,
    plan: &Plan,
    marker: Marker,
    bench: &Bench,
    tally: &mut Tally,
) -> bool {
    tally.calls += 1;
    if plan.asks_for_config {
        let deadline = Instant::now() + target.timeout();
        match until_ended(target.ask_for_config(), deadline, &bench.lateness).await {
            Some((outcome, wrong)) => {
                tally.count(outcome);
                if let Some(wrong) = wrong {
                    tally.wrong(target.name(), &wrong);
                }
            }
            None => {
                let what = format!("{}: a question", target.name());
                never_ended(tally, "config_never_ended", what);
            }
        }
        return false;
    }
    let (contexts, proves_unstarted) = (target.contexts(), target.proves_unstarted());
    let asked = Asked { marker, filler: plan.filler, contexts, proves_unstarted };
    let request_id = match asked.contexts {
        Contexts::Stamped => "the one request".to_owned(),
        _ => format!("request-{marker}"),
    };
    let mut context = PluginContext::new(request_id).with_state(first_state(marker));
    let began = Instant::now();
    let deadline = began + plan.timeout.unwrap_or(target.timeout());
    let ended = {
        let call = until_ended(target.call(&asked, plan, &mut context), deadline, &bench.lateness);
        match plan.leave {
            Leave::Never => Some(call.await),
            Leave::After(wait) => timeout(wait, call).await.ok(),
            Leave::AtPoll(polls) => poll_times(call, polls).await,
        }
    };
    let told = match ended {
        Some(Some(told)) => told,
        Some(None) => {
            never_ended(tally, "never_ended", format!("{}: call {marker}", target.name()));
            return false;
        }
        None => {
            tally.count(if plan.leave == Leave::AtPoll(0) { "never_begun" } else { "left" });
            if context.state != first_state(marker) {
                let what = "a call that was left changed its context".to_owned();
                tally.wrong(target.name(), &Wrong::Mismatched(what));
            }
            return false;
        }
    };
    if told.as_ref().is_err_and(PluginError::is_timeout)
        && Instant::now() < deadline
        && !bench.ledger.is_overdue(marker)
    {
        tally.wrong(&format!("{} call {marker}", target.name()), &Wrong::TooSoon);
    }
    if let Some(replaced) = version_of(&told).and_then(|version| target.replaced_at(version)) {
        let since = began.saturating_duration_since(replaced);
        tally.stalest = tally.stalest.max(since);
        if since > FOLLOWED {
            tally.wrong(&format!("{} call {marker}", target.name()), &Wrong::Outdated(since));
        }
    }
    let at_head =
        |error: &PluginError| error.reason() == "disconnected" && error.sent() == Sent::Maybe;
    tally.lost_heads += u64::from(told.as_ref().is_err_and(at_head));
    let (outcome, wrong) = judge(&asked, &told, &context, &bench.ledger);
    tally.count(outcome);
    if let Some(wrong) = wrong {
        tally.wrong(&format!("{} call {marker}", target.name()), &wrong);
    }
    is_away(&told)
}

/// What a call comes to; `None` if it has to be given up on. At its deadline the
/// caller wakes up by itself: how late the call is counts from when it is awake, and
/// what the machine was late to wake it does not count.
async fn until_ended<T>(
    call: impl Future<Output = T>,
    deadline: Instant,
    lateness: &Lateness,
) -> Option<T> {
    let mut call = pin!(call);
    if let Ok(told) = timeout_at(deadline, &mut call).await {
        return Some(told);
    }
    let awake = Instant::now();
    lateness.woken(deadline, awake);
    let told = timeout_at(awake + GRACE, call).await.ok()?;
    lateness.call(awake, Instant::now());
    Some(told)
}

fn never_ended(tally: &mut Tally, outcome: &'static str, what: String) {
    tally.never_ended += 1;
    tally.count(outcome);
    tally.tell(format!("{what} never ended"));
}

fn is_away(told: &Told) -> bool {
    let away = |reason| matches!(reason, "unavailable" | "unresponsive" | "overloaded");
    told.as_ref().is_err_and(|error| away(error.reason()))
}

/// Polls a future this many times, letting others run in between, and drops it.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        yield_now().await;
    }
    None
}
