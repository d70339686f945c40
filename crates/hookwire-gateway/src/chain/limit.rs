//! How large a payload is, as JSON text.

use std::io;

use serde::Serialize;

/// Whether its JSON text has more bytes than that. It is written nowhere, and not further than
/// to the limit. One that cannot be written is left to the calls, which fail.
pub(super) fn exceeds(payload: &impl Serialize, limit: usize) -> bool {
    serde_json::to_writer(Room(limit), payload).is_err_and(|error| error.is_io())
}

struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_limit_is_of_the_json_text() {
        assert!(!exceeds(&["abc"], 7) && exceeds(&["abc"], 6));
        assert!(!exceeds(&"", usize::MAX) && exceeds(&"", 0));
    }

    #[test]
    fn what_is_no_json_is_not_too_large() {
        assert!(!exceeds(&HashMap::from([([1], 1)]), 1000));
    }
}
