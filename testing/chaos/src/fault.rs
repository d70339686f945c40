//! The faults: their names, where they can happen, and how often they did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::ValueEnum;

/// What a run's plugins are reached over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Socket,
    Grpc,
}

/// A way to go wrong. Some are possible over one transport only: see [`Fault::drawn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Fault {
    // On a connection, in the place of an honest reply or beside it: over a socket or both.
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
    // The same, over gRPC only.
    /// `REFUSED_STREAM`, and the hook has not run.
    RefusedStream,
    /// Any other code, at any time.
    StreamReset,
    /// Any status but OK, and no message.
    Status,
    /// A whole reply, and then a status that takes it back.
    StatusBesideReply,
    NoStatus,
    NoMessage,
    Compressed,
    /// An honest reply in an envelope that is no gRPC, as from a proxy.
    NotGrpc,
    GoAway,
    GoAwayAbrupt,
    /// It says of calls that it has not looked at them, and keeps its word.
    GoAwayBehind,
    CutInFrame,
    StopsReading,
    /// The way to the server takes everything, and nothing arrives, in either direction.
    Swallowed,
    /// It allows fewer calls at a time than the plugin has places.
    FewStreams,
    /// It allows fewer from now on, calls under way or not.
    FewerStreams,
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
    // The same, over gRPC only; of a plugin's servers one or several are out.
    /// Connections are accepted, and that is all.
    HalfOpen,
    /// It ends as servers should, and comes back.
    StoppedInOrder,
    NotServing,
    /// For another name, of another authority, or expired.
    WrongCertificate,
    /// Like `SocketIsForbidden`, for a user whom permissions do not bind: then the
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

    /// What a run over this transport draws from.
    pub(crate) fn drawn(transport: Transport) -> impl Iterator<Item = Self> {
        let kinds = Self::value_variants().iter().copied();
        kinds.filter(move |fault| match transport {
            // What `SocketIsForbidden` turns into reports itself.
            Transport::Socket => !fault.is_grpc_only() && *fault != Self::ForbiddenDoesNotBind,
            Transport::Grpc => !fault.is_socket_only(),
        })
    }

    fn is_grpc_only(self) -> bool {
        let among = |first, last| (first as usize..=last as usize).contains(&(self as usize));
        among(Self::RefusedStream, Self::FewerStreams)
            || among(Self::HalfOpen, Self::WrongCertificate)
    }

    /// Replies without a number of their own, and a path that something else can be at.
    fn is_socket_only(self) -> bool {
        use Fault::{
            CloseBeforeRequest, CloseInRequest, Dropped, ForbiddenDoesNotBind, FullBacklog,
            HalfClose, SocketIsADirectory, SocketIsAFile, SocketIsForbidden, SocketRemoved,
            TakenOver, Unasked,
        };
        matches!(
            self,
            Dropped
                | Unasked
                | CloseBeforeRequest
                | CloseInRequest
                | HalfClose
                | TakenOver
                | FullBacklog
                | SocketRemoved
                | SocketIsAFile
                | SocketIsADirectory
                | SocketIsForbidden
                | ForbiddenDoesNotBind
        )
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
