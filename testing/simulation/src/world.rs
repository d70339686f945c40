//! What everybody in a run shares: the clock, the trace and its judge, the plugin's
//! mood, and the switches that end what hangs.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::event::{Call, Conn, Event, Millis, Over};
use crate::judge::{Broken, Judge};
use crate::mood::Mood;
use crate::servers::{MOST, Servers};
use crate::signal::Signal;

/// Events that are kept to be shown when an invariant breaks.
const SHOWN: usize = 60;

/// An event and its time.
pub type Line = (Millis, Event);

pub struct World {
    pub seed: u64,
    pub over: Over,
    started: Instant,
    inner: Mutex<Inner>,
    /// By server: everything of it that was there at a lower number dies.
    pub lives: [Signal; MOST],
    /// By server: its connections that were there at a lower number take no more calls.
    pub stops: [Signal; MOST],
    /// Hooks that hang go on when the number grows.
    pub released: Signal,
}

struct Inner {
    judge: Judge,
    digest: DefaultHasher,
    last: VecDeque<Line>,
    all: Option<Vec<Line>>,
    broken: Option<Broken>,
    mood: Mood,
    calls: Call,
    conns: Conn,
    attempts: u64,
    faults: u64,
    generation: u64,
    servers: usize,
    streams: usize,
}

/// What is left of a run.
#[derive(Debug)]
pub struct Record {
    pub digest: u64,
    pub calls: u64,
    pub faults: u64,
    pub millis: Millis,
    pub broken: Option<Broken>,
    /// The last events, or all of them if that was asked for.
    pub trace: Vec<Line>,
}

impl World {
    /// To be made in the runtime whose clock it is.
    pub fn new(seed: u64, over: Over, keep_all: bool) -> Arc<Self> {
        let inner = Inner {
            judge: Judge::default(),
            digest: DefaultHasher::new(),
            last: VecDeque::with_capacity(SHOWN + 1),
            all: keep_all.then(Vec::new),
            broken: None,
            mood: Mood::well(),
            calls: 0,
            conns: 0,
            attempts: 0,
            faults: 0,
            generation: 0,
            servers: 1,
            streams: 0,
        };
        Arc::new(Self {
            seed,
            over,
            started: Instant::now(),
            inner: Mutex::new(inner),
            lives: Default::default(),
            stops: Default::default(),
            released: Signal::default(),
        })
    }

    /// One thread runs it all, so it is never contended; a caller that panics on purpose
    /// does not hold it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Millis {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// Adds an event to the trace and has it judged. Nothing is added behind a broken
    /// invariant, so the trace ends where it broke.
    pub fn see(&self, event: Event) {
        let now = self.now();
        let mut inner = self.lock();
        if inner.broken.is_some() {
            return;
        }
        (now, event).hash(&mut inner.digest);
        // Looks that show nothing new tell nobody anything.
        if matches!(event, Event::Sampled(_)) && inner.last.back().is_some_and(|l| l.1 == event) {
            inner.last.pop_back();
        }
        if inner.last.len() == SHOWN {
            inner.last.pop_front();
        }
        inner.last.push_back((now, event));
        if let Some(all) = &mut inner.all {
            all.push((now, event));
        }
        if let Err(broken) = inner.judge.see(now, &event) {
            inner.broken = Some(broken);
        }
    }

    /// Something is wrong that no event shows.
    pub fn fail(&self, invariant: u8, what: String) {
        self.lock().broken.get_or_insert(Broken { invariant, what });
    }

    pub fn is_broken(&self) -> bool {
        self.lock().broken.is_some()
    }

    pub fn next_call(&self) -> Call {
        let mut inner = self.lock();
        inner.calls += 1;
        inner.calls
    }

    pub fn next_conn(&self) -> Conn {
        let mut inner = self.lock();
        inner.conns += 1;
        inner.conns
    }

    pub fn next_attempt(&self) -> u64 {
        let mut inner = self.lock();
        inner.attempts += 1;
        inner.attempts
    }

    pub fn count_fault(&self) {
        self.lock().faults += 1;
    }

    pub fn mood(&self) -> Mood {
        self.lock().mood
    }

    pub fn set_mood(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// The plugin has so many servers from now on.
    pub fn set_servers(&self, servers: usize) {
        self.lock().servers = servers;
    }

    /// One of its servers, or all.
    pub fn some_servers(&self, rng: &mut fastrand::Rng) -> Servers {
        Servers::draw(rng, self.lock().servers)
    }

    /// These servers die: all their connections end.
    pub fn kill(&self, servers: Servers) {
        servers.iter().for_each(|server| self.lives[server].grow());
    }

    /// These stop in good order.
    pub fn stop(&self, servers: Servers) {
        servers.iter().for_each(|server| self.stops[server].grow());
    }

    /// A stream of a hook is open at a server until what is returned is dropped.
    pub fn stream(self: &Arc<Self>) -> Stream {
        self.lock().streams += 1;
        Stream(Arc::clone(self))
    }

    pub fn streams(&self) -> usize {
        self.lock().streams
    }

    /// Another server takes the plugin's path over.
    pub fn take_over(&self) {
        self.lock().generation += 1;
        self.see(Event::TakenOver);
    }

    /// Which server has the plugin's path.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Hooks that hang go on.
    pub fn release(&self) {
        self.released.grow();
    }

    pub fn record(&self) -> Record {
        let millis = self.now();
        let mut inner = self.lock();
        Record {
            digest: inner.digest.finish(),
            calls: inner.calls.into(),
            faults: inner.faults,
            millis,
            broken: inner.broken.clone(),
            trace: inner.all.take().unwrap_or_else(|| inner.last.iter().copied().collect()),
        }
    }
}

/// One that a server has not seen the end of.
pub struct Stream(Arc<World>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.lock().streams -= 1;
    }
}
