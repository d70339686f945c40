//! Some of a plugin's servers.

/// As many as a plugin has at most.
pub const MOST: usize = 3;

/// A set of servers, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Servers(u8);

impl Servers {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u8::MAX);

    /// Of so many servers, one, or all of them. Where there is one, no dice are thrown.
    pub fn draw(rng: &mut fastrand::Rng, of: usize) -> Self {
        if of > 1 && rng.u32(0..100) < 70 { Self(1 << rng.usize(0..of)) } else { Self::ALL }
    }

    pub fn has(self, server: usize) -> bool {
        self.0 & 1 << server != 0
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MOST).filter(move |server| self.has(*server))
    }
}
