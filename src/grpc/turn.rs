//! How much of what lies there is read at a time; pure.
//!
//! After each part those have their turn whose replies came. What they send next is then written
//! together, while the server is still at work on the requests of the others: read to the end, all
//! would answer at once, and client and server wait for each other.

/// h2 asks for no more while frames are small. What brings more is of a large reply or request: it
/// has nobody who answers before its end, and is read on.
const SMALL: usize = 8 * 1024;

/// So much of large ones: then others have their turn too.
const MOST: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Turn {
    read: usize,
    is_over: bool,
}

impl Turn {
    pub(crate) fn has_read(&mut self, count: usize) {
        self.read += count;
        self.is_over = count > 0 && (count <= SMALL || self.read >= MOST);
    }

    /// True once after each part: then nothing is to be read before the others have had their turn.
    pub(crate) fn is_over(&mut self) -> bool {
        let is_over = std::mem::take(&mut self.is_over);
        if is_over {
            self.read = 0;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_read_small_replies_has_one_turn_of_the_others_behind_it() {
        let mut turn = Turn::default();
        for count in [1, 300, SMALL] {
            turn.has_read(count);
            assert!(turn.is_over(), "{count}");
            assert!(!turn.is_over(), "{count}");
        }
    }

    #[test]
    fn a_large_reply_is_read_on_and_not_without_end() {
        let mut turn = Turn::default();
        let mut turns = 0;
        for _ in 0..64 {
            turn.has_read(16 * 1024);
            turns += usize::from(turn.is_over());
        }
        assert_eq!(turns, 4, "of 1 MiB");
    }

    #[test]
    fn what_has_ended_has_no_turn_behind_it() {
        let mut turn = Turn::default();
        turn.has_read(0);
        assert!(!turn.is_over());
    }
}
