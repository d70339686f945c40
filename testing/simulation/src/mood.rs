//! What a plugin's server is up to: how it takes connections, and what it does to
//! requests.

use crate::dice::chance;
use crate::event::Over;
use crate::servers::Servers;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Connects are refused, or the socket is not there, for a while.
    Down,
    /// Its backlog is full.
    Busy,
    /// A connect takes long, or never comes about.
    SlowConnect,
    /// It accepts, and reads nothing for a while.
    SlowStart,
    /// All its sockets end at once.
    Restart,
    /// Another server takes its path over, and it goes on.
    TakenOver,
    /// It answers late.
    Late,
    /// A hook never comes back.
    Hang,
    /// It closes before, in, or after a reply.
    Close,
    /// It says that it will not write any more.
    HalfClose,
    /// It sends bytes that are no frame.
    BadFrame,
    /// It answers in another plugin's name.
    Foreign,
    /// It sends a reply twice, or that of another call.
    Twice,
    /// Neither a result nor an error.
    Empty,
    /// A right reply whose payload has an odd type.
    Odd,
    /// No verdict, or junk in a whole frame.
    Junk,
    /// It writes replies a few bytes at a time.
    Trickle,
    /// The kernel takes no more for a while.
    Stall,
    /// Callers drop their calls.
    Leave,
    /// A payload panics while it is serialised.
    Panic,
    /// The log's subscriber panics.
    Log,
    /// It answers one call with what another is owed, and nothing shows it. No client can
    /// help that: it is for the judge to find.
    Lie,
    /// A call ends with a status, before its hook has run or after.
    Status,
    /// Its stream is reset, before or after.
    Reset,
    /// It stops in good order, and is back at once.
    GoAway,
    /// It stops, and says that it will not look at a call that has come.
    PassOver,
    /// It does not read or write for a while, in the middle of everything.
    Freeze,
    /// A connection takes one call at a time, or a few.
    FewStreams,
    /// It says that it is not serving, for a while.
    NotServing,
    /// A whole reply without a status.
    NoStatus,
    /// A whole reply, and then a status that is not OK.
    TakenBack,
    /// Two messages for one call.
    Doubled,
    /// What a proxy would say.
    NotGrpc,
    /// It runs what it has said that it will not look at. This, too, is for the judge to find.
    FalseWord,
}

impl Fault {
    /// All but the lies.
    pub const ALL: [Self; 32] = [
        Self::Down,
        Self::Busy,
        Self::SlowConnect,
        Self::SlowStart,
        Self::Restart,
        Self::TakenOver,
        Self::Late,
        Self::Hang,
        Self::Close,
        Self::HalfClose,
        Self::BadFrame,
        Self::Foreign,
        Self::Twice,
        Self::Empty,
        Self::Odd,
        Self::Junk,
        Self::Trickle,
        Self::Stall,
        Self::Leave,
        Self::Panic,
        Self::Log,
        Self::Status,
        Self::Reset,
        Self::GoAway,
        Self::PassOver,
        Self::Freeze,
        Self::FewStreams,
        Self::NotServing,
        Self::NoStatus,
        Self::TakenBack,
        Self::Doubled,
        Self::NotGrpc,
    ];

    const LIES: [Self; 2] = [Self::Lie, Self::FalseWord];

    /// Those that can happen there.
    pub fn of(over: Over) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |fault| fault.happens(over))
    }

    fn happens(self, over: Over) -> bool {
        match over {
            Over::Socket => (self as u32) < Self::Lie as u32,
            // Bytes have no end there, and no path is looked at.
            Over::Grpc => !matches!(self, Self::HalfClose | Self::TakenOver),
        }
    }
}

/// Some of the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults(u64);

impl Faults {
    pub const NONE: Self = Self(0);

    pub fn all(over: Over) -> Self {
        Fault::of(over).fold(Self::NONE, Self::with)
    }

    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u64)
    }

    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u64))
    }

    pub fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u64 != 0
    }

    /// Each of these in a part of all cases: a mood is of a few faults, not of all.
    fn draw(self, rng: &mut fastrand::Rng) -> Self {
        let few = rng.u32(5..40);
        let drawn = Fault::ALL.into_iter().filter(|fault| self.has(*fault) && chance(rng, few));
        let lies = Fault::LIES.into_iter().filter(|fault| self.has(*fault));
        drawn.chain(lies).fold(Self::NONE, Self::with)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Mood {
    pub faults: Faults,
    /// How many in a hundred requests, or connects, meet a fault.
    pub often: u32,
    /// The longest a hook takes when nothing is wrong, in milliseconds.
    pub work: u64,
    /// At most so many bytes are moved at a time; 0 is no limit.
    pub cut: usize,
    /// What a socket's buffers hold.
    pub capacity: usize,
    /// Of these servers nobody listens.
    pub absent: Servers,
    /// These say that they are not serving.
    pub resting: Servers,
}

impl Mood {
    /// Nothing is wrong.
    pub fn well() -> Self {
        let (absent, resting) = (Servers::NONE, Servers::NONE);
        let (faults, capacity) = (Faults::NONE, 64 * 1024);
        Self { faults, often: 0, work: 0, cut: 0, capacity, absent, resting }
    }

    pub fn draw(rng: &mut fastrand::Rng, allowed: Faults) -> Self {
        Self {
            faults: allowed.draw(rng),
            often: *rng.choice([2, 10, 30, 100].iter()).unwrap_or(&10),
            work: *rng.choice([0, 0, 3, 20, 200].iter()).unwrap_or(&0),
            cut: *rng.choice([0, 0, 1, 7, 100].iter()).unwrap_or(&0),
            capacity: *rng.choice([64, 512, 4096, 64 * 1024].iter()).unwrap_or(&4096),
            absent: Servers::NONE,
            resting: Servers::NONE,
        }
    }

    /// One of its faults among `candidates`, or none.
    pub fn fault(&self, rng: &mut fastrand::Rng, candidates: &[Fault]) -> Option<Fault> {
        if !chance(rng, self.often) {
            return None;
        }
        let has = candidates.iter().copied().filter(|fault| self.faults.has(*fault));
        rng.choice(has.collect::<Vec<_>>())
    }
}
