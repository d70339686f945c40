//! What a plugin's server is up to: how it takes connections, and what it does to
//! requests.

use crate::world::chance;

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
}

impl Fault {
    /// All but the lie.
    pub const ALL: [Self; 21] = [
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
    ];
}

/// Some of the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    pub const NONE: Self = Self(0);

    pub fn all() -> Self {
        Fault::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u32)
    }

    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u32))
    }

    pub fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u32 != 0
    }

    /// Each of these in a part of all cases: a mood is of a few faults, not of all.
    fn draw(self, rng: &mut fastrand::Rng) -> Self {
        let few = rng.u32(5..40);
        let drawn = Fault::ALL.into_iter().filter(|fault| self.has(*fault) && chance(rng, few));
        let lies = self.has(Fault::Lie).then_some(Fault::Lie);
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
    /// Nobody listens.
    pub absent: bool,
}

impl Mood {
    /// Nothing is wrong.
    pub fn well() -> Self {
        Self { faults: Faults::NONE, often: 0, work: 0, cut: 0, capacity: 64 * 1024, absent: false }
    }

    pub fn draw(rng: &mut fastrand::Rng, allowed: Faults) -> Self {
        Self {
            faults: allowed.draw(rng),
            often: *rng.choice([2, 10, 30, 100].iter()).unwrap_or(&10),
            work: *rng.choice([0, 0, 3, 20, 200].iter()).unwrap_or(&0),
            cut: *rng.choice([0, 0, 1, 7, 100].iter()).unwrap_or(&0),
            capacity: *rng.choice([64, 512, 4096, 64 * 1024].iter()).unwrap_or(&4096),
            absent: false,
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
