//! Runs the built binary, and servers for it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const HOOKWIRE: &str = env!("CARGO_BIN_EXE_hookwire");
pub(crate) const START_LIMIT: Duration = Duration::from_secs(30);

/// The lines that a child writes, so that waiting for one can have a limit.
pub(crate) fn lines(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| {
            // The test may have seen enough.
            let _ = sender.send(line);
        });
    });
    lines
}

/// `hookwire serve` on a socket of its own; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(HOOKWIRE)
            .args(["serve", "--socket"])
            .arg(dir.path().join("p.sock"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = lines(&mut child);
        let server = Self { child, dir };
        assert_eq!(lines.recv_timeout(START_LIMIT).expect("the server starts"), "READY");
        server
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("p.sock")
    }

    pub(crate) fn invoke(&self, plugin: &str, more: &[&str]) -> Run {
        self.run("invoke", &["--plugin", plugin, "--hook", "tool_pre_invoke"], more)
    }

    pub(crate) fn bench(&self, plugin: &str, more: &[&str]) -> Run {
        let call = ["--plugin", plugin, "--hook", "tool_pre_invoke", "--callers", "8", "--json"];
        self.run("bench", &call, more)
    }

    pub(crate) fn run(&self, command: &str, arguments: &[&str], more: &[&str]) -> Run {
        let socket = self.socket();
        let arguments = [&[command, "--socket", text(&socket)], arguments, more].concat();
        hookwire(&arguments, "")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The JSON on the last line of stdout of a command that succeeded.
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.json()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().expect("a line on stdout")).unwrap()
    }

    /// The only line of stderr of a command that failed.
    pub(crate) fn failure(&self, code: i32) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        self.stderr.trim()
    }

    /// The same as JSON: its reason and `sent`.
    pub(crate) fn json_failure(&self, code: i32) -> [String; 2] {
        let failure: Value = serde_json::from_str(self.failure(code)).unwrap();
        let keys: Vec<_> = failure.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["kind", "message", "reason", "sent"]);
        ["reason", "sent"].map(|key| failure[key].as_str().unwrap().to_owned())
    }
}

pub(crate) fn hookwire(arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(HOOKWIRE)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its stdin may have ended.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
