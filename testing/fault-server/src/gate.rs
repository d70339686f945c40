//! A point in a script that waits until the test says so, instead of for a while.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Closed at first. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that lets nobody pass yet.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everybody pass, now and later.
    pub fn open(&self) {
        self.0.close();
    }

    /// Lets `count` more pass.
    pub fn admit(&self, count: usize) {
        self.0.add_permits(count);
    }

    /// Waits until the gate lets this one pass.
    pub async fn passed(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}
