//! Which server takes the next call: a pure value in, an index out.
//!
//! Of the servers that are connected and not ejected, the one with the least load, where
//! each failure in a row counts as a call under way: a server that fails fast looks idle,
//! and would draw all calls. Of many servers two are looked at, by chance, so that callers do
//! not all run to the same one.

/// Up to so many servers all are looked at.
const FEW: usize = 8;

/// What is known of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many calls it may have under way; 0 while it is not connected.
    pub(crate) limit: usize,
    pub(crate) load: usize,
    /// Calls in a row that failed, or were left without an answer.
    pub(crate) failures: usize,
    /// Its own breaker is not closed.
    pub(crate) ejected: bool,
    /// Those who share its connection have all streams, so far as this choice knows.
    pub(crate) crowded: bool,
}

impl Standing {
    pub(crate) fn is_connected(&self) -> bool {
        self.limit > 0
    }

    pub(crate) fn has_room(&self) -> bool {
        self.load < self.limit && !self.crowded
    }

    fn cost(&self) -> usize {
        self.load + self.failures
    }
}

/// The server that takes the next call; `None` if none has room that may. `random` below its
/// argument decides among equals, and which two are looked at.
///
/// Where all that are connected are ejected, none is: somebody has to find out that one is
/// back.
pub(crate) fn choose(
    servers: &[Standing],
    mut random: impl FnMut(usize) -> usize,
) -> Option<usize> {
    let all_ejected = servers.iter().all(|server| !server.is_connected() || server.ejected);
    let takes = |server: &Standing| server.has_room() && (all_ejected || !server.ejected);
    if servers.len() > FEW {
        let (one, other) = (random(servers.len()), random(servers.len()));
        let better = |one: usize, other: usize| {
            if servers[other].cost() < servers[one].cost() { other } else { one }
        };
        match (takes(&servers[one]), takes(&servers[other])) {
            (true, true) => return Some(better(one, other)),
            (true, false) => return Some(one),
            (false, true) => return Some(other),
            // By bad luck, or because few are left: all are looked at.
            (false, false) => {}
        }
    }
    let mut best = None;
    let mut equals = 0;
    for (index, server) in servers.iter().enumerate().filter(|(_, server)| takes(server)) {
        match best.map(|best: usize| server.cost().cmp(&servers[best].cost())) {
            None | Some(std::cmp::Ordering::Less) => {
                best = Some(index);
                equals = 1;
            }
            Some(std::cmp::Ordering::Equal) => {
                equals += 1;
                if random(equals) == 0 {
                    best = Some(index);
                }
            }
            Some(std::cmp::Ordering::Greater) => {}
        }
    }
    best
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
