//! Where handles and a connection's task meet, explored by loom: `.ci/loom`.
//!
//! Every interleaving of a few threads, and every value that their loads may see
//! on any machine. What is made of plain atomics is the real thing: gauges, the
//! choice of a connection, the call to stop. tokio's channels and semaphores
//! cannot be explored from outside, so the queue is a model with the steps and
//! orderings of tokio's; `task/end_tests.rs` has the real one, on real threads.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use tokio::time::Instant;

use super::gauge::{Gauge, Suspicion};
use super::shared::Shared;
use super::state::ConnectionState::{Idle, Ready};
use crate::config::{CallPolicy, UnixSocketConfig};
use crate::pool::Pool;

fn gauges(states: &[super::ConnectionState]) -> Arc<Vec<Gauge>> {
    let gauge = |&state| {
        let gauge = Gauge::default();
        gauge.set_state(state);
        gauge
    };
    Arc::new(states.iter().map(gauge).collect())
}

/// Three threads have too many interleavings; those with few forced switches find
/// nearly everything.
fn few_switches(bound: usize) -> loom::model::Builder {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(bound);
    model
}

/// `callers` choose at once: which connections.
fn choose(gauges: &Arc<Vec<Gauge>>, callers: usize) -> Vec<usize> {
    let caller = |_| {
        let gauges = Arc::clone(gauges);
        thread::spawn(move || Pool::choose_among(&gauges, true))
    };
    let others: Vec<_> = (1..callers).map(caller).collect();
    let mut chosen = vec![Pool::choose_among(gauges, true)];
    chosen.extend(others.into_iter().map(|other| other.join().unwrap()));
    chosen.sort_unstable();
    chosen
}

#[test]
fn two_callers_at_once_never_get_the_same_free_connection() {
    for states in [[Ready, Ready], [Ready, Idle]] {
        loom::model(move || {
            let gauges = gauges(&states);
            assert_eq!(choose(&gauges, 2), [0, 1]);
            assert_eq!([gauges[0].load(), gauges[1].load()], [1, 1]);
        });
    }
}

#[test]
fn a_third_caller_shares_a_connection_and_is_counted_once() {
    few_switches(3).check(|| {
        let gauges = gauges(&[Ready, Ready]);
        let chosen = choose(&gauges, 3);
        let on = |index| chosen.iter().filter(|&&chosen| chosen == index).count();
        assert!(on(0) >= 1 && on(1) >= 1, "{chosen:?}");
        assert_eq!([gauges[0].load(), gauges[1].load()], [on(0), on(1)]);
    });
}

/// What the task does in a turn: it registers first and looks then.
async fn until(gauge: &Gauge, mut is: impl FnMut() -> bool) {
    poll_fn(|cx| {
        gauge.register(cx.waker());
        if is() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn a_task_is_always_woken_for_a_suspicious_reply_and_told_why() {
    loom::model(|| {
        let gauges = gauges(&[Ready]);
        let caller = {
            let gauges = Arc::clone(&gauges);
            thread::spawn(move || gauges[0].suspect(7, Suspicion::Empty))
        };
        let gauge = &gauges[0];
        let mut found = None;
        block_on(until(gauge, || {
            found = gauge.suspicion(7);
            found.is_some()
        }));
        assert_eq!(found, Some(Suspicion::Empty));
        assert_eq!(gauge.suspicion(8), None);
        caller.join().unwrap();
    });
}

/// The later socket stays suspect, whichever caller is first to tell.
#[test]
fn a_late_suspicion_of_an_earlier_socket_hides_none_of_a_later_one() {
    loom::model(|| {
        let gauges = gauges(&[Ready]);
        let caller = {
            let gauges = Arc::clone(&gauges);
            thread::spawn(move || gauges[0].suspect(1, Suspicion::Mismatch))
        };
        gauges[0].suspect(2, Suspicion::Mismatch);
        caller.join().unwrap();
        assert_eq!(gauges[0].suspicion(2), Some(Suspicion::Mismatch));
        assert_eq!(gauges[0].suspicion(1), None);
    });
}

#[test]
fn a_task_is_always_woken_to_stop_and_sees_when() {
    let config = UnixSocketConfig::builder("/run/p.sock").max_connections(1).build().unwrap();
    let policy = CallPolicy::builder().build().unwrap();
    loom::model(move || {
        let shared = Arc::new(Shared::new("P".into(), &config, &policy));
        let deadline = Instant::now() + Duration::from_secs(1);
        let handle = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.stop(deadline))
        };
        block_on(until(&shared.gauges[0], || shared.stop_at().is_some()));
        assert!(shared.stop_at().is_some_and(|at| at <= deadline));
        handle.join().unwrap();
    });
}

/// tokio's bounded queue, in its steps: a place is taken, by compare-and-swap,
/// before the call is put into it; closing marks the places.
struct Queue {
    /// Places that are taken, times two; odd once the queue is closed.
    taken: AtomicUsize,
    calls: Mutex<VecDeque<usize>>,
}

impl Queue {
    fn put(&self, call: usize) -> Result<(), ()> {
        let mut taken = self.taken.load(Ordering::Acquire);
        loop {
            if taken & 1 == 1 {
                return Err(());
            }
            let more = taken + 2;
            match self.taken.compare_exchange(taken, more, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => taken = now,
            }
        }
        // The caller may be held up here, and the queue be closed.
        self.calls.lock().unwrap().push_back(call);
        Ok(())
    }

    fn close(&self) {
        self.taken.fetch_or(1, Ordering::Release);
    }

    fn take(&self) -> Option<usize> {
        let call = self.calls.lock().unwrap().pop_front()?;
        self.taken.fetch_sub(2, Ordering::Release);
        Some(call)
    }

    /// As `recv` says `None`: closed, and no place is taken.
    fn is_at_its_end(&self) -> bool {
        self.taken.load(Ordering::Acquire) == 1
    }
}

#[test]
fn every_call_that_the_queue_took_is_answered_before_the_task_ends() {
    few_switches(3).check(|| {
        let queue = Arc::new(Queue { taken: AtomicUsize::new(0), calls: Mutex::default() });
        let gauges = gauges(&[Ready]);
        let callers: Vec<_> = (0..2)
            .map(|call| {
                let (queue, gauges) = (Arc::clone(&queue), Arc::clone(&gauges));
                thread::spawn(move || {
                    gauges[0].add_load();
                    let accepted = queue.put(call).is_ok();
                    if !accepted {
                        gauges[0].sub_load(1);
                    }
                    accepted
                })
            })
            .collect();
        queue.close();
        let mut answered = Vec::new();
        loop {
            while let Some(call) = queue.take() {
                gauges[0].sub_load(1);
                answered.push(call);
            }
            if queue.is_at_its_end() {
                break;
            }
            thread::yield_now();
        }
        answered.sort_unstable();
        let accepted: Vec<bool> =
            callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let accepted: Vec<usize> = (0..2).filter(|&call| accepted[call]).collect();
        assert_eq!(answered, accepted);
        assert_eq!(gauges[0].load(), 0);
    });
}
