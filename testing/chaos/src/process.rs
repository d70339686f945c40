//! What the process holds: tasks, open files, memory (Linux: from `/proc`).

use std::fs;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// Counts the bytes in use.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How long the last tasks and sockets may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// On the runtime of callers and connections.
    pub(crate) tasks: usize,
    /// Sockets, files and pipes.
    pub(crate) fds: usize,
    /// Asked for from the allocator and not given back.
    pub(crate) bytes: usize,
}

impl Holdings {
    pub(crate) fn now(runtime: &Handle) -> Self {
        Self {
            tasks: runtime.metrics().num_alive_tasks(),
            fds: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            bytes: ALLOCATOR.current_usage(),
        }
    }
}

/// What is held now beyond what was held `before`, once it stays.
pub(crate) async fn leaks_since(before: Holdings) -> Holdings {
    let started = Instant::now();
    loop {
        let now = Holdings::now(&Handle::current());
        let more = Holdings {
            tasks: now.tasks.saturating_sub(before.tasks),
            fds: now.fds.saturating_sub(before.fds),
            bytes: now.bytes.saturating_sub(before.bytes),
        };
        if more.tasks + more.fds == 0 || started.elapsed() > PATIENCE {
            return more;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Memory that the process occupies, in bytes.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}
