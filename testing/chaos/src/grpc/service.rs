//! What the calls of a connection have in common.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::member::Member;
use super::wire::Valve;

/// A reply for another call, and who gives one for it.
pub(crate) type Swap = (Vec<u8>, oneshot::Sender<Vec<u8>>);

pub(crate) struct Service {
    pub(crate) member: Arc<Member>,
    pub(crate) valve: Arc<Valve>,
    swap: Mutex<Option<Swap>>,
    checked: AtomicBool,
}

impl Service {
    pub(crate) fn new(member: Arc<Member>, valve: Arc<Valve>) -> Self {
        Self { member, valve, swap: Mutex::default(), checked: AtomicBool::new(false) }
    }

    /// Whether it is the first check: that of a client that has just come.
    pub(crate) fn is_first_check(&self) -> bool {
        !self.checked.swap(true, Relaxed)
    }

    pub(crate) fn offer_swap(&self, swap: Swap) {
        *self.swap.lock().unwrap_or_else(PoisonError::into_inner) = Some(swap);
    }

    pub(crate) fn take_swap(&self) -> Option<Swap> {
        self.swap.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
