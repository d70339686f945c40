//! A log that is kept in memory, to look at what is written into it.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// For every test that listens to what its own thread traces: somebody else does, too. While there is
/// one listener only, `tracing` lets the thread that comes first to a line decide for all whether
/// anybody wants it: a thread of another test, where nobody listens, and the line is off. Of two
/// listeners both are asked.
pub(crate) fn another_listens() {
    static ANOTHER: LazyLock<Dispatch> =
        LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&ANOTHER);
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What this thread logs at `level` and above goes into it while the guard lives.
    pub(crate) fn start(level: LevelFilter) -> (Self, DefaultGuard) {
        Self::start_with(level, FmtSpan::NONE)
    }

    /// The same with these events of spans.
    pub(crate) fn start_with(level: LevelFilter, spans: FmtSpan) -> (Self, DefaultGuard) {
        another_listens();
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(spans)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, set_default(subscriber))
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
