//! The breaker as a plugin's tasks and callers share it.
//!
//! While all is well a call reads one atomic, and so does a batch of replies. Only
//! what changes something, or is refused, takes the lock behind it.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::machine::{Breaker, BreakerState, Reason, Signal, Verdict};
use crate::error::Cause;
use crate::identity::Identity;

/// Calls pass, and no reply is missing.
const UNTROUBLED: u8 = 0;
/// Calls pass; replies are missing.
const TROUBLED: u8 = 1;
/// Calls must ask the breaker first.
const OPEN: u8 = 2;

#[derive(Debug)]
pub(crate) struct Gate {
    identity: Arc<Identity>,
    started: Instant,
    /// A summary of the breaker, for those who only pass by.
    level: AtomicU8,
    opened: AtomicU64,
    /// Locked for a moment at a time, never while anything is awaited.
    locked: Mutex<Locked>,
    state: watch::Sender<BreakerState>,
}

#[derive(Debug)]
struct Locked {
    breaker: Breaker,
    /// Why the last attempt to reach the plugin failed.
    error: Arc<io::Error>,
    /// Why nothing passes, ever.
    bar: Option<Cause>,
}

impl Locked {
    fn barred(&self) -> Result<(), Cause> {
        self.bar.clone().map_or(Ok(()), Err)
    }

    fn cause(&self, reason: Reason, retry_after: Option<Duration>) -> Cause {
        match reason {
            Reason::Unreachable { attempts } => {
                Cause::unreachable(attempts, Arc::clone(&self.error), retry_after)
            }
            Reason::Unresponsive { missing } => Cause::Unresponsive { missing, retry_after },
        }
    }
}

impl Gate {
    pub(crate) fn new(identity: Arc<Identity>, breaker: Breaker) -> Self {
        let error = Arc::new(io::ErrorKind::NotConnected.into());
        Self {
            identity,
            started: Instant::now(),
            level: AtomicU8::new(UNTROUBLED),
            opened: AtomicU64::new(0),
            locked: Mutex::new(Locked { breaker, error, bar: None }),
            state: watch::Sender::new(BreakerState::Closed),
        }
    }

