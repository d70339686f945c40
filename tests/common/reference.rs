//! The reference implementation as a peer: its server, and its client.
//!
//! Both run as child processes in a virtual environment below the target
//! directory, which the first test that needs it installs. Where Python is missing
//! (or the package cannot be installed) the constructors say why and return `None`,
//! and the test is to return too; with `CI=true` they panic instead, so that a
//! pipeline cannot skip them unseen. Every wait has a bound; children are ended by
//! their own handle, or end by themselves with the test process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) mod calls;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
pub(crate) mod often;
#[cfg(feature = "grpc")]
pub(crate) mod port;
#[cfg(feature = "grpc")]
pub(crate) mod probe;
pub(crate) mod published;
pub(crate) mod pythons;
#[cfg(feature = "server")]
pub(crate) mod served;

/// Downloading and unpacking some 50 packages, on a bad day.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);
/// The server needs 3 to 5 s on an idle machine; tests start several at once.
const START_LIMIT: Duration = Duration::from_secs(90);
/// What the reference package is, in `tests/reference`.
const REQUIREMENTS: &str = "requirements.txt";
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// Above every timeout that a test gives the reference client.
const ANSWER_LIMIT: Duration = Duration::from_secs(90);

/// The virtual environment that holds the reference package, installed if need be.
pub(crate) fn venv() -> Option<PathBuf> {
    static VENV: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    installed(VENV.get_or_init(|| install("reference-venv", &[REQUIREMENTS])))
}

/// Says why it is not there, and fails where it must not be missing.
fn installed(venv: &Result<PathBuf, String>) -> Option<PathBuf> {
    match venv {
        Ok(venv) => Some(venv.clone()),
        Err(why) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("the reference implementation is not available: {why}")
        }
        Err(why) => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Not `eprintln`: the test runner shows that for failed tests only.
            let _ = writeln!(
                std::io::stderr(),
                "skipped {test}, the reference implementation is not available: {why}"
            );
            None
        }
    }
}

/// A virtual environment of this name below the target directory, or the one that
/// `testing/drift` has made.
fn install(name: &str, requirements: &[&str]) -> Result<PathBuf, String> {
    if let Some(venv) = std::env::var_os("HOOKWIRE_REFERENCE_VENV") {
        return Ok(venv.into());
    }
    let venv = target().join(name);
    install_with("python3".as_ref(), &venv, requirements).map(|()| venv)
}

fn target() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR")
        .and_then(|tmp| Path::new(tmp).parent())
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Path::to_path_buf)
}

