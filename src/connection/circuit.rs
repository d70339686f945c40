//! A plugin's breaker as its tasks and callers share it.
//!
//! While all is well a call reads one atomic, and so does a batch of replies. Only
//! what changes something, or is refused, takes the lock behind it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::breaker::{Breaker, BreakerState, Reason, Signal, Verdict};
use super::message::Loss;

/// Calls pass, and no reply is missing.
const UNTROUBLED: u8 = 0;
/// Calls pass; replies are missing.
const TROUBLED: u8 = 1;
/// Calls do not pass just like that.
const OPEN: u8 = 2;

#[derive(Debug)]
pub(crate) struct Circuit {
    plugin: Arc<str>,
    socket: Arc<Path>,
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
}

impl Locked {
    fn loss(&self, reason: Reason, retry_after: Option<Duration>) -> Loss {
        match reason {
            Reason::Unreachable { attempts } => {
                Loss::Unavailable { attempts, error: Arc::clone(&self.error), retry_after }
            }
            Reason::Unresponsive { missing } => Loss::Unresponsive { missing, retry_after },
        }
    }
}

impl Circuit {
    pub(crate) fn new(plugin: Arc<str>, socket: Arc<Path>, breaker: Breaker) -> Self {
        let error = Arc::new(io::ErrorKind::NotConnected.into());
        Self {
            plugin,
            socket,
            started: Instant::now(),
            level: AtomicU8::new(UNTROUBLED),
            opened: AtomicU64::new(0),
            locked: Mutex::new(Locked { breaker, error }),
            state: watch::Sender::new(BreakerState::Closed),
        }
    }

    /// Lets a call through or says why not. What comes back is held until the call ends.
    pub(crate) fn admit(&self) -> Result<Option<Trial<'_>>, Loss> {
        if self.level.load(Relaxed) < OPEN {
            return Ok(None);
        }
        self.change(|locked, now| match locked.breaker.admit(now) {
            Verdict::Pass => Ok(None),
            Verdict::Trial(number) => Ok(Some(Trial { circuit: self, number })),
            Verdict::Refuse(reason, after) => Err(locked.loss(reason, after)),
        })
    }

    /// True if calls pass.
    pub(crate) fn is_closed(&self) -> bool {
        self.level.load(Relaxed) < OPEN
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
        let loss = locked.loss(reason, retry_after);
        // A subscriber may look at the plugin.
        drop(locked);
        self.tell(before, after, loss);
        output
    }

    fn tell(&self, before: BreakerState, after: BreakerState, loss: Loss) {
        let (plugin, socket) = (&self.plugin, self.socket.display());
        match (before, after) {
            (BreakerState::Closed, _) => {
                self.opened.fetch_add(1, Relaxed);
                let reason = loss.into_cause(Duration::ZERO);
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
}

/// A call that decides for those after it. If it ends and nothing was heard of it, the
/// next one takes its turn.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    circuit: &'a Circuit,
    number: u64,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        self.circuit.signal(Signal::TrialOver(self.number));
    }
}