    /// From now on nothing passes, no question either.
    #[cfg(feature = "grpc")]
    pub(crate) fn bar(&self, cause: Cause) {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner).bar = Some(cause);
        self.level.store(OPEN, Relaxed);
    }

    /// True if nothing passes, ever.
    pub(crate) fn is_barred(&self) -> bool {
        let locked = || self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_closed() && locked().bar.is_some()
    }

    /// Lets a hook call through or tells why not. What comes back is held until the call
    /// ends.
    pub(crate) fn admit(&self) -> Result<Option<HalfOpenPermit<'_>>, Cause> {
        if self.level.load(Relaxed) < OPEN {
            return Ok(None);
        }
        self.change(|locked, now| match locked.breaker.admit(now) {
            _ if locked.bar.is_some() => locked.barred().map(|()| None),
            Verdict::Pass => Ok(None),
            Verdict::Trial(number) => Ok(Some(HalfOpenPermit { gate: self, number })),
            Verdict::Refuse(reason, after) => Err(locked.cause(reason, after)),
        })
    }

    /// Lets a question through unless the plugin cannot be reached. It says nothing of
    /// hooks, so it is no trial, and an unresponsive plugin may well answer it.
    pub(crate) fn admit_question(&self) -> Result<(), Cause> {
        if self.is_closed() {
            return Ok(());
        }
        let locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        locked.barred()?;
        match locked.breaker.refusal(self.started.elapsed()) {
            (reason @ Reason::Unreachable { .. }, after) if locked.breaker.is_reconnecting() => {
                Err(locked.cause(reason, after))
            }
            _ => Ok(()),
        }
    }

    /// True if calls pass.
    pub(crate) fn is_closed(&self) -> bool {
        self.level.load(Relaxed) < OPEN
    }

    /// True if calls are refused until there is a new connection.
    pub(crate) fn is_reconnecting(&self) -> bool {
        let locked = || self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_closed() && locked().breaker.is_reconnecting()
    }

    /// True if a reply is worth a signal.
    pub(crate) fn is_troubled(&self) -> bool {
        self.level.load(Relaxed) != UNTROUBLED
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.change(|locked, now| locked.breaker.on(signal, now, fastrand::f64()));
    }

    /// As [`Signal::Unreachable`]: the last attempt failed with `error`, and the next
    /// one is due after `delay`.
    pub(crate) fn unreachable(
        &self,
        attempts: u32,
        error: &Arc<io::Error>,
        delay: Duration,
        broken: bool,
    ) {
        self.change(|locked, now| {
            locked.error = Arc::clone(error);
            let signal = Signal::Unreachable { attempts, next: now + delay, broken };
            locked.breaker.on(signal, now, fastrand::f64());
        });
    }

    pub(crate) fn state(&self) -> BreakerState {
        *self.state.borrow()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<BreakerState> {
        self.state.subscribe()
    }

    /// How often it opened, trials that failed left out.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Locked, Duration) -> T) -> T {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.started.elapsed();
        let before = locked.breaker.state();
        let output = change(&mut locked, now);
        let after = locked.breaker.state();
        let level = match after {
            _ if locked.bar.is_some() => OPEN,
            BreakerState::Closed if locked.breaker.is_untroubled() => UNTROUBLED,
            BreakerState::Closed => TROUBLED,
            _ => OPEN,
        };
        self.level.store(level, Relaxed);
        if before == after {
            return output;
        }
        self.state.send_replace(after);
        let (reason, retry_after) = locked.breaker.refusal(now);
        let reason = locked.cause(reason, retry_after);
        // A subscriber may look at the plugin.
        drop(locked);
        if before == BreakerState::Closed {
            self.opened.fetch_add(1, Relaxed);
        }
        self.identity.log(|identity| tell(identity, before, after, &reason));
        output
    }

    /// Forgets everything, without a word: the tasks that would find the plugin again
    /// are gone.
    pub(crate) fn reset(&self) {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        locked.breaker.on(Signal::Reset, self.started.elapsed(), 0.0);
        self.level.store(if locked.bar.is_some() { OPEN } else { UNTROUBLED }, Relaxed);
        self.state.send_if_modified(|state| {
            std::mem::replace(state, BreakerState::Closed) != BreakerState::Closed
        });
    }
}

fn tell(identity: &Identity, before: BreakerState, after: BreakerState, reason: &Cause) {
    let (plugin, socket) = (&identity.plugin, &identity.endpoint);
    match (before, after) {
        (BreakerState::Closed, _) => {
            tracing::info!(%plugin, %socket, %reason, "breaker opened, plugin is down: calls fail at once until it is back");
        }
        (_, BreakerState::Closed) => {
            tracing::info!(%plugin, %socket, "breaker closed, plugin is back: calls pass again");
        }
        (from, to) => {
            tracing::debug!(%plugin, %socket, from = from.as_str(), to = to.as_str(), "breaker");
        }
    }
}

/// Held by the one call that a half-open breaker lets through: it decides for those after
/// it. If it ends and nothing was heard of it, the next one takes its turn.
#[derive(Debug)]
pub(crate) struct HalfOpenPermit<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Drop for HalfOpenPermit<'_> {
    fn drop(&mut self) {
        self.gate.signal(Signal::TrialOver(self.number));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_plugin_whose_tasks_are_gone_is_called_again_whatever_was_known_of_it() {
        let identity = Arc::new(Identity::new("Guard".into(), Path::new("/run/guard.sock").into()));
        let minute = Duration::from_secs(60);
        let gate = Gate::new(identity, Breaker::new(1, minute, minute));
        let state = gate.watch_state();
        gate.signal(Signal::Missing);
        assert!(gate.admit().is_err() && !gate.is_closed() && gate.is_troubled());
        assert_eq!(*state.borrow(), BreakerState::Open);

        gate.reset();
        assert!(matches!(gate.admit(), Ok(None)));
        assert!(gate.is_closed() && !gate.is_troubled());
        assert_eq!(*state.borrow(), BreakerState::Closed);
    }
}