/// Makes a virtual environment with this Python, if it is not there.
fn install_with(python: &Path, venv: &Path, requirements: &[&str]) -> Result<(), String> {
    let output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let log = output.try_clone().map_err(|error| error.to_string())?;
    let child = Command::new(python)
        .args([&file("prepare_venv.py"), venv])
        .args(requirements.iter().map(|name| file(name)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", python.display()))?;
    let status = OwnedChild(child).wait_for(INSTALL_LIMIT);
    match status {
        Some(true) => Ok(()),
        Some(false) => Err(text_of(output)),
        None => Err(format!("not installed after {INSTALL_LIMIT:?}")),
    }
}

/// A file of `tests/reference`, for the tests of any of the workspace's packages.
fn file(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut files = workspace.map(|root| root.join("tests/reference").join(name));
    files.find(|file| file.exists()).expect("a file of the workspace's tests")
}

fn text_of(mut file: File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    read.map_or_else(|error| error.to_string(), |_| text.trim().to_owned())
}

/// A child process that ends with its owner.
struct OwnedChild(Child);

impl OwnedChild {
    /// Whether the child succeeded, or `None` (and it is killed) if it takes longer than `limit`.
    fn wait_for(mut self, limit: Duration) -> Option<bool> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().expect("a child can be waited for") {
                return Some(status.success());
            }
            // std has no wait with a timeout.
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        // Fails only if the child has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines a child writes, so that waiting for one can have a bound.
fn lines(child: &mut Child) -> Receiver<String> {
    lines_of(child.stdout.take().expect("stdout is piped"))
}

fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Goes on reading when nobody listens: a child must not find its pipe closed.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The reference server with the plugins of `tests/reference`, on a socket of its own.
///
/// Killed when dropped. The socket path stays the same over [`restart`](Self::restart).
pub(crate) struct ReferenceServer {
    venv: PathBuf,
    /// Shared by those that take its path over.
    dir: Arc<TempDir>,
    environment: Vec<(String, String)>,
    running: Option<OwnedChild>,
}

impl ReferenceServer {
    /// Starts a server with these variables in its environment and waits until it listens.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Option<Self> {
        Some(Self::start_in(venv()?, environment))
    }

    fn start_in(venv: PathBuf, environment: &[(&str, &str)]) -> Self {
        let mut server = Self {
            venv,
            dir: Arc::new(
                tempfile::Builder::new()
                    .prefix("hookwire")
                    .tempdir()
                    .expect("a temporary directory"),
            ),
            environment: environment.iter().map(|&(k, v)| (k.into(), v.into())).collect(),
            running: None,
        };
        server.restart();
        server
    }

    /// The server that the tests of one process share. None of them may stop it;
    /// it ends with the process.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<ReferenceServer>> = OnceLock::new();
        // Says for every test why it is skipped.
        venv()?;
        SERVER.get_or_init(|| Self::start(&[])).as_ref()
    }

    /// Where the server listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("plugins.sock")
    }

    /// Ends the server as a crash would: at once, without closing anything in order.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Stops the server from running, without ending it: the kernel goes on taking
    /// connections and bytes for it.
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets a frozen server run on: it finds all that came meanwhile.
    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let server = self.running.as_ref().expect("the server runs");
        let pid = rustix::process::Pid::from_child(&server.0);
        rustix::process::kill_process(pid, signal).expect("our own child");
    }

    /// Ends the server as an administrator would: it closes its connections and goes.
    pub(crate) fn stop(&mut self) {
        // From Python 3.12 on it would wait for its clients to go first: then it is killed.
        self.stops_within(STOP_LIMIT);
    }

    /// The same, and whether it was gone by then; if not it is killed.
    pub(crate) fn stops_within(&mut self, limit: Duration) -> bool {
        let Some(mut server) = self.running.take() else { return true };
        let stdin = server.0.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(b"stop\n").expect("the server reads its stdin");
        server.wait_for(limit).is_some()
    }

    /// Another server on the same path, which the reference takes over without asking. This
    /// one keeps its connections.
    pub(crate) fn succeed(&self) -> Self {
        let (venv, dir) = (self.venv.clone(), Arc::clone(&self.dir));
        let mut successor =
            Self { venv, dir, environment: self.environment.clone(), running: None };
        successor.restart();
        successor
    }

    /// The number that a name of the reference's code stands for.
    pub(crate) fn constant(&self, module: &str, name: &str) -> f64 {
        let output = Command::new(self.venv.join("bin/python"))
            .args(["-c", &format!("from {module} import {name}; print({name})")])
            .output()
            .expect("Python runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse().unwrap_or_else(|_| panic!("{name} is no number: {output:?}"))
    }

    /// Kills the server if it runs, starts it again on the same socket, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let log = File::create(self.dir.path().join("stderr")).expect("a log file");
        let mut command = Command::new(self.venv.join("bin/python"));
        // The directory is empty: the server would read a `.env` file from where it runs.
        command
            .current_dir(self.dir.path())
            .args([file("serve.py").as_path(), self.dir.path()])
            .env("PYTHONPATH", file(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PLUGINS_CONFIG_PATH", file("plugins.yaml"))
            .env("PLUGINS_UNIX_SOCKET_PATH", self.socket())
            .env("PLUGINS_LOG_LEVEL", "WARNING")
            .env("HOOKWIRE_EXECUTIONS", self.executions_file())
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = OwnedChild(command.spawn().expect("the reference server starts"));
        let stdout = lines(&mut child.0);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.trim() == "READY" => break,
                Ok(_) => {}
                Err(why) => panic!("the reference server is not ready ({why}): {}", self.log()),
            }
        }
        self.running = Some(child);
    }

    /// One request over a new connection, and its reply, without a line of the crate under test.
    pub(crate) fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.socket()).expect("the server listens");
        stream.set_read_timeout(Some(ANSWER_LIMIT)).expect("a timeout can be set");
        let length = u32::try_from(request.len()).expect("a request that fits a frame");
        stream.write_all(&length.to_be_bytes()).expect("the server reads");
        stream.write_all(request).expect("the server reads");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("a length");
        let mut reply = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut reply).expect("a whole reply");
        reply
    }

    /// What the server has written to stderr since its last start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// How often the plugin `Counter` ran for this marker, over all restarts.
    pub(crate) fn executions(&self, marker: &str) -> usize {
        self.all_executions().get(marker).copied().unwrap_or_default()
    }

    /// How often the plugin `Counter` ran, by marker, over all restarts.
    pub(crate) fn all_executions(&self) -> BTreeMap<String, usize> {
        let text = fs::read_to_string(self.executions_file()).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for marker in text.lines() {
            *counts.entry(marker.to_owned()).or_default() += 1;
        }
        counts
    }

    fn executions_file(&self) -> PathBuf {
        self.dir.path().join("executions")
    }
}

/// The reference client, driven step by step; the steps are told in `drive_client.py`.
pub(crate) struct ReferenceClient {
    // Before the child: closing its stdin is how it is asked to end.
    steps: ChildStdin,
    answers: Receiver<String>,
    log: File,
    _child: OwnedChild,
}

impl ReferenceClient {
    /// A client with this setup, e.g. `{"socket": …, "plugin": "Echo", "timeout": 0.5}`.
    pub(crate) fn start(setup: &Value) -> Option<Self> {
        let log = tempfile::tempfile().expect("a log file");
        let mut child = Command::new(venv()?.join("bin/python"))
            .arg(file("drive_client.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("a second handle of the log file"))
            .spawn()
            .map(OwnedChild)
            .expect("the reference client starts");
        let steps = child.0.stdin.take().expect("stdin is piped");
        let mut client = Self { steps, answers: lines(&mut child.0), log, _child: child };
        client.send(setup);
        Some(client)
    }

    /// Starts a step without waiting for its end.
    pub(crate) fn send(&mut self, step: &Value) {
        writeln!(self.steps, "{step}").expect("the reference client reads its steps");
    }

    /// The answer to the oldest step that was sent and not answered yet.
    pub(crate) fn answer(&mut self) -> Value {
        match self.answers.recv_timeout(ANSWER_LIMIT) {
            Ok(line) => serde_json::from_str(&line).expect("an answer is JSON"),
            Err(why) => {
                let log = self.log.try_clone().map(text_of).unwrap_or_default();
                panic!("the reference client does not answer ({why}): {log}")
            }
        }
    }

    /// Runs one step.
    pub(crate) fn step(&mut self, step: &Value) -> Value {
        self.send(step);
        self.answer()
    }
}

/// Runs all steps with a new reference client: one answer per step.
pub(crate) fn run_client(setup: &Value, steps: &[Value]) -> Option<Vec<Value>> {
    let mut client = ReferenceClient::start(setup)?;
    Some(steps.iter().map(|step| client.step(step)).collect())
}
