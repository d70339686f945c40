//! Which call takes a place on which server, and which wait for one: one value, without a
//! task, a connection or a clock.

use std::collections::VecDeque;
use std::time::Duration;

use super::choice::{Standing, choose};
use crate::breaker::{Breaker, BreakerState, Signal, Verdict};

/// What became of a call, as far as it speaks for its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It says nothing: a question, a call that left early, or that was not sent.
    Silent,
    /// There was a reply to a hook call.
    Answered,
    /// The call failed, or the server has not said a word while it was under way.
    Failed,
    /// There was no reply though the call was patient: the plugin does not answer.
    Missing,
}

/// A place on a server, to be given back by [`Admission::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) server: usize,
    /// Which of the servers that have been at this index it is on.
    era: u64,
    /// The number of a trial of the server's breaker.
    trial: Option<u64>,
}

/// Every bound of the admission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most calls under way on one server.
    pub(crate) max_in_flight: usize,
    /// The most calls that wait.
    pub(crate) queue_capacity: usize,
    /// The rest is as of [`Breaker`]; each server has one.
    pub(crate) threshold: u32,
    pub(crate) longest_rest: Duration,
    pub(crate) longest_trial: Duration,
}

#[derive(Debug)]
struct Server {
    breaker: Breaker,
    /// How many servers have been at its index before it.
    era: u64,
    /// Patient calls in a row without a reply.
    missing: u32,
    /// Since it was ejected it has answered a check: a call may be risked on it.
    alive: bool,
}

/// A place in the queue that its owner may have left.
pub(crate) trait Waiting {
    fn is_abandoned(&self) -> bool;
}

#[derive(Debug)]
pub(crate) struct Admission<T> {
    standings: Vec<Standing>,
    servers: Vec<Server>,
    queue: VecDeque<T>,
    bounds: Bounds,
    /// Some server is.
    crowded: bool,
}

/// Where silence never makes a plugin down, a server is ejected all the same.
const EJECTED_AFTER: u32 = 5;

impl<T: Waiting> Admission<T> {
    pub(crate) fn new(servers: usize, bounds: Bounds) -> Self {
        let queue = VecDeque::new();
        let (standings, all) = (Vec::new(), Vec::new());
        let mut new = Self { standings, servers: all, queue, bounds, crowded: false };
        (0..servers).for_each(|server| new.renew(server));
        new
    }

    /// Another server is where this one was, or is new at the end. What is under way on the
    /// one before still takes its room, and says nothing of the new one.
    pub(crate) fn renew(&mut self, server: usize) {
        let new = Server {
            era: self.servers.get(server).map_or(0, |old| old.era + 1),
            breaker: Breaker::new(
                self.ejected_after(),
                self.bounds.longest_rest,
                self.bounds.longest_trial,
            ),
            missing: 0,
            alive: false,
        };
        if let Some(old) = self.servers.get_mut(server) {
            *old = new;
            let load = self.standings[server].load;
            self.standings[server] = Standing { load, ..Standing::default() };
        } else {
            self.servers.push(new);
            self.standings.push(Standing::default());
        }
    }

    fn ejected_after(&self) -> u32 {
        if self.bounds.threshold > 0 { self.bounds.threshold } else { EJECTED_AFTER }
    }

    pub(crate) fn standing(&self, server: usize) -> &Standing {
        &self.standings[server]
    }

    pub(crate) fn load(&self) -> usize {
        self.standings.iter().map(|server| server.load).sum()
    }

