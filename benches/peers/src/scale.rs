//! What more plugins, more callers and larger payloads do to throughput and memory.
//!
//! Every load runs in a process of its own: memory that one has freed would
//! otherwise hide what the next one takes. The server stays in this process, one
//! thread for all connections, so none of its memory is counted.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hookwire::hooks::PromptPreFetchPayload;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::chart::{Chart, Line};
use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;
use crate::contenders::ours::Typed;
use crate::load::{self, Call, throughput_of};
use crate::number::{count, number};
use crate::process::{peak_resident, processor, resident};
use crate::report::worker_threads;

/// Long enough for connections to notice that they are idle and to give memory back.
const QUIET: Duration = Duration::from_millis(1_500);

/// A load of typed calls on plugins that have one socket each.
#[derive(Args, Clone)]
pub struct Load {
    /// The null server's socket; without one, it runs in this process as well.
    #[arg(long)]
    socket: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    plugins: usize,
    /// Sockets for each plugin.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 64)]
    callers: usize,
    /// Bytes of the payload; 0 is the sample of the other points.
    #[arg(long, default_value_t = 0)]
    payload: usize,
    #[arg(long, default_value_t = 5_000)]
    millis: u64,
}

/// What a load did, and what memory the process had then, in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub plugins: usize,
    pub connections: usize,
    pub callers: usize,
    pub payload: usize,
    pub calls_per_second: f64,
    before: u64,
    peak: u64,
    quiet: u64,
}

impl Outcome {
    /// Memory of a plugin after it was used and went quiet, in bytes.
    pub fn quiet_per_plugin(&self) -> f64 {
        self.quiet.saturating_sub(self.before) as f64 / self.plugins as f64
    }

    /// The most memory under load, all callers included, in MiB.
    fn peak_mib(&self) -> f64 {
        self.peak.saturating_sub(self.before) as f64 / (1024.0 * 1024.0)
    }

    /// By Little's law, from the number of callers and the throughput, in µs.
    fn mean_latency_us(&self) -> f64 {
        self.callers as f64 / self.calls_per_second * 1e6
    }
}

impl Load {
    /// Every plugin is called once, and then none is.
    pub fn idle(socket: &Path, plugins: usize) -> Self {
        let socket = Some(socket.to_owned());
        Self { socket, plugins, connections: 1, callers: 0, payload: 0, millis: 0 }
    }

    /// Runs here and prints the outcome as JSON.
    pub fn run(&self, workers: usize) {
        let runtime = load::runtime(workers);
        let payload = match self.payload {
            0 => sample::payload(),
            size => sample::payload_of(size),
        };
        let own = self.socket.is_none().then(|| null_server("load", payload.clone()));
        let socket = self.socket.as_deref().or(own.as_ref().map(NullServer::path));
        let socket = socket.expect("one or the other");
        let before = resident();
        // The callers' own; not counted to each plugin.
        let payload = Arc::new(payload);
        let plugins: Vec<Typed> = (0..self.plugins)
            .map(|_| {
                let _runtime = runtime.enter();
                Typed::with(sample::handle(socket, self.connections), Arc::clone(&payload))
            })
            .collect();
        use_each_once(&runtime, &plugins);
        let callers: Vec<Typed> = plugins.iter().cycle().take(self.callers).cloned().collect();
        let calls_per_second = match callers.is_empty() {
            true => 0.0,
            false => throughput_of(&runtime, callers, Duration::from_millis(self.millis)),
        };
        let peak = peak_resident();
        std::thread::sleep(QUIET);
        let quiet = resident();
        let &Self { connections, callers, payload, .. } = self;
        let plugins = plugins.len();
        let outcome = Outcome {
            plugins,
            connections,
            callers,
            payload,
            calls_per_second,
            before,
            peak,
            quiet,
        };
        println!("{}", serde_json::to_string(&outcome).expect("an outcome is JSON"));
    }

