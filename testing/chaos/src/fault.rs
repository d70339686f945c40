//! The faults: their names, where they can happen, and how often they did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::ValueEnum;

/// A way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Fault {
    // On a connection, in the place of an honest reply or beside it.
    Delay,
    Stall,
    SplitReply,
    CutReply,
    OversizeLength,
    ZeroLength,
    Garbage,
    Swapped,
    Duplicated,
    Dropped,
    Unasked,
    WrongName,
    WrongRequestId,
    NoVerdict,
    ConfigReply,
    CloseBeforeRequest,
    CloseInRequest,
    CloseBeforeReply,
    CloseAfterReply,
    HalfClose,
    AcceptThenClose,
    SlowReader,
    AnswersOnlyWhenRead,
    // Of the whole server.
    Restart,
    /// It is there, and neither reads nor answers for a while.
    Frozen,
    /// Another server takes its path over, and it goes on for those who stay with it.
    TakenOver,
    Refuse,
    FullBacklog,
    SocketRemoved,
    SocketIsAFile,
    SocketIsADirectory,
    SocketIsForbidden,
    /// Like the one before, for a user whom permissions do not bind: then the
    /// server refuses instead.
    ForbiddenDoesNotBind,
}

impl Fault {
    /// True for those of the whole server.
    pub(crate) fn is_outage(self) -> bool {
        self as usize >= Self::Restart as usize
    }

    /// True if a reply goes to another request than it belongs to. The wire shows
    /// that only where replies bring their context back, or a stamp.
    pub(crate) fn misleads(self) -> bool {
        matches!(
            self,
            Self::Swapped | Self::Duplicated | Self::Dropped | Self::Unasked | Self::WrongRequestId
        )
    }

    /// What a run draws from.
    pub(crate) fn drawn() -> impl Iterator<Item = Self> {
        // What `SocketIsForbidden` turns into reports itself.
        Self::value_variants().iter().copied().filter(|fault| *fault != Self::ForbiddenDoesNotBind)
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How often each fault happened.
#[derive(Debug)]
pub(crate) struct Faults([AtomicU64; Fault::ForbiddenDoesNotBind as usize + 1]);

impl Default for Faults {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Relaxed);
    }

    /// How often this one happened, or what it turned into.
    pub(crate) fn of(&self, fault: Fault) -> u64 {
        let count = |fault: Fault| self.0[fault as usize].load(Relaxed);
        match fault {
            Fault::SocketIsForbidden => count(fault) + count(Fault::ForbiddenDoesNotBind),
            fault => count(fault),
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(crate) fn by_name(&self) -> BTreeMap<String, u64> {
        let count = |fault: &Fault| (fault.name(), self.0[*fault as usize].load(Relaxed));
        Fault::value_variants().iter().map(count).filter(|(_, count)| *count > 0).collect()
    }
}
