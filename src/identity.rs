//! Which plugin it is, and how its log lines are written.
//!
//! A log subscriber is the gateway's code and may panic: because the reader of its
//! output is gone, say. That costs the line, never the task that wrote it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::endpoint::Endpoint;

/// What every log line and every error of a plugin names.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) plugin: Arc<str>,
    pub(crate) endpoint: Endpoint,
    panics: AtomicU64,
}

impl Identity {
    pub(crate) fn new(plugin: Arc<str>, endpoint: Endpoint) -> Self {
        Self { plugin, endpoint, panics: AtomicU64::new(0) }
    }

    /// Writes a log line. A panic in it ends here and is counted; while this thread
    /// unwinds from another one, nothing is written: a second panic would abort.
    pub(crate) fn log(&self, line: impl FnOnce(&Self)) {
        if std::thread::panicking() {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| line(self))).is_err() {
            self.panics.fetch_add(1, Relaxed);
        }
    }

    /// Counts a panic that ended one of the plugin's tasks.
    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    /// Panics of foreign code in the plugin's tasks and log lines.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_line_that_panics_is_counted_and_harms_nobody() {
        let identity = Identity::new("P".into(), Path::new("/p").into());
        identity.log(|_| panic!("the reader of the log is gone"));
        identity.log(|identity| assert_eq!(&*identity.plugin, "P"));
        assert_eq!(identity.panics(), 1);
    }

    #[test]
    fn nothing_is_written_while_its_thread_panics() {
        struct Logs(Arc<Identity>);
        impl Drop for Logs {
            fn drop(&mut self) {
                self.0.log(|_| panic!("this would abort the process"));
            }
        }
        let identity = Arc::new(Identity::new("P".into(), Path::new("/p").into()));
        let logs = Logs(Arc::clone(&identity));
        let outcome = std::thread::spawn(move || {
            let _logs = logs;
            panic!("for another reason");
        })
        .join();
        assert!(outcome.is_err());
        assert_eq!(identity.panics(), 0);
    }
}
