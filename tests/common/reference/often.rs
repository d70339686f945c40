//! The reference server, killed and started again many times.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use tempfile::TempDir;

use super::{OwnedChild, START_LIMIT, file, lines, venv};

/// A reference server that can be started within a fraction of a second, from the second
/// time on; it does not run at first. Its plugins are those of `plugins.yaml`.
pub(crate) struct OftenServer {
    // Before the child: closing its stdin is how it is asked to end.
    orders: ChildStdin,
    answers: Receiver<String>,
    dir: TempDir,
    _child: OwnedChild,
}

impl OftenServer {
    pub(crate) fn new() -> Option<Self> {
        let venv = venv()?;
        let dir = tempfile::Builder::new().prefix("hookwire").tempdir().expect("a directory");
        let log = File::create(dir.path().join("stderr")).expect("a log file");
        let mut command = Command::new(venv.join("bin/python"));
        command
            .current_dir(dir.path())
            .args([file("serve_often.py").as_path(), dir.path()])
            .env("PYTHONPATH", file(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PLUGINS_CONFIG_PATH", file("plugins.yaml"))
            .env("PLUGINS_UNIX_SOCKET_PATH", socket_in(dir.path()))
            .env("PLUGINS_LOG_LEVEL", "ERROR")
            .env("HOOKWIRE_EXECUTIONS", dir.path().join("executions"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = OwnedChild(command.spawn().expect("the reference server starts"));
        let orders = child.0.stdin.take().expect("stdin is piped");
        let answers = lines(&mut child.0);
        Some(Self { orders, answers, dir, _child: child })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// Starts a server, and waits until it listens.
    pub(crate) fn start(&mut self) {
        self.order("start", "READY");
    }

    /// Ends the server as a crash would, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        self.order("kill", "KILLED");
    }

    fn order(&mut self, order: &str, answer: &str) {
        writeln!(self.orders, "{order}").expect("it reads its orders");
        let told = self.answers.recv_timeout(START_LIMIT);
        assert_eq!(told.as_deref().map(str::trim), Ok(answer), "{order}: {}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// How often the plugin `Counter` ran, by marker, over all starts.
    pub(crate) fn executions(&self) -> BTreeMap<String, usize> {
        let text = fs::read_to_string(self.dir.path().join("executions")).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for marker in text.lines() {
            *counts.entry(marker.to_owned()).or_default() += 1;
        }
        counts
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("plugins.sock")
}
