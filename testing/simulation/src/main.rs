//! `cargo run --release -p simulation -- --hours 1000`: seeds one after the other, until
//! so many hours are simulated or an invariant breaks.

// A program for people.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Parser;

use simulation::event::Over;
use simulation::mood::{Fault, Faults};
use simulation::run::{Limits, run};
use simulation::shrink::shrink;
use simulation::world::Record;

/// The client over in-memory sockets in paused time, everything drawn from a seed.
///
/// Exit code 1 at the first invariant that breaks; its seed repeats the run.
#[derive(Debug, Parser)]
struct Options {
    /// Over gRPC, not a socket.
    #[arg(long)]
    grpc: bool,
    /// Simulate seeds until they sum up to so many hours.
    #[arg(long, default_value_t = 1_000)]
    hours: u64,
    /// Run this seed alone; with `--hours`, the first one.
    #[arg(long)]
    seed: Option<u64>,
    /// The steps of a run.
    #[arg(long)]
    steps: Option<u32>,
    /// Leave out the steps before this one.
    #[arg(long)]
    first: Option<u32>,
    /// The most callers at a time.
    #[arg(long)]
    callers: Option<u32>,
    /// These faults only, by name.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Make the failing run short.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Print all of the run's events.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Seeds that run at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

impl Options {
    fn over(&self) -> Over {
        if self.grpc { Over::Grpc } else { Over::Socket }
    }

    fn limits(&self) -> Result<Limits, String> {
        let mut limits = Limits { keep_all: self.trace, ..Limits::of(self.over()) };
        limits.steps = self.steps.unwrap_or(limits.steps);
        limits.first = self.first.unwrap_or(limits.first);
        limits.callers = self.callers.unwrap_or(limits.callers);
        if !self.faults.is_empty() {
            limits.faults = Faults::NONE;
        }
        for name in self.faults.iter().filter(|name| *name != "none") {
            let named = |fault: &Fault| format!("{fault:?}").eq_ignore_ascii_case(name);
            let fault = Fault::of(self.over()).find(named);
            limits.faults = limits.faults.with(fault.ok_or(format!("no fault `{name}`"))?);
        }
        Ok(limits)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let limits = match options.limits() {
        Ok(limits) => limits,
        Err(problem) => {
            eprintln!("{problem}; there are {:?}", Fault::of(options.over()).collect::<Vec<_>>());
            return ExitCode::FAILURE;
        }
    };
    // With a number of hours, a seed is only where to begin.
    let alone = std::env::args().all(|arg| !arg.starts_with("--hours"));
    match options.seed {
        Some(seed) if alone => one(seed, limits, options.shrink),
        seed => many(seed.unwrap_or(1), &limits, options.hours, options.jobs.max(1)),
    }
}

fn one(seed: u64, mut limits: Limits, short: bool) -> ExitCode {
    if short && let Some(shrunk) = shrink(seed, &limits) {
        limits = shrunk;
    }
    let record = run(seed, &limits);
    show(&record);
    println!("{}", repeated(seed, &limits));
    println!("digest {:016x}, {} calls, {} faults", record.digest, record.calls, record.faults);
    if record.broken.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The command that runs it again.
fn repeated(seed: u64, limits: &Limits) -> String {
    let Limits { over, first, steps, callers, faults, .. } = *limits;
    let grpc = if over == Over::Grpc { " --grpc" } else { "" };
    let mut command = format!(
        "cargo run --release -p simulation --{grpc} --seed {seed} --first {first} --steps {steps} --callers {callers}"
    );
    if faults != Faults::all(over) {
        let names = Fault::of(over).filter(|fault| faults.has(*fault));
        let names: Vec<_> = names.map(|fault| format!("{fault:?}").to_lowercase()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
        command.push_str(&format!(" --faults {names}"));
    }
    command
}

fn show(record: &Record) {
    for (at, event) in &record.trace {
        println!("{:>12.3} {event:?}", *at as f64 / 1000.0);
    }
    if let Some(broken) = &record.broken {
        println!("BROKEN: {broken}");
    }
}

fn many(first: u64, limits: &Limits, hours: u64, jobs: usize) -> ExitCode {
    let started = Instant::now();
    let (next, enough) = (AtomicU64::new(first), AtomicBool::new(false));
    let (sender, records) = mpsc::sync_channel(4 * jobs);
    let outcome = thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, enough, sender) = (&next, &enough, sender.clone());
            scope.spawn(move || {
                while !enough.load(Relaxed) {
                    let seed = next.fetch_add(1, Relaxed);
                    if sender.send((seed, run(seed, limits))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let outcome = Sum::of(records, first, hours);
        enough.store(true, Relaxed);
        outcome
    });
    let Sum { seeds, millis, calls, faults, digest, broken } = outcome;
    let (simulated, wall) = (millis as f64 / 3_600_000.0, started.elapsed().as_secs_f64());
    println!(
        "{simulated:.0} hours in {seeds} runs from seed {first}: {calls} calls ({:.0} an hour), {faults} faults",
        calls as f64 / simulated
    );
    println!("digest {:016x}", digest.finish());
    println!("{wall:.1} s, {:.0} simulated hours a minute", simulated / wall * 60.0);
    let Some((seed, record)) = broken else { return ExitCode::SUCCESS };
    show(&record);
    println!("{}", repeated(seed, limits));
    ExitCode::FAILURE
}

/// What came of the seeds, taken in their order, whoever is first to end.
struct Sum {
    seeds: u64,
    millis: u64,
    calls: u64,
    faults: u64,
    digest: DefaultHasher,
    broken: Option<(u64, Record)>,
}

impl Sum {
    fn of(records: mpsc::Receiver<(u64, Record)>, first: u64, hours: u64) -> Self {
        let (digest, broken) = (DefaultHasher::new(), None);
        let mut sum = Self { seeds: 0, millis: 0, calls: 0, faults: 0, digest, broken };
        let mut early = BTreeMap::new();
        for (seed, record) in records {
            early.insert(seed, record);
            while let Some(record) = early.remove(&(first + sum.seeds)) {
                let seed = first + sum.seeds;
                sum.seeds += 1;
                sum.millis += record.millis;
                sum.calls += record.calls;
                sum.faults += record.faults;
                record.digest.hash(&mut sum.digest);
                if record.broken.is_some() {
                    sum.broken = Some((seed, record));
                    return sum;
                }
                if sum.millis >= hours * 3_600_000 {
                    return sum;
                }
            }
        }
        sum
    }
}
