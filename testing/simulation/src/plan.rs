//! What is drawn for handles and calls.

use crate::dice::chance;
use crate::event::Over;
use crate::mood::{Fault, Mood};
use crate::servers::MOST;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Unsent,
    Unstarted,
    Resend,
}

/// The configuration of a handle; times in milliseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    pub over: Over,
    /// Over gRPC.
    pub servers: usize,
    /// Plugins that share their connections, or one alone.
    pub plugins: usize,
    pub max_connections: usize,
    pub max_in_flight: usize,
    pub queue_capacity: usize,
    pub timeout: u64,
    pub retry: Retry,
    pub retry_budget: u32,
    pub breaker_threshold: u32,
    pub breaker_max_open: u64,
    pub stamp: bool,
    pub connect_timeout: u64,
    pub reconnect_attempts: u32,
    pub reconnect_delay: u64,
    pub max_backoff: u64,
    pub idle_timeout: u64,
    pub keep_alive: Option<u64>,
    pub max_connection_age: Option<u64>,
    pub stall_limit: u64,
    pub log_panics: bool,
}

fn one_of<T: Copy>(rng: &mut fastrand::Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

fn retry(rng: &mut fastrand::Rng) -> Retry {
    one_of(rng, &[Retry::Unsent, Retry::Unsent, Retry::Unstarted, Retry::Resend])
}

impl Settings {
    pub fn draw(rng: &mut fastrand::Rng, over: Over, log_panics: bool) -> Self {
        let reconnect_delay = one_of(rng, &[10, 100, 1_000]);
        let idle_timeout = rng.u64(2_000..=299_000);
        let keep_alive = chance(rng, 40).then(|| rng.u64(500..idle_timeout));
        let max_connection_age = chance(rng, 30).then(|| rng.u64(100..=60_000));
        let (servers, plugins) = match over {
            Over::Socket => (1, 1),
            Over::Grpc => (rng.usize(1..=MOST), one_of(rng, &[1, 1, 2])),
        };
        Self {
            over,
            servers,
            plugins,
            max_connections: rng.usize(1..=8),
            max_in_flight: rng.usize(1..=16),
            queue_capacity: one_of(rng, &[0, 1, 8, 1_024]),
            timeout: one_of(rng, &[200, 1_000, 5_000, 30_000]),
            retry: retry(rng),
            retry_budget: one_of(rng, &[0, 20, 100]),
            breaker_threshold: rng.u32(0..=6),
            breaker_max_open: one_of(rng, &[1_000, 30_000, 120_000]),
            stamp: chance(rng, 30),
            connect_timeout: one_of(rng, &[100, 1_000, 5_000]),
            reconnect_attempts: rng.u32(0..=5),
            reconnect_delay,
            max_backoff: reconnect_delay.max(one_of(rng, &[1_000, 5_000, 60_000])),
            idle_timeout,
            keep_alive,
            max_connection_age,
            stall_limit: one_of(rng, &[50, 500, 2_000, 10_000]),
            log_panics,
        }
    }

    /// By then everything that went wrong before is over, for a plugin that is well.
    pub fn recovery(&self) -> u64 {
        let calls = LONGEST_CALL.max(self.timeout) + self.stall_limit;
        calls + self.connect_timeout + self.max_backoff + self.breaker_max_open + 1_000
    }
}

/// The longest time that a call asks for.
const LONGEST_CALL: u64 = 30_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    Typed,
    Json,
    Question,
    Panics,
}

/// When a caller drops its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Never,
    /// When it was polled so often and is not ready.
    Polls(u32),
    After(u64),
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub payload: Payload,
    /// Its own, or that of the plugin.
    pub timeout: Option<u64>,
    pub retry: Option<Retry>,
    pub refuses: bool,
    pub context: bool,
    pub pad: usize,
    pub leave: Leave,
}

impl Plan {
    pub fn draw(rng: &mut fastrand::Rng, mood: &Mood) -> Self {
        let payload = match rng.u32(0..100) {
            0..8 => Payload::Question,
            8..12 if mood.faults.has(Fault::Panic) => Payload::Panics,
            8..50 => Payload::Typed,
            _ => Payload::Json,
        };
        let leave = if mood.faults.has(Fault::Leave) && chance(rng, 40) {
            if chance(rng, 70) {
                Leave::Polls(rng.u32(1..8))
            } else {
                Leave::After(rng.u64(0..2_000))
            }
        } else {
            Leave::Never
        };
        Self {
            payload,
            timeout: chance(rng, 40)
                .then(|| one_of(rng, &[1, 10, 100, 1_000, 10_000, LONGEST_CALL])),
            retry: chance(rng, 30).then(|| retry(rng)),
            refuses: chance(rng, 10),
            // Where replies change places, only a context shows it.
            context: mood.faults.has(Fault::Twice) || chance(rng, 80),
            pad: if chance(rng, 3) { rng.usize(0..40_000) } else { rng.usize(0..60) },
            leave,
        }
    }

    /// One that a plugin that is well answers.
    pub fn plain() -> Self {
        Self {
            payload: Payload::Json,
            timeout: Some(10_000),
            retry: None,
            refuses: false,
            context: true,
            pad: 0,
            leave: Leave::Never,
        }
    }

    pub fn deadline(&self, now: u64, settings: &Settings) -> u64 {
        // A question has the plugin's time.
        let own = self.timeout.filter(|_| self.payload != Payload::Question);
        now + own.unwrap_or(settings.timeout)
    }

    /// True if its hook may run twice.
    pub fn may_rerun(&self, settings: &Settings) -> bool {
        self.retry.unwrap_or(settings.retry) == Retry::Resend
    }
}
