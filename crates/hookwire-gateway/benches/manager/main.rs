//! A chain of four plugins beside the reference's plugin manager with the same four, on the
//! reference server: `cargo bench -p hookwire-gateway --bench manager`.
//!
//! The two take turns, so that the server and the machine are the same for both. CPU time is
//! that of the client's process; how busy the server was beside it tells which of the two bounds
//! the chains per second (it is one thread of Python: it cannot use more than one core). Linux
//! only. Needs Python 3.11 or newer; the reference package is installed
//! below the target directory, as for the tests.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{PluginConfig, Plugins};
use hookwire_gateway::{Chain, RequestContext};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};

const PLUGINS: usize = 4;
const CALLERS: usize = 64;
const TURN: Duration = Duration::from_millis(1_500);
const TURNS: usize = 7;

fn main() {
    let python = venv().join("bin/python");
    let dir = tempfile::tempdir().unwrap();
    let server = serve(&python, dir.path());
    let entries: Vec<Value> = (0..PLUGINS).map(|number| entry(number, &server.socket)).collect();
    let mut manager = Manager::start(&python, &entries);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let chain = runtime.block_on(chain(&entries));

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..=TURNS {
        let ours_now = server.beside(|| runtime.block_on(turn(&chain)));
        let turns = (ours_now, server.beside(|| manager.turn()));
        // The first is for warming up.
        if number > 0 {
            ours.push(turns.0);
            theirs.push(turns.1);
        }
    }
    println!("{PLUGINS} plugins on the reference server, {CALLERS} callers, {TURNS} turns each");
    print("hookwire_gateway::Chain", &ours);
    print("the reference's manager", &theirs);
    let pairs = || ours.iter().zip(&theirs);
    let more = pairs().map(|(ours, theirs)| ours.per_second() / theirs.per_second()).collect();
    let less = pairs().map(|(ours, theirs)| theirs.cpu_each() / ours.cpu_each()).collect();
    println!("chains per second, ours / theirs: {}", spread(more, 2));
    println!("client CPU per chain, theirs / ours: {}", spread(less, 1));
}

/// What a client did in a turn; times are in seconds.
#[derive(Deserialize)]
struct Turn {
    chains: f64,
    elapsed: f64,
    cpu: f64,
    /// CPU time of the server meanwhile.
    #[serde(default)]
    server_cpu: f64,
}

impl Turn {
    fn per_second(&self) -> f64 {
        self.chains / self.elapsed
    }

    fn cpu_each(&self) -> f64 {
        self.cpu / self.chains * 1e6
    }
}

fn print(name: &str, turns: &[Turn]) {
    let per_second = spread(turns.iter().map(Turn::per_second).collect(), 0);
    let cpu = spread(turns.iter().map(Turn::cpu_each).collect(), 0);
    let server = spread(turns.iter().map(|turn| turn.server_cpu / turn.elapsed).collect(), 2);
    println!("{name}: {per_second} chains/s, {cpu} µs of CPU per chain, server: {server} cores");
}

/// The median, and the range.
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (lowest, highest) = (values[0], values[values.len() - 1]);
    format!("{:.digits$} ({lowest:.digits$} to {highest:.digits$})", values[values.len() / 2])
}

fn entry(number: usize, socket: &Path) -> Value {
    json!({
        "name": format!("P{number}"), "kind": "external", "mode": "sequential",
        "priority": number, "hooks": ["tool_pre_invoke"], "unix_socket": {"path": socket},
    })
}

async fn chain(entries: &[Value]) -> Chain {
    let configs = entries.iter().map(|entry| PluginConfig::from_value(entry.clone()).unwrap());
    let (plugins, _) = Plugins::builder().plugins(configs).connect().await.unwrap();
    Chain::builder().plugins(plugins.handles()).build().unwrap()
}

/// Ours: the client, its connections' tasks and the callers on this thread.
async fn turn(chain: &Chain) -> Turn {
    let (begun, cpu_begun, chains) = (Instant::now(), cpu(), Cell::new(0.0));
    let caller = || async {
        while begun.elapsed() < TURN {
            let payload = ToolPreInvokePayload::new("search")
                .with_arg("topic", "rust programming")
                .with_arg("lang", "en");
            let mut request = RequestContext::new("0123456789abcdef");
            assert!(chain.run::<ToolPreInvoke>(payload, &mut request).await.is_ok());
            chains.set(chains.get() + 1.0);
        }
    };
    join_all((0..CALLERS).map(|_| caller())).await;
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), (cpu() - cpu_begun).as_secs_f64());
    Turn { chains: chains.get(), elapsed, cpu, server_cpu: 0.0 }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The virtual environment of the tests; installed if need be.
fn venv() -> PathBuf {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("reference-venv");
    let tests = file("../../tests/reference");
    let prepared = Command::new("python3")
        .args([&tests.join("prepare_venv.py"), &venv, &tests.join("requirements.txt")])
        .status()
        .unwrap();
    assert!(prepared.success(), "the reference package cannot be installed, see above");
    venv
}

/// A child process that ends with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    socket: PathBuf,
    child: Owned,
}

impl Server {
    /// A client's turn, with the CPU time that the server took for it.
    fn beside(&self, turn: impl FnOnce() -> Turn) -> Turn {
        let begun = self.cpu();
        let turn = turn();
        Turn { server_cpu: self.cpu() - begun, ..turn }
    }

    /// CPU time so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.0.id())).unwrap();
        // After the name, which may hold blanks: user and system time are 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }
}

fn serve(python: &Path, dir: &Path) -> Server {
    let (socket, config) = (dir.join("plugins.sock"), dir.join("plugins.yaml"));
    let plugins: Vec<Value> = (0..PLUGINS)
        .map(|number| {
            json!({
                "name": format!("P{number}"), "kind": "plugins.Allow", "mode": "sequential",
                "priority": number, "hooks": ["tool_pre_invoke"],
            })
        })
        .collect();
    // JSON is YAML.
    std::fs::write(&config, json!({"plugins": plugins, "plugin_dirs": []}).to_string()).unwrap();
    let child = Command::new(python)
        .current_dir(dir)
        .args(["-m", "cpex.framework.external.unix.server.runtime"])
        .env("PYTHONPATH", file("benches/manager"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PLUGINS_CONFIG_PATH", config)
        .env("PLUGINS_UNIX_SOCKET_PATH", &socket)
        .env("PLUGINS_LOG_LEVEL", "WARNING")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Owned(child.unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.trim() == "READY"), "the server did not start, see above");
    // Read on, so that the server never finds its output closed.
    std::thread::spawn(move || lines.for_each(drop));
    Server { socket, child }
}

/// The reference's manager, asked for one turn after the other.
struct Manager {
    // Before the child: closing its stdin is how it is asked to end.
    stdin: ChildStdin,
    answers: BufReader<ChildStdout>,
    _child: Owned,
}

impl Manager {
    fn start(python: &Path, entries: &[Value]) -> Self {
        let child = Command::new(python)
            .arg(file("benches/manager/drive.py"))
            .arg(json!(entries).to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = Owned(child.unwrap());
        let stdin = child.0.stdin.take().unwrap();
        let answers = BufReader::new(child.0.stdout.take().unwrap());
        Self { stdin, answers, _child: child }
    }

    fn turn(&mut self) -> Turn {
        let order = json!({"callers": CALLERS, "seconds": TURN.as_secs_f64()});
        writeln!(self.stdin, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}
