//! The plugin's own task: it keeps a connection to every server, and ends after all others.
//!
//! Servers are looked after side by side. Each connection has a task of its own, that moves
//! the bytes; here it is decided when there is one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::asking::ask;
use super::find::find;
use super::keep::look_after;
use super::server::{Server, Trouble};
use super::session::Session;
use super::shared::{Shared, Supervision};
use crate::backoff::Backoff;
use crate::breaker::Signal;
use crate::error::Cause;
use crate::unix::NEVER;
use crate::unix::connect::is_busy;
use crate::unix::reconnect::{ConnectionState, Reconnect};

/// A supervisor whose runtime ends, or that panics, has no last turn.
pub(super) struct Guard {
    shared: Arc<Shared>,
    ended: bool,
}

impl Guard {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ended: false }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            self.shared.identity.count_panic();
        }
        self.shared.unsupervised();
    }
}

/// Runs until the plugin is stopped.
pub(super) async fn supervise(mut guard: Guard) {
    let shared = Arc::clone(&guard.shared);
    tokio::select! {
        biased;
        () = end(&shared) => {}
        // These never end by themselves.
        () = tend_all(&shared) => {}
        () = find(&shared) => {}
        () = ask(&shared) => {}
    }
    shared.finish().await;
    guard.ended = true;
}

/// How often a plugin that is to end looks whether anybody waits.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until the plugin is to end, and nothing is under way or the time for that is over.
async fn end(shared: &Shared) {
    loop {
        let (quiet, released) = shared.at_rest();
        let stop_at = shared.stop_at();
        if released || stop_at.is_some_and(|at| quiet || at <= Instant::now()) {
            return;
        }
        // Nobody tells that a caller who waited has left.
        let look = Instant::now() + if stop_at.is_some() { LOOK } else { NEVER };
        tokio::select! {
            biased;
            () = shared.ending.notified() => {}
            () = sleep_until(stop_at.map_or(look, |at| at.min(look))) => {}
        }
    }
}

/// Looks after every server, those that are found later too, for ever.
async fn tend_all(shared: &Arc<Shared>) {
    shared.lock().members.begin();
    let mut tending = FuturesUnordered::new();
    loop {
        let new = shared.lock().members.take_new();
        for index in new {
            let server = shared.server(index);
            tending.push(async move {
                tokio::select! {
                    // First: what is opened in the same turn would have nobody who looks after it.
                    biased;
                    () = server.gone.notified() => {}
                    () = tend(shared, index) => {}
                }
                index
            });
        }
        tokio::select! {
            biased;
            Some(index) = tending.next() => shared.set_free(index),
            () = shared.changed.notified() => {}
        }
    }
}

/// Uses a connection for as long as it takes calls. An error if it has brought none back, so that
/// the next attempt has to wait.
async fn take_part(
    shared: &Arc<Shared>,
    server: &Arc<Server>,
    index: usize,
    session: Arc<Session>,
    reconnect: &mut Reconnect,
) -> Option<Arc<io::Error>> {
    let Some(connection) = shared.part(server, index, Arc::clone(&session)) else {
        return session.condition().lost().cloned();
    };
    reconnect.opened();
    let error = look_after(shared, &connection).await;
    shared.close(&connection);
    if !shared.gate.is_closed() {
        shared.gate.signal(Signal::HungUp);
    }
    if !session.is_proven() {
        return Some(error);
    }
    reconnect.lost_all();
    shared.trouble(index, Trouble { error: Some(error), ..Trouble::default() });
    None
}

/// Keeps a connection to one server, for ever.
async fn tend(shared: &Arc<Shared>, index: usize) {
    let server = shared.server(index);
    let settings = &shared.settings;
    let patience = settings.connect_timeout;
    let backoff = Backoff::new(settings.reconnect_delay, settings.max_backoff);
    let mut reconnect = Reconnect::new(backoff, settings.reconnect_attempts);
    loop {
        shared.set_state(index, ConnectionState::Connecting);
        let subchannel = server.subchannel();
        let mut openings = subchannel.openings();
        let failure = match timeout(patience, subchannel.session(patience)).await {
            Ok(Ok(session)) => {
                // Not this one: if it is lost at once, there is no other yet.
                openings.mark_unchanged();
                let error = take_part(shared, &server, index, session, &mut reconnect).await;
                error.map(|error| (error, true))
            }
            Ok(Err(error)) => Some((error, false)),
            Err(_) => Some((subchannel.late(patience), false)),
        };
        let Some((error, broken)) = failure else { continue };
        let youngest = shared.last_connection();
        let wait = reconnect.failed(youngest, !is_busy(&error), fastrand::f64());
        let trouble = Trouble {
            attempts: reconnect.failures(),
            is_down: wait.give_up,
            error: Some(error),
            next: Some(Instant::now() + wait.delay),
        };
        shared.set_state(index, ConnectionState::TransientFailure);
        shared.trouble(index, trouble);
        shared.tell_if_down(broken);
        tokio::select! {
            biased;
            // Another plugin is through.
            Ok(()) = openings.changed() => {}
            () = sleep(wait.delay) => {}
        }
        reconnect.elapsed();
    }
}

impl Shared {
    /// Whether nothing is under way, and whether nobody is left who could wait.
    fn at_rest(&self) -> (bool, bool) {
        let mut locked = self.lock();
        locked.admission.sweep();
        let quiet = locked.admission.load() == 0 && locked.admission.waiting() == 0;
        (quiet, locked.released)
    }

    pub(super) fn distrust(&self, server: usize) {
        self.lock().admission.distrust(server, self.now(), fastrand::f64());
    }

    fn set_free(&self, index: usize) {
        self.lock().members.set_free(index);
        self.set_state(index, ConnectionState::Idle);
    }

    fn last_connection(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    fn trouble(&self, server: usize, trouble: Trouble) {
        let member = self.server(server);
        let name = &member.remote.name;
        self.identity.log(|identity| {
            let (plugin, error) = (&identity.plugin, trouble.error.as_ref().map(tracing::field::display));
            tracing::debug!(%plugin, server = %name, attempts = trouble.attempts, error, "not connected");
        });
        self.lock().troubles[server] = trouble;
        // Its name may lead elsewhere by now.
        self.lost.notify_one();
    }

    /// Ends all that is under way, and every connection.
    async fn finish(&self) {
        self.answer_waiting(&Cause::Shutdown);
        self.lock().clear();
        for cut in self.sever_all(&Cause::Shutdown) {
            cut.gone().await;
        }
        self.lock().supervision = Supervision::None;
        self.publish(ConnectionState::Shutdown);
    }

    /// The supervisor is gone, and not because it was told to stop.
    fn unsupervised(&self) {
        let mut locked = self.lock();
        let starting = locked.supervision == Supervision::Starting;
        locked.supervision = Supervision::None;
        if !starting {
            locked.runtime = None;
            drop(locked);
            self.task_gone();
        }
    }

    /// Answers all that waits for tasks that are gone. The next call starts them anew.
    pub(super) fn task_gone(&self) {
        self.lock().clear();
        self.answer_waiting(&Cause::TaskGone);
        self.sever_all(&Cause::TaskGone);
        self.gate.reset();
        self.publish(ConnectionState::Shutdown);
    }
}
