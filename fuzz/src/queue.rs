//! What can be done to the queue of requests in flight.

use arbitrary::Arbitrary;

#[derive(Debug, Clone, PartialEq, Arbitrary)]
pub enum Op {
    Push {
        size: u8,
        deadline: u8,
    },
    /// The kernel takes so many bytes, if there are as many.
    Advance(u8),
    Pop,
    /// Those whose time is over become tombstones.
    Expire {
        now: u8,
    },
    TakeBack,
    Shrink,
    Drain,
    /// A request that nobody waits for from the start.
    PushTombstone {
        size: u8,
        deadline: u8,
    },
}

/// The bytes that `arbitrary` reads as these operations.
pub fn bytes(ops: &[Op]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for op in ops {
        let (variant, arguments) = match *op {
            Op::Push { size, deadline } => (0_u64, vec![size, deadline]),
            Op::Advance(count) => (1, vec![count]),
            Op::Pop => (2, vec![]),
            Op::Expire { now } => (3, vec![now]),
            Op::TakeBack => (4, vec![]),
            Op::Shrink => (5, vec![]),
            Op::Drain => (6, vec![]),
            Op::PushTombstone { size, deadline } => (7, vec![size, deadline]),
        };
        // One more follows.
        bytes.push(1);
        // `arbitrary` maps 32 bits evenly to the eight variants.
        bytes.extend((((variant << 32) / 8 + 1) as u32).to_le_bytes());
        bytes.extend(arguments);
    }
    bytes
}
