//! Which hooks ran, and how often: counted where they run, exactly.
//!
//! Each caller has a ring with a slot for each of its last calls, so the ledger
//! is as large at the end of a long run as at its beginning. A hook that runs so
//! late that its slot belongs to another call cannot be judged, and is counted.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::work::Marker;

/// Calls of a caller that are remembered.
pub(crate) const WINDOW: usize = 1024;

/// The hook ran.
const RAN: u32 = 1;
/// The caller was told that its call was not sent.
const UNSENT: u32 = 2;
/// Its server has answered in a way that is no answer.
const VOID: u32 = 4;
/// Its server has said that the call's time is over.
const OVERDUE: u32 = 8;
/// All of that; above it is the number of the call.
const FACTS: u32 = RAN | UNSENT | VOID | OVERDUE;

pub(crate) struct Ledger {
    /// The number of a call, plus one, and what is known of it.
    slots: Box<[AtomicU32]>,
    executions: AtomicU64,
    twice: AtomicU64,
    repeated: AtomicU64,
    false_unsent: AtomicU64,
    too_late: AtomicU64,
}

/// Hooks that ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Executions {
    pub(crate) all: u64,
    /// Twice or more often, for one call.
    pub(crate) twice: u64,
    /// The same, for a call that allowed it.
    pub(crate) repeated: u64,
    /// Although the caller was told that the call was not sent.
    pub(crate) false_unsent: u64,
    /// So late that it cannot be told any more how often.
    pub(crate) too_late: u64,
}

impl Ledger {
    pub(crate) fn new(callers: usize) -> Self {
        let zero = AtomicU64::default;
        Self {
            slots: (0..callers * WINDOW).map(|_| AtomicU32::new(0)).collect(),
            executions: zero(),
            twice: zero(),
            repeated: zero(),
            false_unsent: zero(),
            too_late: zero(),
        }
    }

    pub(crate) fn executions(&self) -> Executions {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Executions {
            all: count(&self.executions),
            twice: count(&self.twice),
            repeated: count(&self.repeated),
            false_unsent: count(&self.false_unsent),
            too_late: count(&self.too_late),
        }
    }

    /// A server runs the hook of this call.
    pub(crate) fn ran(&self, marker: Marker) {
        add(&self.executions);
        match self.note(marker, RAN) {
            None => add(&self.too_late),
            Some(before) if before & RAN == 0 => {}
            Some(_) if marker.may_repeat => add(&self.repeated),
            Some(_) => add(&self.twice),
        }
    }

    /// The caller was told that the hook did not run.
    pub(crate) fn unsent(&self, marker: Marker) {
        self.note(marker, UNSENT);
    }

    pub(crate) fn has_run(&self, marker: Marker) -> bool {
        self.knows(marker, RAN)
    }

    /// A server answers this call in a way that is no answer, whatever is in it.
    pub(crate) fn void(&self, marker: Marker) {
        self.note(marker, VOID);
    }

    pub(crate) fn is_void(&self, marker: Marker) -> bool {
        self.knows(marker, VOID)
    }

    /// A server says that the time of this call is over.
    pub(crate) fn overdue(&self, marker: Marker) {
        self.note(marker, OVERDUE);
    }

    pub(crate) fn is_overdue(&self, marker: Marker) -> bool {
        self.knows(marker, OVERDUE)
    }

    fn knows(&self, marker: Marker, fact: u32) -> bool {
        self.note(marker, 0).is_some_and(|known| known & fact != 0)
    }

    /// Adds a fact about a call; what was known before, unless it was forgotten.
    fn note(&self, marker: Marker, fact: u32) -> Option<u32> {
        let slot = &self.slots[marker.caller as usize * WINDOW + marker.number as usize % WINDOW];
        let call = (marker.number + 1) << FACTS.count_ones();
        let before = slot.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |slot| {
            match (slot & !FACTS).cmp(&call) {
                std::cmp::Ordering::Less => Some(call | fact),
                std::cmp::Ordering::Equal => Some(slot | fact),
                std::cmp::Ordering::Greater => None,
            }
        });
        let before = before.ok()?;
        let known = if before & !FACTS == call { before & FACTS } else { 0 };
        // Whichever of the two comes second finds out.
        let (both, now) = (RAN | UNSENT, known | fact);
        if known & both != both && now & both == both {
            add(&self.false_unsent);
        }
        Some(known)
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