    /// Calls that may be under way, now or as soon as servers are connected to.
    pub(crate) fn places(&self) -> usize {
        if self.is_connected() {
            self.standings.iter().map(|server| server.limit).sum()
        } else {
            self.standings.len().max(1) * self.bounds.max_in_flight
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.standings.iter().any(Standing::is_connected)
    }

    /// A place that is there at once. Nobody overtakes those who wait.
    pub(crate) fn enter(
        &mut self,
        now: Duration,
        random: impl FnMut(usize) -> usize,
    ) -> Option<Place> {
        if self.queue.is_empty() { self.take(now, random) } else { None }
    }

    /// A place on this server, for what has to be asked there.
    pub(crate) fn enter_on(&mut self, server: usize) -> Option<Place> {
        let standing = &mut self.standings[server];
        standing.has_room().then(|| {
            standing.load += 1;
            Place { server, era: self.servers[server].era, trial: None }
        })
    }

    /// Gives back a place that cannot be used: those who share the connection leave it no stream.
    /// No place is given on that server until [`forget_crowds`](Self::forget_crowds).
    pub(crate) fn pass_over(&mut self, place: Place, now: Duration) {
        self.leave(place, Outcome::Silent, now, 0.0);
        self.standings[place.server].crowded = true;
        self.crowded = true;
    }

    /// The servers that were passed over.
    pub(crate) fn crowds(&self) -> impl Iterator<Item = usize> {
        let all = self.standings.iter().enumerate().filter(|_| self.crowded);
        all.filter(|(_, standing)| standing.crowded).map(|(index, _)| index)
    }

    /// Whoever comes next looks for himself.
    pub(crate) fn forget_crowds(&mut self) {
        if std::mem::take(&mut self.crowded) {
            self.standings.iter_mut().for_each(|standing| standing.crowded = false);
        }
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, place: Place, outcome: Outcome, now: Duration, random: f64) {
        let index = place.server;
        let (standing, server) = (&mut self.standings[index], &mut self.servers[index]);
        standing.load = standing.load.saturating_sub(1);
        if place.era != server.era {
            return;
        }
        match outcome {
            Outcome::Silent => {}
            Outcome::Answered => {
                standing.failures = 0;
                server.missing = 0;
                if !server.breaker.is_untroubled() {
                    server.breaker.on(Signal::Reply { timely: true }, now, random);
                }
            }
            Outcome::Failed | Outcome::Missing => {
                standing.failures = standing.failures.saturating_add(1);
                server.missing += u32::from(outcome == Outcome::Missing);
                server.breaker.on(Signal::Missing, now, random);
                server.alive &= !is_ejected(&server.breaker);
            }
        }
        if let Some(number) = place.trial {
            server.breaker.on(Signal::TrialOver(number), now, random);
        }
        self.settle(index);
    }

    /// A reply that was taken for good was not.
    pub(crate) fn distrust(&mut self, server: usize, now: Duration, random: f64) {
        self.standings[server].failures = self.standings[server].failures.saturating_add(1);
        self.servers[server].breaker.on(Signal::Missing, now, random);
        self.settle(server);
    }

    /// A server may have this many calls under way from now on; 0: it is not connected.
    pub(crate) fn set_limit(&mut self, server: usize, limit: usize, now: Duration) {
        let lost = self.standings[server].is_connected() && limit == 0;
        self.standings[server].limit = limit;
        if lost {
            // Another server may be there next time, so it need not rest as long.
            self.servers[server].breaker.on(Signal::HungUp, now, 0.0);
            self.settle(server);
        }
    }

    /// An ejected server has answered a check, or has a new connection on which it did.
    pub(crate) fn set_alive(&mut self, server: usize) {
        self.servers[server].alive = true;
    }

    /// True if it is to be asked whether it is still there.
    pub(crate) fn is_doubtful(&self, server: usize) -> bool {
        self.standings[server].ejected && !self.servers[server].alive
    }

    /// Missing replies in a row, if every server that is connected has left so many patient
    /// calls without a reply that the plugin is down.
    pub(crate) fn all_missing(&self) -> Option<u32> {
        let connected = || {
            let both = self.standings.iter().zip(&self.servers);
            both.filter(|(standing, _)| standing.is_connected()).map(|(_, server)| server.missing)
        };
        let down = self.bounds.threshold > 0
            && self.is_connected()
            && connected().all(|missing| missing >= self.bounds.threshold);
        down.then(|| connected().fold(0, u32::saturating_add))
    }

    fn take(&mut self, now: Duration, random: impl FnMut(usize) -> usize) -> Option<Place> {
        let (server, trial) = match self.trial(now) {
            Some((server, number)) => (server, Some(number)),
            None => (choose(&self.standings, random)?, None),
        };
        self.standings[server].load += 1;
        Some(Place { server, era: self.servers[server].era, trial })
    }

    /// An ejected server whose rest is over and that answers checks gets one call, if others
    /// are there for the rest. Where none is, all of them take calls anyway.
    fn trial(&mut self, now: Duration) -> Option<(usize, u64)> {
        let mut any_ejected = false;
        let mut any_good = false;
        for standing in self.standings.iter().filter(|standing| standing.is_connected()) {
            any_ejected |= standing.ejected;
            any_good |= !standing.ejected;
        }
        if !any_ejected || !any_good {
            return None;
        }
        let both = self.standings.iter().zip(&mut self.servers).enumerate();
        for (index, (standing, server)) in both {
            if standing.ejected
                && standing.has_room()
                && server.alive
                && let Verdict::Trial(number) = server.breaker.admit(now)
            {
                return Some((index, number));
            }
        }
        None
    }

    fn settle(&mut self, server: usize) {
        self.standings[server].ejected = is_ejected(&self.servers[server].breaker);
    }
}

fn is_ejected(breaker: &Breaker) -> bool {
    breaker.state() != BreakerState::Closed
}

#[path = "admission_queue.rs"]
mod queue;

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
