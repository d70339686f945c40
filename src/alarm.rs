//! A point in time that comes whether a runtime is driven or not.
//!
//! A shutdown may be waited for inside a runtime that is being dropped: its timers are
//! gone, and so may be the tasks that would end the wait. One thread serves all alarms
//! of the process; it is there only while somebody waits.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// By time, and a number that tells those of one time apart.
type Key = (Instant, u64);

#[derive(Default)]
struct Alarms {
    wakers: BTreeMap<Key, Waker>,
    last: u64,
    /// The thread is there.
    attended: bool,
}

static ALARMS: LazyLock<(Mutex<Alarms>, Condvar)> = LazyLock::new(Default::default);

fn lock() -> MutexGuard<'static, Alarms> {
    // Nothing panics while it is held.
    ALARMS.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ready at a point in time.
#[derive(Debug)]
pub(crate) struct Alarm {
    at: Instant,
    key: Option<Key>,
}

impl Alarm {
    pub(crate) fn new(at: Instant) -> Self {
        Self { at, key: None }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let mut alarms = lock();
        let key = self.key.unwrap_or_else(|| {
            alarms.last += 1;
            (self.at, alarms.last)
        });
        self.key = Some(key);
        alarms.wakers.insert(key, cx.waker().clone());
        if alarms.attended {
            ALARMS.1.notify_one();
            return Poll::Pending;
        }
        let thread = std::thread::Builder::new().name("hookwire-alarm".to_owned());
        alarms.attended = thread.spawn(attend).is_ok();
        // Without a thread nobody would wake the caller: better early than never.
        if alarms.attended { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock().wakers.remove(&key);
            ALARMS.1.notify_one();
        }
    }
}

/// Wakes those whose time has come, until nobody waits.
fn attend() {
    let mut alarms = lock();
    while let Some((&(at, _), _)) = alarms.wakers.first_key_value() {
        let now = Instant::now();
        if at > now {
            let wait = ALARMS.1.wait_timeout(alarms, at - now);
            alarms = wait.unwrap_or_else(PoisonError::into_inner).0;
        } else if let Some((_, waker)) = alarms.wakers.pop_first() {
            drop(alarms);
            waker.wake();
            alarms = lock();
        }
    }
    alarms.attended = false;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::executor::block_on;
    use futures::future::{Either, join_all, select};

    use super::*;

    #[test]
    fn alarms_go_off_in_time_and_no_thread_stays() {
        let started = Instant::now();
        let after = |millis| Alarm::new(started + Duration::from_millis(millis));
        block_on(join_all([30, 10, 20].map(after)));
        assert!(started.elapsed() >= Duration::from_millis(30));
        let day = Alarm::new(started + Duration::from_secs(86_400));
        match block_on(select(day, after(40))) {
            Either::Right(((), day)) => drop(day),
            Either::Left(_) => panic!("a day has passed"),
        }
        while lock().attended {
            std::thread::yield_now();
        }
    }
}