    /// Runs in a process of its own.
    pub fn in_a_process(&self, workers: usize) -> Outcome {
        let this = std::env::current_exe().expect("this program has a path");
        let output = Command::new(this)
            .arg("load")
            .arg("--socket")
            .arg(self.socket.as_deref().expect("the server is in this process"))
            .args(["--plugins", &self.plugins.to_string()])
            .args(["--connections", &self.connections.to_string()])
            .args(["--callers", &self.callers.to_string()])
            .args(["--payload", &self.payload.to_string()])
            .args(["--millis", &self.millis.to_string()])
            .args(["--workers", &workers.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .expect("this program starts once more");
        serde_json::from_slice(&output.stdout).expect("the load ends with an outcome")
    }
}

/// A server for all sockets, which gives the payload back.
fn null_server(name: &str, payload: PromptPreFetchPayload) -> NullServer {
    NullServer::event_loop(name, Answer::new(&sample::reply_frame(&payload)))
}

/// Opens the connections, one after the other.
pub fn use_each_once<'a>(runtime: &Runtime, plugins: impl IntoIterator<Item = &'a Typed>) {
    for plugin in plugins {
        let mut caller = plugin.clone();
        runtime.block_on(async { caller.call().await });
        black_box(caller);
    }
}

/// All that was measured.
#[derive(Serialize)]
pub struct Scale {
    machine: String,
    workers: usize,
    /// By plugins, then callers.
    load: Vec<Vec<Outcome>>,
    /// By the payload's size.
    payload: Vec<Outcome>,
    /// Memory of idle plugins.
    idle: Vec<Outcome>,
}

const PLUGINS: [usize; 4] = [1, 8, 64, 1_000];
const CALLERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const PAYLOADS: [usize; 5] = [100, 1_024, 10 * 1_024, 100 * 1_024, 1_024 * 1_024];

pub fn measure(workers: usize, quick: bool) -> Scale {
    let millis = if quick { 300 } else { 2_000 };
    let small = null_server("scale", sample::payload());
    let base = Load { millis, ..Load::idle(small.path(), 1) };

    let machine = processor();
    println!("{machine}, {} for the client, one for the server", worker_threads(workers));
    println!("\ncalls/s (mean latency) by callers and plugins, one socket each");
    print!("{:>10}", "callers");
    PLUGINS.iter().for_each(|plugins| print!("{:>26}", plugins_of(*plugins)));
    println!();
    let mut load: Vec<Vec<Outcome>> = PLUGINS.iter().map(|_| Vec::new()).collect();
    for callers in CALLERS {
        print!("{:>10}", count(callers));
        for (row, plugins) in load.iter_mut().zip(PLUGINS) {
            let outcome = Load { plugins, callers, ..base.clone() }.in_a_process(workers);
            let (calls, latency) = (outcome.calls_per_second, outcome.mean_latency_us());
            print!("{:>26}", format!("{} ({} µs)", number(calls), number(latency)));
            row.push(outcome);
        }
        println!();
    }

    println!("\nmemory under load by callers and plugins, the callers' tasks included: MiB");
    for (index, callers) in CALLERS.iter().enumerate() {
        print!("{:>10}", count(*callers));
        load.iter().for_each(|row| print!("{:>26}", number(row[index].peak_mib())));
        println!();
    }

    println!("\nmemory of a plugin that was used once and went quiet");
    let idle: Vec<Outcome> = PLUGINS[1..]
        .iter()
        .map(|&plugins| Load::idle(small.path(), plugins).in_a_process(workers))
        .collect();
    for outcome in &idle {
        let kib = outcome.quiet_per_plugin() / 1024.0;
        println!("{:>18}: {} KiB each", plugins_of(outcome.plugins), number(kib));
    }

    println!("\n64 callers on one connection, by bytes of payload (there and back)");
    let payload: Vec<Outcome> = PAYLOADS
        .iter()
        .map(|&size| {
            let server = null_server("scale-payload", sample::payload_of(size));
            let load = Load {
                callers: 64,
                payload: size,
                socket: Some(server.path().to_owned()),
                ..base.clone()
            };
            let outcome = load.in_a_process(workers);
            let (calls, megabytes) = (outcome.calls_per_second, megabytes_per_second(&outcome));
            println!(
                "{:>10} bytes: {:>9} calls/s {:>8} MB/s, {:>7} MiB",
                count(size),
                number(calls),
                number(megabytes),
                number(outcome.peak_mib())
            );
            outcome
        })
        .collect();
    Scale { machine, workers, load, payload, idle }
}

fn plugins_of(plugins: usize) -> String {
    format!("{} plugin{}", count(plugins), if plugins == 1 { "" } else { "s" })
}

/// Payload bytes there and back.
fn megabytes_per_second(outcome: &Outcome) -> f64 {
    outcome.calls_per_second * 2.0 * outcome.payload as f64 / 1e6
}

impl Scale {
    /// The tables, as the text of a Markdown page.
    pub fn markdown(&self) -> String {
        let mut text = format!("\nOn {}.\n", self.machine);
        let mut by_plugins = |title: &str, value: &dyn Fn(&Outcome) -> String| {
            let heads: Vec<_> = PLUGINS.iter().map(|&plugins| plugins_of(plugins)).collect();
            text += &format!("\n{title}:\n\n| callers | {} |\n|---:|", heads.join(" | "));
            text += &"---:|".repeat(PLUGINS.len());
            for (index, callers) in CALLERS.iter().enumerate() {
                let row: Vec<_> = self.load.iter().map(|row| value(&row[index])).collect();
                text += &format!("\n| {} | {} |", count(*callers), row.join(" | "));
            }
            text.push('\n');
        };
        by_plugins("Calls per second (mean latency)", &|outcome| {
            let (calls, latency) = (outcome.calls_per_second, outcome.mean_latency_us());
            format!("{} ({} µs)", number(calls), number(latency))
        });
        by_plugins("Memory under load, in MiB", &|outcome| number(outcome.peak_mib()));
        text += "\n64 callers on one connection, by payload (there and back):\n\n";
        text += "| payload, bytes | calls/s | MB/s | memory, MiB |\n|---:|---:|---:|---:|\n";
        for outcome in &self.payload {
            let (size, calls) = (count(outcome.payload), number(outcome.calls_per_second));
            let (bytes, memory) =
                (number(megabytes_per_second(outcome)), number(outcome.peak_mib()));
            text += &format!("| {size} | {calls} | {bytes} | {memory} |\n");
        }
        text += "\nA plugin that was used once and went quiet: ";
        let idle = self.idle.iter().map(|outcome| {
            let kib = number(outcome.quiet_per_plugin() / 1024.0);
            format!("{kib} KiB each with {}", plugins_of(outcome.plugins))
        });
        text + &idle.collect::<Vec<_>>().join(", ") + ".\n"
    }

