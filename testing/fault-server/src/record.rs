//! What a fault server saw, so that tests can count it and wait for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::messages::Request;

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// What a server has seen up to a moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Connections that were accepted.
    connections: usize,
    /// When each connection was accepted.
    pub accepted: Vec<Instant>,
    /// Connections that are over, whoever ended them.
    pub ended: usize,
    /// Requests of any kind that were read in whole.
    pub requests: usize,
    /// Calls of `cpex.Health/Check`, which are none of those.
    pub checks: usize,
    /// Hook calls that were read in whole, by the payload's `args.marker`: how
    /// often a server that is not faulty would have run the hook.
    pub executions: BTreeMap<String, usize>,
}

impl Seen {
    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// How often the hook of the call with this marker would have run.
    pub fn executions_of(&self, marker: &str) -> usize {
        self.executions.get(marker).copied().unwrap_or(0)
    }

    /// Hook calls that were read in whole.
    pub fn hook_calls(&self) -> usize {
        self.executions.values().sum()
    }
}

/// What a server sees, counted over all its connections.
#[derive(Default)]
pub struct Record {
    seen: watch::Sender<Seen>,
    /// Keeps numbers only, and neither times nor markers: what it holds stays small,
    /// however long the server lives.
    numbers_only: bool,
}

impl Record {
    pub(super) fn numbers_only() -> Self {
        Self { numbers_only: true, ..Self::default() }
    }

    /// An empty one of the same kind.
    pub(super) fn anew(&self) -> Self {
        Self { numbers_only: self.numbers_only, ..Self::default() }
    }

    /// As of now.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the server has seen what `enough` asks for.
    pub async fn wait_for(&self, enough: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        if tokio::time::timeout(LIMIT, seen.wait_for(enough)).await.is_err() {
            panic!("the server has seen only this: {:?}", self.seen());
        }
    }

    /// Counts a connection: its number, from 0.
    pub(super) fn accepted(&self) -> usize {
        let mut number = 0;
        self.seen.send_modify(|seen| {
            number = seen.connections;
            seen.connections += 1;
            if !self.numbers_only {
                seen.accepted.push(Instant::now());
            }
        });
        number
    }

    pub(super) fn ended(&self) {
        self.seen.send_modify(|seen| seen.ended += 1);
    }

    pub(super) fn check(&self) {
        self.seen.send_modify(|seen| seen.checks += 1);
    }

    pub(super) fn request(&self, request: &Request) {
        self.seen.send_modify(|seen| {
            seen.requests += 1;
            if !self.numbers_only && matches!(request, Request::Hook(_)) {
                *seen.executions.entry(request.marker().to_owned()).or_default() += 1;
            }
        });
    }
}
