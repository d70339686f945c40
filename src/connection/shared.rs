//! What all connections of one plugin share with each other and the handles.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::breaker::Breaker;
use super::circuit::Circuit;
use super::gauge::Gauge;
use super::message::Freedom;
use super::state::ConnectionState;
use crate::config::{CallPolicy, UnixSocketConfig};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

/// The bounds that a connection task keeps.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// What a call has unless it says otherwise.
    pub(crate) timeout: Duration,
    pub(crate) reconnect_attempts: u32,
    pub(crate) reconnect_delay: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) stall_limit: Duration,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) max_in_flight: usize,
    pub(crate) max_frame_len: usize,
    /// With one connection, a request has nowhere else to go.
    pub(crate) freedom: Freedom,
}

impl Limits {
    fn new(config: &UnixSocketConfig, policy: &CallPolicy) -> Self {
        Self {
            timeout: policy.timeout(),
            reconnect_attempts: config.reconnect_attempts(),
            reconnect_delay: config.reconnect_delay(),
            max_backoff: config.max_backoff(),
            connect_timeout: config.connect_timeout(),
            idle_timeout: config.idle_timeout(),
            stall_limit: config.stall_limit(),
            keep_alive: config.keep_alive(),
            max_in_flight: config.max_in_flight(),
            max_frame_len: config.max_frame_len(),
            freedom: if config.max_connections() > 1 { Freedom::Open } else { Freedom::Stay },
        }
    }
}

/// One plugin, as its connections see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) plugin: Arc<str>,
    pub(crate) socket: Arc<Path>,
    pub(crate) limits: Limits,
    pub(crate) circuit: Circuit,
    /// One for each connection, whether it is open or not.
    pub(crate) gauges: Box<[Gauge]>,
    /// A place for each call that may be queued or in flight.
    pub(crate) places: Semaphore,
    /// Calls that wait for a place.
    pub(crate) waiting: AtomicUsize,
    /// Calls that one connection gave back and no other has yet.
    pub(crate) moving: AtomicUsize,
    state: watch::Sender<ConnectionState>,
    /// When to stop, in milliseconds after `started`; `u64::MAX` is never.
    stop_at: AtomicU64,
    started: Instant,
}

impl Shared {
    pub(crate) fn new(plugin: Arc<str>, config: &UnixSocketConfig, policy: &CallPolicy) -> Self {
        let socket: Arc<Path> = config.path().into();
        let connections = config.max_connections();
        // By then a call with the plugin's own time is over, and its connection given up.
        let trial = policy.timeout() + config.stall_limit();
        let (threshold, longest_rest) = (policy.breaker_threshold(), policy.breaker_max_open());
        let breaker = Breaker::new(threshold, longest_rest, trial);
        Self {
            circuit: Circuit::new(Arc::clone(&plugin), Arc::clone(&socket), breaker),
            plugin,
            socket,
            limits: Limits::new(config, policy),
            gauges: (0..connections).map(|_| Gauge::default()).collect(),
            places: Semaphore::new(connections * config.max_in_flight()),
            waiting: AtomicUsize::new(0),
            moving: AtomicUsize::new(0),
            state: watch::Sender::new(ConnectionState::Idle),
            stop_at: AtomicU64::new(u64::MAX),
            started: Instant::now(),
        }
    }

    /// Requests that may be handed over and unanswered at any time.
    pub(crate) fn capacity(&self) -> usize {
        self.gauges.len() * self.limits.max_in_flight
    }

    /// Gives back the places of `count` answered requests of connection `index`.
    pub(crate) fn release(&self, index: usize, count: usize) {
        self.gauges[index].sub_load(count);
        self.places.add_permits(count);
    }

    pub(crate) fn state(&self) -> ConnectionState {
        *self.state.borrow()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    /// Works the plugin's state out anew from those of its connections: the best
    /// that any of them has.
    pub(crate) fn publish_state(&self) {
        use ConnectionState::{Connecting, Idle, Ready, Shutdown, TransientFailure};

        let any = |state| self.gauges.iter().any(|gauge| gauge.state() == state);
        self.state.send_if_modified(|state| {
            let best = [Ready, Connecting, TransientFailure, Idle];
            let now = best.into_iter().find(|&state| any(state)).unwrap_or(Shutdown);
            std::mem::replace(state, now) != now
        });
    }

    /// Asks every task to stop: at `deadline`, or earlier if nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        let after = deadline.saturating_duration_since(self.started).as_millis();
        self.stop_at.fetch_min(u64::try_from(after).unwrap_or(u64::MAX - 1), SeqCst);
        self.places.close();
        self.gauges.iter().for_each(Gauge::wake);
    }

    /// When to stop, if somebody asked for it.
    pub(crate) fn stop_at(&self) -> Option<Instant> {
        match self.stop_at.load(Relaxed) {
            u64::MAX => None,
            after => Some(self.started + Duration::from_millis(after)),
        }
    }
}