    pub fn chart(&self) -> String {
        let mut chart = Chart::new("How a load scales", &self.machine);
        let by_plugins = |value: fn(&Outcome) -> f64| -> Vec<Line> {
            let line = |(row, plugins): (&Vec<Outcome>, usize)| Line {
                name: plugins_of(plugins),
                values: row.iter().map(value).collect(),
            };
            self.load.iter().zip(PLUGINS).map(line).collect()
        };
        let callers = CALLERS.map(|callers| {
            format!("{} caller{}", count(callers), if callers == 1 { "" } else { "s" })
        });
        let calls = by_plugins(|outcome| outcome.calls_per_second);
        chart.lines(
            "Calls per second, one socket for each plugin",
            "calls/s",
            &callers,
            false,
            &calls,
        );
        let memory = by_plugins(|outcome| outcome.peak_mib().max(0.1));
        chart.lines(
            "Memory under load, the callers' tasks included",
            "MiB",
            &callers,
            true,
            &memory,
        );
        let sizes = ["100 B", "1 KiB", "10 KiB", "100 KiB", "1 MiB"].map(str::to_owned);
        let bytes = Line {
            name: "there and back".to_owned(),
            values: self.payload.iter().map(megabytes_per_second).collect(),
        };
        chart.lines(
            "Payload bytes per second, 64 callers on one connection",
            "MB/s",
            &sizes,
            false,
            &[bytes],
        );
        chart.finish()
    }
}
