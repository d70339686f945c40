//! The servers that a plugin has, each in a place of its own.
//!
//! A server that is found no more gets no new calls; what is under way on it goes on. Its
//! place is another's once its task is over.

use std::sync::Arc;

use super::pool::Pool;
use super::remote::Remote;
use super::server::Server;

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
    pub(super) fn begin(&mut self) {
        for (_, presence) in &mut self.all {
            if *presence == Presence::Leaving {
                *presence = Presence::Free;
            }
        }
        self.new = self.iter().map(|(index, _)| index).collect();
    }

    /// Takes out the index of one that is found no more.
    pub(super) fn remove_other_than(&mut self, found: &[Remote]) -> Option<usize> {
        let is_found = |server: &Server| found.iter().any(|at| at.name == server.remote.name);
        let (index, _) = self.iter().find(|(_, server)| !is_found(server))?;
        self.all[index].1 = Presence::Leaving;
        Some(index)
    }

    /// Where a server that is not known yet was put.
    pub(super) fn add(&mut self, remote: Remote) -> Option<usize> {
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

    /// Takes out the indices of those that nobody looks after yet.
    pub(super) fn take_new(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.new)
    }

    /// Nobody looks after this one any more.
    pub(super) fn set_free(&mut self, index: usize) {
        self.all[index].1 = Presence::Free;
    }
}
