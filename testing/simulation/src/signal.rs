//! A number that only grows, and those who wait for it to grow.
//!
//! Not tokio's `watch`, which wakes its receivers in an order of chance.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Signal {
    count: AtomicU64,
    grown: Notify,
}

impl Signal {
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Wakes everybody, those who wait longest first.
    pub fn grow(&self) {
        self.count.fetch_add(1, Relaxed);
        self.grown.notify_waiters();
    }

    /// Waits until it is beyond `count`.
    pub async fn beyond(&self, count: u64) {
        loop {
            // Made before the look at the number: from here on no growth is missed.
            let grown = self.grown.notified();
            if self.count() > count {
                return;
            }
            grown.await;
        }
    }
}
