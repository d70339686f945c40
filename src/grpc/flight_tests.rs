use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;
use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Work that goes on until it is told to end, and tells which piece of it that was.
#[derive(Default)]
struct Desk {
    flight: Flight<usize>,
    begun: Arc<AtomicUsize>,
    end: Arc<Notify>,
}

impl Desk {
    fn join(&self, patience: Duration) -> Work<usize> {
        self.flight.join(patience, || {
            let number = self.begun.fetch_add(1, SeqCst);
            let end = Arc::clone(&self.end);
            async move {
                end.notified().await;
                number
            }
            .boxed()
        })
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_come_while_it_is_under_way_have_one_outcome_and_later_ones_another() {
    let desk = Desk::default();
    let (one, other) = (desk.join(SECOND), desk.join(SECOND));
    desk.end.notify_one();
    // The first still holds the outcome.
    assert_eq!((other.await, desk.begun.load(SeqCst)), (0, 1));
    let later = desk.join(SECOND);
    desk.end.notify_one();
    assert_eq!((one.await, later.await), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_takes_it_from_nobody_and_the_last_one_ends_it() {
    let desk = Desk::default();
    let mut one = desk.join(SECOND);
    assert!((&mut one).now_or_never().is_none());
    let other = desk.join(SECOND);
    drop(one);
    desk.end.notify_one();
    assert_eq!(other.await, 0);
    drop(desk.join(SECOND));
    assert_eq!(Arc::strong_count(&desk.end), 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_longer_than_one_would_wait_is_not_joined() {
    let desk = Desk::default();
    let stuck = desk.join(SECOND);
    advance(SECOND).await;
    let other = desk.join(SECOND);
    assert!(!other.ptr_eq(&stuck));
    assert!(desk.join(SECOND).ptr_eq(&other));
}
