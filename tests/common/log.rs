//! A log that is kept in memory, to look at what is written into it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Held while a test reads a log: where others of its process begin or end to, `tracing` asks all
/// of them anew what they want to hear, and lines get lost meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

/// While it lives, the log is written.
pub(crate) struct Logging {
    _log: DefaultGuard,
    _alone: MutexGuard<'static, ()>,
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What this thread logs at `level` and above goes into it while the guard lives.
    pub(crate) fn start(level: LevelFilter) -> (Self, Logging) {
        Self::start_with(level, FmtSpan::NONE)
    }

    /// The same with these events of spans.
    pub(crate) fn start_with(level: LevelFilter, spans: FmtSpan) -> (Self, Logging) {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(spans)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, Logging { _log: set_default(subscriber), _alone: alone })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines_with("")
    }

    /// The lines that hold this, such as ` INFO `.
    pub(crate) fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
