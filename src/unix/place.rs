//! Where a plugin's path leads, and whether it is time to look again.
//!
//! A server that takes a path over puts a socket of its own there. Connections to the server
//! before it stay open, and nothing on them tells that it is not the plugin any more. The
//! file does: while the first server lives, which holds them, no other file has the device and
//! inode of its socket.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// How old the last look may be when a call is bound to a socket.
const PERIOD: Duration = Duration::from_millis(500);

/// One socket in the file system, or one server behind a connector of the application's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    device: u64,
    inode: u64,
}

impl Place {
    pub(crate) fn of(socket: &Metadata) -> Self {
        Self { device: socket.dev(), inode: socket.ino() }
    }

    /// That of the server with this number.
    pub(crate) fn numbered(generation: u64) -> Self {
        Self { device: 0, inode: generation }
    }
}

/// When the path is to be looked at: before calls are written to a socket, if the last look is
/// [`PERIOD`] ago. So a plugin that is in use is looked after twice a second, whatever
/// the number of its calls, and one that nobody calls is not.
#[derive(Debug)]
pub(crate) struct Lookout {
    began: Instant,
    /// In milliseconds since then.
    next: AtomicU64,
}

impl Lookout {
    pub(crate) fn new(began: Instant) -> Self {
        Self { began, next: AtomicU64::new(0) }
    }

    /// True if somebody has to look now; then it is the caller, and nobody else.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.began).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let next = self.next.load(Relaxed);
        now >= next
            && self
                .next
                .compare_exchange(next, now + PERIOD.as_millis() as u64, Relaxed, Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Not even on file systems that give a new file the number of one that was removed.
    #[test]
    fn h31_no_other_socket_has_the_place_of_one_to_which_a_connection_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plugin.sock");
        let place = || Place::of(&fs::metadata(&path).unwrap());
        let first = UnixListener::bind(&path).unwrap();
        let held = place();
        let _client = UnixStream::connect(&path).unwrap();
        let _accepted = first.accept().unwrap();
        drop(first);
        for _ in 0..100 {
            fs::remove_file(&path).unwrap();
            let _next = UnixListener::bind(&path).unwrap();
            assert_ne!(place(), held);
        }
    }

    #[test]
    fn one_caller_looks_and_the_next_half_a_second_later() {
        let began = Instant::now();
        let lookout = Lookout::new(began);
        let looks: Vec<u32> = (0..1_200).filter(|ms| lookout.is_due(began + *ms * MS)).collect();
        assert_eq!(looks, [0, 500, 1_000]);
    }

    #[test]
    fn after_a_pause_the_first_call_looks() {
        let began = Instant::now();
        let (lookout, later) = (Lookout::new(began), began + 3_600_000 * MS);
        assert!(lookout.is_due(began));
        assert!(lookout.is_due(later));
        assert!(!lookout.is_due(later), "at the same time nobody else does");
        assert!(!lookout.is_due(began + 10 * MS), "nor does a call that began before");
    }
}
