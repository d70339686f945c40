//! Calls that end after their deadline, and whether the machine was to blame.
//!
//! A busy machine wakes everybody late. A caller knows how late it was woken itself,
//! and counts from then on. What is left are two steps that nobody sees from outside:
//! the connection's task has to be woken, and then the caller by it. But all wait in
//! the same run queues: so callers note how late they were woken, and so do canaries,
//! which do nothing else. A call that ends more than [`ALLOWED`] after its caller was
//! awake is hung, unless somebody who was to be woken in the same time was so late
//! that two such steps account for the rest.
//!
//! Over gRPC no other task has to be woken. There a call wakes up by itself too, and before it
//! gives up lets its connection have some turns: these are steps as well.
//!
//! That does not see when the system takes the processor from one of the runtime's
//! threads only: those whom the others wake are on time. So what such a thread waited
//! for a processor while the call was late is not held against it either. It counts
//! once: a call is kept by one thread at a time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::waits::Waits;

/// What a call may be late, on a machine that is not busy.
pub(crate) const ALLOWED: Duration = Duration::from_millis(50);

/// For those who were under way with a call to note it, before the call is judged.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// From the connection's deadline to the caller.
const STEPS: u32 = 2;
/// From the call's own deadline to its end: it is woken, and gives three turns.
const STEPS_OVER_GRPC: u32 = 4;

/// A canary sets out this often.
const PERIOD: Duration = Duration::from_millis(10);
const CANARIES: u32 = 8;

/// The resolution of what is noted, and how much of it.
const SLOT: Duration = Duration::from_millis(10);
const SLOTS: u64 = 4096;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) hung: u64,
    /// The latest of those.
    pub(crate) worst_hung: Duration,
    /// Later than allowed, but no more than the machine was late.
    pub(crate) explained: u64,
    pub(crate) worst_explained: Duration,
    /// The latest that the machine was.
    pub(crate) worst_machine: Duration,
    /// The longest that a callers' thread waited for a processor while a call was late.
    pub(crate) worst_starved: Duration,
}

pub(crate) struct Lateness {
    began: Instant,
    /// In which somebody may be as late as the machine.
    steps: u32,
    /// For each slot of time, its number in the upper half and in the lower one the
    /// most that somebody was late who was under way in it, in µs.
    slots: Box<[AtomicU64]>,
    starved: Mutex<Waits>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// Late ones that are not judged yet: since when, and until when.
    open: Vec<(Instant, Instant)>,
    late: Late,
}

impl Lateness {
    pub(crate) fn new() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let (starved, calls) = Default::default();
        Self { began: Instant::now(), steps: STEPS, slots, starved, calls }
    }

    /// For calls over gRPC.
    pub(crate) fn over_grpc() -> Self {
        Self { steps: STEPS_OVER_GRPC, ..Self::new() }
    }

    /// Starts the canaries on this runtime; they end when the set is dropped.
    pub(crate) fn watch(self: &Arc<Self>) -> JoinSet<()> {
        let mut canaries = JoinSet::new();
        for canary in 0..CANARIES {
            let this = Arc::clone(self);
            let mut due = Instant::now() + PERIOD * canary / CANARIES;
            canaries.spawn(async move {
                loop {
                    sleep_until(due).await;
                    let awake = Instant::now();
                    this.woken(due, awake);
                    due = awake + PERIOD;
                }
            });
        }
        canaries
    }

    /// Somebody was to be woken at a time, and was.
    pub(crate) fn woken(&self, due: Instant, awake: Instant) {
        let late = awake.saturating_duration_since(due).as_micros() as u64;
        for slot in self.slots_of(due, awake) {
            self.slots[(slot % SLOTS) as usize].fetch_max(slot << 32 | late, Relaxed);
        }
    }

    /// A callers' thread waited for a processor, for so long until now.
    pub(crate) fn starved(&self, waited: Duration, until: Instant) {
        lock(&self.starved).note(waited, until);
    }

    /// A call ended; since `due` it was late.
    pub(crate) fn call(&self, due: Instant, ended: Instant) {
        if ended > due + ALLOWED {
            lock(&self.calls).open.push((due, ended));
        }
    }

    /// Judges the calls that ended long enough ago.
    pub(crate) fn settle(&self) -> Late {
        let mut calls = lock(&self.calls);
        let now = Instant::now();
        let of_now = self.machine(now - PATIENCE.min(now - self.began), now);
        calls.late.worst_machine = calls.late.worst_machine.max(of_now);
        let open = std::mem::take(&mut calls.open);
        for call in open {
            if call.1 + PATIENCE > now {
                calls.open.push(call);
                continue;
            }
            let (over, late) = (call.1 - call.0, &mut calls.late);
            let machine = self.machine(call.0, call.1);
            let starved = lock(&self.starved).within(call.0, call.1);
            late.worst_starved = late.worst_starved.max(starved);
            if over <= ALLOWED + starved.max(self.steps * machine) {
                late.explained += 1;
                late.worst_explained = late.worst_explained.max(over);
            } else {
                late.hung += 1;
                late.worst_hung = late.worst_hung.max(over);
            }
        }
        calls.late
    }

    /// The most that anybody was late who was under way in this time.
    fn machine(&self, from: Instant, to: Instant) -> Duration {
        let noted = self.slots_of(from, to).map(|slot| {
            let noted = self.slots[(slot % SLOTS) as usize].load(Relaxed);
            if noted >> 32 == slot { noted & u64::from(u32::MAX) } else { 0 }
        });
        Duration::from_micros(noted.max().unwrap_or(0))
    }

    fn slots_of(&self, from: Instant, to: Instant) -> impl Iterator<Item = u64> + use<> {
        let slot = |at: Instant| {
            (at.saturating_duration_since(self.began).as_millis() / SLOT.as_millis()) as u64
        };
        slot(from)..=slot(to).min(slot(from) + SLOTS)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
