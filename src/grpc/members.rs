//! Which servers a plugin has: known for good, or found by their names again and again.
//!
//! A server that is found no more gets no new calls; what is under way on it goes on. Its
//! place is another's once its task is over.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout};

use super::pool::Pool;
use super::remote::Remote;
use super::server::Server;
use super::shared::Shared;
use super::supervisor::tend;
use super::trouble::Trouble;
use crate::backoff::Backoff;
use crate::unix::reconnect::ConnectionState;

/// How long what was found is taken for granted.
const FIND_AGAIN: Duration = Duration::from_secs(30);
/// How long it is, though a server cannot be reached.
const AT_LEAST: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Presence {
    Here,
    /// It was found no more; somebody still looks after it.
    Leaving,
    Free,
}

/// All servers, by index; an index stays a server's for as long as it is there.
#[derive(Debug)]
pub(crate) struct Members {
    all: Vec<(Arc<Server>, Presence)>,
    /// Those that nobody looks after yet.
    new: Vec<usize>,
    /// Where connections to them are shared.
    pool: Option<Pool>,
    max_in_flight: usize,
}

impl Members {
    pub(crate) fn new(remotes: Vec<Remote>, pool: Option<Pool>, max_in_flight: usize) -> Self {
        let mut new = Self { all: Vec::new(), new: Vec::new(), pool, max_in_flight };
        new.all = remotes.into_iter().map(|remote| new.here(remote)).collect();
        new
    }

    fn here(&self, remote: Remote) -> (Arc<Server>, Presence) {
        let server = Server::new(remote, self.pool.as_ref(), self.max_in_flight);
        (Arc::new(server), Presence::Here)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, index: usize) -> &Arc<Server> {
        &self.all[index].0
    }

    /// Those that are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Arc<Server>)> {
        let here = self.all.iter().enumerate().filter(|(_, member)| member.1 == Presence::Here);
        here.map(|(index, member)| (index, &member.0))
    }

    /// Nobody looks after any of them yet.
    fn begin(&mut self) {
        for (_, presence) in &mut self.all {
            if *presence == Presence::Leaving {
                *presence = Presence::Free;
            }
        }
        self.new = self.iter().map(|(index, _)| index).collect();
    }

    /// Takes out the index of one that is found no more.
    fn remove_other_than(&mut self, found: &[Remote]) -> Option<usize> {
        let is_found = |server: &Server| found.iter().any(|at| at.name == server.remote.name);
        let (index, _) = self.iter().find(|(_, server)| !is_found(server))?;
        self.all[index].1 = Presence::Leaving;
        Some(index)
    }

    /// Where a server that is not known yet was put.
    fn add(&mut self, remote: Remote) -> Option<usize> {
        if self.iter().any(|(_, server)| server.remote.name == remote.name) {
            return None;
        }
        let member = self.here(remote);
        let free = self.all.iter().position(|(_, presence)| *presence == Presence::Free);
        let index = free.unwrap_or(self.all.len());
        match self.all.get_mut(index) {
            Some(free) => *free = member,
            None => self.all.push(member),
        }
        self.new.push(index);
        Some(index)
    }
}

impl Shared {
    pub(crate) fn server(&self, index: usize) -> Arc<Server> {
        Arc::clone(self.lock().members.get(index))
    }

    /// These are the plugin's servers from now on.
    pub(super) fn set_servers(&self, found: Vec<Remote>) {
        let mut locked = self.lock();
        let mut retired = Vec::new();
        while let Some(index) = locked.members.remove_other_than(&found) {
            locked.members.get(index).gone.notify_one();
            locked.troubles[index] = Trouble::default();
            locked.admission.set_limit(index, 0, self.now());
            retired.extend(locked.open[index].take());
        }
        for remote in found {
            if let Some(index) = locked.members.add(remote) {
                locked.admission.renew(index);
                let count = locked.members.len();
                locked.troubles.resize(count, Trouble::default());
                locked.open.resize(count, None);
            }
        }
        locked.not_found = Trouble::default();
        drop(locked);
        // What they hold wakes others.
        drop(retired);
        self.changed.notify_one();
    }

    fn set_free(&self, index: usize) {
        self.lock().members.all[index].1 = Presence::Free;
        self.set_state(index, ConnectionState::Idle);
    }
}

/// Looks after every server, those that are found later too, for ever.
pub(super) async fn tend_all(shared: &Arc<Shared>) {
    shared.lock().members.begin();
    let mut tending = FuturesUnordered::new();
    loop {
        let new = std::mem::take(&mut shared.lock().members.new);
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

/// Finds the servers by their names, again when one cannot be reached, for ever.
pub(super) async fn find(shared: &Arc<Shared>) {
    let Some(names) = &shared.names else { return pending().await };
    let settings = &shared.settings;
    let mut backoff = Backoff::new(settings.reconnect_delay, settings.max_backoff);
    let mut failures = 0;
    loop {
        if shared.lock().members.iter().next().is_none() {
            shared.publish(ConnectionState::Connecting);
        }
        let found = timeout(settings.connect_timeout, names.find()).await;
        let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let delay = match found {
            Ok(found) if !found.is_empty() => {
                failures = 0;
                backoff.reset();
                shared.set_servers(found);
                AT_LEAST
            }
            // What was found before stays true.
            nothing => {
                failures += 1;
                let delay = backoff.next(fastrand::f64());
                let none = || std::io::Error::other("its name has no address");
                let error = nothing.err().unwrap_or_else(none);
                shared.lock().not_found = Trouble {
                    attempts: failures,
                    is_down: failures >= settings.reconnect_attempts.max(1),
                    error: Some(Arc::new(error)),
                    next: Some(Instant::now() + delay),
                };
                if shared.lock().members.iter().next().is_none() {
                    shared.publish(ConnectionState::TransientFailure);
                }
                shared.tell_if_down(false);
                delay
            }
        };
        sleep(delay).await;
        if failures == 0 {
            tokio::select! {
                biased;
                () = shared.lost.notified() => {}
                () = sleep(FIND_AGAIN) => {}
            }
        }
    }
}
