//! Calls that nobody waits for: bounded, so that a slow plugin cannot pile them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The room for calls in the background.
#[derive(Debug)]
pub(crate) struct Background {
    room: Arc<Semaphore>,
    size: u32,
    dropped: AtomicU64,
    runtime: Option<Handle>,
}

impl Background {
    pub(crate) fn new(size: u32, runtime: Option<Handle>) -> Self {
        let room = Arc::new(Semaphore::new(size as usize));
        Self { room, size, dropped: AtomicU64::new(0), runtime }
    }

    /// Runs `call`, if there is room and a runtime; or else drops it and counts that.
    pub(crate) fn start(&self, call: impl Future<Output = ()> + Send + 'static) -> bool {
        let runtime = self.runtime.clone().or_else(|| Handle::try_current().ok());
        let (Some(runtime), Ok(place)) = (runtime, Arc::clone(&self.room).try_acquire_owned())
        else {
            self.dropped.fetch_add(1, Relaxed);
            return false;
        };
        runtime.spawn(async move {
            call.await;
            drop(place);
        });
        true
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(crate) fn running(&self) -> usize {
        self.size as usize - self.room.available_permits()
    }

    /// Waits until nothing runs, but not longer than `limit`; true if nothing does.
    pub(crate) async fn idle(&self, limit: Duration) -> bool {
        timeout(limit, self.room.acquire_many(self.size)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn beyond_its_size_a_call_is_dropped_and_counted() {
        let background = Background::new(2, None);
        let (finish, finished) = oneshot::channel::<()>();
        assert!(background.start(async { drop(finished.await) }));
        assert!(background.start(pending()));
        assert!(!background.start(pending()));
        assert_eq!((background.running(), background.dropped()), (2, 1));

        finish.send(()).unwrap();
        let one_place = background.room.acquire();
        drop(timeout(LIMIT, one_place).await.expect("the place is free again"));
        assert!(background.start(pending()));
    }

    #[tokio::test(start_paused = true)]
    async fn its_end_is_waited_for_but_not_for_ever() {
        let background = Background::new(3, None);
        assert!(background.idle(LIMIT).await);
        let (finish, finished) = oneshot::channel::<()>();
        assert!(background.start(async { drop(finished.await) }));
        assert!(!background.idle(LIMIT).await);
        finish.send(()).unwrap();
        assert!(background.idle(LIMIT).await);
    }

    #[tokio::test]
    async fn a_call_that_panics_gives_its_place_back() {
        let background = Background::new(1, None);
        assert!(background.start(async { panic!("a plugin's own type") }));
        assert!(background.idle(LIMIT).await);
    }

    #[test]
    fn without_a_runtime_it_is_dropped_and_counted() {
        let background = Background::new(1, None);
        assert!(!background.start(pending()));
        assert_eq!((background.running(), background.dropped()), (0, 1));
    }
}
