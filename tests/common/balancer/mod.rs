//! A load balancer of the distribution, as a child process on this machine.
//!
//! Where its program is missing the constructor says so and returns `None`, and the test is to
//! return too; with `CI=true` it panics instead. It ends with its owner, and also with the test
//! process.

mod haproxy;
mod nginx;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hookwire::config::{GrpcBuilder, GrpcConfig};
use hookwire::{CallPolicy, PluginConfig, PluginError, PluginHandle, RetryPolicy};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::calls::{LIMIT, PLUGIN, eventually, in_time};
use super::reference::port::Port;

/// Far above what a start or a stop takes on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

/// Lines of the configuration beyond those that it needs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines {
    /// nginx: of the `server`. HAProxy: of the `frontend`.
    pub(crate) front: &'static str,
    /// nginx: of the `upstream`. HAProxy: of the `backend`.
    pub(crate) back: &'static str,
    /// What stands behind each server's address.
    pub(crate) server: &'static str,
    /// What stands behind the address that it listens at.
    pub(crate) listen: &'static str,
}

pub(crate) struct Balancer {
    kind: Kind,
    dir: TempDir,
    front: Port,
    lines: Lines,
    running: Option<Running>,
}

/// One process, and another that ends it when this one is gone.
struct Running {
    child: Child,
    watcher: Child,
}

impl Balancer {
    pub(crate) fn start(kind: Kind, servers: &[String]) -> Option<Self> {
        Self::start_with(kind, servers, Lines::default())
    }

    pub(crate) fn start_with(kind: Kind, servers: &[String], lines: Lines) -> Option<Self> {
        let program = installed(kind.program())?;
        let dir = tempfile::Builder::new().prefix("hookwire").tempdir().expect("a directory");
        let mut new = Self { kind, dir, front: Port::reserve(), lines, running: None };
        new.configure(servers);
        new.running = Some(new.run(&program, &[]));
        Some(new)
    }

    fn configure(&self, servers: &[String]) {
        let (dir, front) = (self.dir.path(), self.front.address);
        let text = match self.kind {
            Kind::Nginx => nginx::configuration(dir, front, servers, &self.lines),
            Kind::Haproxy => haproxy::configuration(dir, front, servers, &self.lines),
        };
        fs::write(self.file("balancer.conf"), text).expect("a configuration");
    }

    fn run(&self, program: &Path, more: &[String]) -> Running {
        let log = File::options().create(true).append(true).open(self.file("log"));
        let log = log.expect("a log file");
        let mut command = Command::new(program);
        match self.kind {
            Kind::Nginx => nginx::arguments(&mut command, self.dir.path()),
            Kind::Haproxy => haproxy::arguments(&mut command, self.dir.path()),
        }
        let child = command
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("it starts");
        let watcher = Command::new("sh")
            .args(["-c", "read -r _; kill \"$1\" 2> /dev/null", "sh", &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut running = Running { child, watcher };
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.front.address).is_err() {
            if let Some(status) = running.child.try_wait().expect("our own child") {
                panic!("{} has ended ({status}): {}", self.kind.program(), self.log());
            }
            assert!(Instant::now() < deadline, "it does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }

    /// Where it listens.
    pub(crate) fn target(&self) -> String {
        self.front.address.to_string()
    }

    /// What it has written, for people.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Takes its configuration anew, for these servers, as its administrator would let it: what
    /// is under way ends on the old one. Returns once that is gone.
    pub(crate) async fn reload(&mut self, servers: &[String]) {
        self.configure(servers);
        match self.kind {
            Kind::Nginx => {
                let ended = || self.log().matches(" exited with code 0").count();
                let before = ended();
                self.signal(Signal::HUP);
                eventually("the old worker has ended", || ended() > before).await;
            }
            Kind::Haproxy => {
                let program = installed(self.kind.program()).expect("it was there");
                let mut old = self.running.take().expect("it runs");
                let finish = ["-sf".to_owned(), old.child.id().to_string()];
                let new = tokio::task::block_in_place(|| self.run(&program, &finish));
                self.running = Some(new);
                let mut has_ended = || old.child.try_wait().expect("our own child").is_some();
                eventually("the old one has ended", &mut has_ended).await;
            }
        }
    }

    /// An order for HAProxy's own socket, which does as it is told.
    pub(crate) fn order(&self, order: &str) {
        assert_eq!(self.ask(order), "", "of {order}");
    }

    pub(crate) fn ask(&self, order: &str) -> String {
        let socket = UnixStream::connect(self.file("admin.sock"));
        let mut socket = socket.expect("HAProxy's own socket");
        writeln!(socket, "{order}").expect("it listens");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers");
        answer.trim().to_owned()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        match self.kind {
            // Its workers would live on.
            Kind::Nginx => self.signal(Signal::TERM),
            Kind::Haproxy => self.signal(Signal::KILL),
        }
        if let Some(mut running) = self.running.take() {
            running.wait();
        }
    }

    pub(crate) fn start_again(&mut self) {
        let program = installed(self.kind.program()).expect("it was there");
        self.running = Some(self.run(&program, &[]));
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("it runs");
        kill_process(Pid::from_child(&running.child), signal).expect("our own child");
    }

    /// The plugin behind it.
    pub(crate) async fn plugin(&self) -> PluginHandle {
        self.plugin_with(RetryPolicy::Unsent).await
    }

    pub(crate) async fn plugin_with(&self, retry: RetryPolicy) -> PluginHandle {
        self.try_plugin(retry).await.expect("the plugin is there")
    }

    pub(crate) async fn try_plugin(&self, retry: RetryPolicy) -> Result<PluginHandle, PluginError> {
        self.plugin_named(PLUGIN, retry).await
    }

    pub(crate) async fn plugin_named(
        &self,
        name: &str,
        retry: RetryPolicy,
    ) -> Result<PluginHandle, PluginError> {
        let grpc = GrpcConfig::builder().target(self.target());
        self.plugin_over(name, grpc, retry).await
    }

    /// The plugin of this name, reached as the section says.
    pub(crate) async fn plugin_over(
        &self,
        name: &str,
        grpc: GrpcBuilder,
        retry: RetryPolicy,
    ) -> Result<PluginHandle, PluginError> {
        let policy = CallPolicy::builder().timeout(LIMIT).retry(retry);
        let config = PluginConfig::builder(name).hook("tool_pre_invoke").grpc(grpc);
        let config = config.policy(policy).build().expect("a valid configuration");
        in_time("connect", PluginHandle::connect(config)).await
    }
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

impl Running {
    /// Waits for the end of a process that was told to end.
    fn wait(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        while self.child.try_wait().expect("our own child").is_none() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has nobody to watch any more; a process of another would have the number.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            self.wait();
        }
    }
}

/// Where the program is; packages put it where only administrators look.
fn installed(program: &str) -> Option<PathBuf> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    let mut files = std::env::split_paths(&path).map(|directory| directory.join(program));
    if let Some(file) = files.find(|file| file.is_file()) {
        return Some(file);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is not there");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln`: the test runner shows that for failed tests only.
    let _ = writeln!(std::io::stderr(), "skipped {test}, {program} is not there");
    None
}
