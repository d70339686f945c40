//! How much of what lies there is read at a time; pure.
//!
//! After each part those have their turn whose replies came. What they send next is then written
//! together, while the server is still at work on the requests of the others: read to the end, all
//! would answer at once, and client and server wait for each other.

/// It holds some twenty small replies.
const PART: usize = 8 * 1024;

/// A large reply is read in parts that double up to this: it needs turns too, and has nobody who
/// sends meanwhile.
const MOST: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Turn {
    part: usize,
    read: usize,
    is_over: bool,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self { part: PART, read: 0, is_over: false }
    }

    /// `is_all`: nothing more lies there.
    pub(crate) fn has_read(&mut self, count: usize, is_all: bool) {
        self.read += count;
        self.is_over = count > 0 && (is_all || self.read >= self.part);
    }

    /// True once after each part: then nothing is to be read before the others have had their turn.
    pub(crate) fn is_over(&mut self) -> bool {
        let is_over = std::mem::take(&mut self.is_over);
        if is_over {
            self.read = 0;
            self.part = (2 * self.part).min(MOST);
        }
        is_over
    }

    /// Somebody had something to send.
    pub(crate) fn has_written(&mut self) {
        self.part = PART;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of this many bytes, which come in pieces of so many: what each turn reads.
    fn turns(mut bytes: usize, piece: usize) -> Vec<usize> {
        let (mut turn, mut turns) = (Turn::new(), vec![0]);
        while bytes > 0 {
            if turn.is_over() {
                turns.push(0);
            }
            let count = piece.min(bytes);
            bytes -= count;
            *turns.last_mut().unwrap() += count;
            turn.has_read(count, bytes == 0);
        }
        assert!(turn.is_over(), "who has read has a turn of the others behind it");
        assert!(!turn.is_over(), "and only one");
        turns
    }

    #[test]
    fn what_is_short_is_one_part() {
        assert_eq!(turns(300, 8192), [300]);
    }

    #[test]
    fn small_replies_are_read_in_parts() {
        let mut turn = Turn::new();
        for _ in 0..10 {
            turn.has_read(PART, false);
            assert!(turn.is_over());
            turn.has_written();
        }
    }

    #[test]
    fn a_large_reply_takes_few_turns() {
        let turns = turns(1 << 20, 16 * 1024);
        assert!(turns.len() <= 10, "{turns:?}");
        assert!(turns.iter().all(|read| *read <= MOST), "{turns:?}");
    }

    #[test]
    fn what_has_ended_has_no_turn_behind_it() {
        let mut turn = Turn::new();
        turn.has_read(0, true);
        assert!(!turn.is_over());
    }
}
