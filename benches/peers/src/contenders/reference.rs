//! The reference implementation: its server with a plugin that does nothing, and
//! its client, in processes of their own.
//!
//! `HOOKWIRE_REFERENCE_PYTHON` names an interpreter that has the package; without
//! it the virtual environment of the tests is used, and made if need be.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

/// An interpreter with the reference package, or why there is none.
pub fn python() -> Result<PathBuf, String> {
    if let Some(python) = std::env::var_os("HOOKWIRE_REFERENCE_PYTHON") {
        return Ok(python.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let venv = root.join("target/reference-venv");
    let tests = root.join("tests/reference");
    let status = Command::new("python3")
        .arg(tests.join("prepare_venv.py"))
        .arg(&venv)
        .arg(tests.join("requirements.txt"))
        .status()
        .map_err(|error| format!("python3 cannot be started: {error}"))?;
    status.success().then(|| venv.join("bin/python")).ok_or("see above".to_owned())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(name)
}

/// A child process that ends with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Fails only if the child has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The reference server.
pub struct ReferenceServer {
    dir: TempDir,
    _child: Owned,
}

impl ReferenceServer {
    pub fn start(python: &Path) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut child = Command::new(python)
            .current_dir(dir.path())
            .args(["-m", "cpex.framework.external.unix.server.runtime"])
            .env("PYTHONPATH", file(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PLUGINS_CONFIG_PATH", file("plugins.yaml"))
            .env("PLUGINS_UNIX_SOCKET_PATH", dir.path().join("plugins.sock"))
            .env("PLUGINS_LOG_LEVEL", "WARNING")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map(Owned)
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let stdout = child.0.stdout.take().ok_or("no stdout")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        if !lines.any(|line| line.trim() == "READY") {
            return Err("the reference server did not start, see above".to_owned());
        }
        // Read on, so that the server never finds its output closed.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { dir, _child: child })
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("plugins.sock")
    }
}

/// What a client did in a turn.
#[derive(Clone, Copy, Deserialize)]
pub struct Turn {
    pub calls: f64,
    pub elapsed: f64,
    /// CPU time of the client, in seconds.
    pub cpu: f64,
}

impl Turn {
    pub fn calls_per_second(&self) -> f64 {
        self.calls / self.elapsed
    }

    pub fn cpu_per_call_us(&self) -> f64 {
        self.cpu / self.calls * 1e6
    }
}

/// The reference client, asked for one turn after the other.
pub struct ReferenceClient {
    // Before the child: closing its stdin is how it is asked to end.
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Owned,
}

impl ReferenceClient {
    pub fn start(python: &Path, socket: &Path) -> Result<Self, String> {
        let mut child = Command::new(python)
            .arg(file("drive.py"))
            .arg(socket)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map(Owned)
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let stdin = child.0.stdin.take().ok_or("no stdin")?;
        let stdout = child.0.stdout.take().ok_or("no stdout")?;
        Ok(Self { stdin, answers: BufReader::new(stdout).lines(), _child: child })
    }

    pub fn turn(&mut self, connections: usize, callers: usize, time: Duration) -> Turn {
        let order = json!({
            "connections": connections, "callers": callers, "seconds": time.as_secs_f64()
        });
        writeln!(self.stdin, "{order}").expect("the reference client reads");
        let answer = self.answers.next().expect("the reference client answers");
        serde_json::from_str(&answer.expect("a line")).expect("a turn")
    }
}
