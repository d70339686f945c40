//! How long callers' threads wait for a processor (Linux: from `/proc`).
//!
//! The system can take the processor from one thread alone. What that one runs, and
//! what only it can run next, waits with it, and whoever is woken by another thread
//! is on time. For each thread the kernel counts how long it was ready to run and had
//! no processor. One that sleeps or runs adds nothing to that, so neither does a call
//! that a fault of the crate keeps.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::time::Instant;

use crate::lateness::Lateness;

/// What the threads of the callers' runtime are called.
pub(crate) const THREADS: &str = "callers";

/// How often their waits are read, and how often the threads are looked for.
const PERIOD: Duration = Duration::from_millis(5);
const LOOK: Duration = Duration::from_secs(1);

/// What a thread has waited in its life, from its `schedstat`: the time it ran, the
/// time it waited, both in ns, and how often it ran.
pub(crate) fn waited(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// How much was added to it; nothing is known of a thread that is seen for the first
/// time, and one with less than before is another thread of the same number.
pub(crate) fn grown(before: Option<Duration>, now: Duration) -> Duration {
    before.map_or(Duration::ZERO, |before| now.saturating_sub(before))
}

/// Tells of what the callers' threads wait, until it is dropped.
pub(crate) struct Sampler {
    /// Nothing is sent: it is there, or it is not.
    goes_on: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// On a thread of its own, as it must not wait for those it looks at.
    pub(crate) fn start(lateness: Arc<Lateness>) -> Self {
        let (goes_on, ends) = channel();
        // A thread without a name inherits one, and could be taken for a caller.
        let thread = Builder::new().name("sampler".to_owned()).spawn(move || {
            let (mut threads, mut looked) = (HashMap::new(), None);
            while ends.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                if looked.is_none_or(|looked| now >= looked + LOOK) {
                    look(&mut threads);
                    looked = Some(now);
                }
                lateness.starved(sample(&mut threads), Instant::now());
            }
        });
        Self { goes_on: Some(goes_on), thread: Some(thread.expect("a thread for the sampler")) }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.goes_on = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Callers' threads, by where their waiting is told, and what it was last.
type Threads = HashMap<PathBuf, Option<Duration>>;

/// Finds those that are there now; what is known of one that stays remains.
fn look(threads: &mut Threads) {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let callers = tasks.map(|task| task.path()).filter(|task| is_caller(task));
    *threads = callers
        .map(|task| task.join("schedstat"))
        .map(|path| threads.remove_entry(&path).unwrap_or((path, None)))
        .collect();
}

fn is_caller(task: &Path) -> bool {
    fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim_end() == THREADS)
}

/// The most that one of them waited since the last time.
fn sample(threads: &mut Threads) -> Duration {
    let mut most = Duration::ZERO;
    for (path, before) in threads {
        let Some(now) = fs::read_to_string(path).ok().as_deref().and_then(waited) else { continue };
        most = most.max(grown(before.replace(now), now));
    }
    most
}
