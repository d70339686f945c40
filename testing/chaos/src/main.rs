//! A chaos run: thousands of callers, plugin servers that do everything wrong, and
//! every single reply held against what was asked.
//!
//! `cargo run --release -p chaos -- --help`
//!
//! `plan` is what a call is like, `caller` makes calls and has `judge` look at each
//! answer; `seek` and `recovery` measure how soon a server that returned is found. `server` is a
//! faulty server on a socket, `answer` what it says, `outage` takes whole servers
//! down, `site` is a plugin with its server, `place` where callers find that and `host` where
//! it lives; `grpc` is the same for plugins over gRPC. `work` is what
//! a hook computes, `ledger` knows which ran;
//! `lateness`, `quiet` and `process` look for calls that hang, wrong states and leaks, and
//! `starved` for threads that have no processor; `rolling` is a run of its own.
//! `run` holds it together, `coverage` looks whether it came to everything, `soak`,
//! `chart` and `report` show it.

// Test code in the form of a program.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod answer;
mod caller;
mod chart;
mod coverage;
mod dice;
mod fault;
mod grpc;
mod host;
mod judge;
mod lateness;
mod ledger;
mod options;
mod outage;
mod place;
mod plan;
mod process;
mod quiet;
mod recovery;
mod report;
mod rolling;
mod run;
mod seek;
mod server;
mod site;
mod soak;
mod starved;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod waits;
mod work;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::runtime::Builder;

use options::Options;
use report::Report;
use rolling::Rolling;
use run::Setup;
use soak::{FLAT, Samples};

/// In front of a run of rolling restarts.
const WARM_UP: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(error) = options.check() {
        error.exit();
    }
    // Before there are other threads, which inherit it.
    fault_server::bind_to_permissions();
    let mut clients = Builder::new_multi_thread();
    let clients = clients.worker_threads(2).thread_name(starved::THREADS).enable_all().build();
    let clients = clients.expect("a runtime for the callers");
    if let Some(rolling) = options.rolling() {
        // What is made once in a process is made now, and is no leak later.
        Rolling { lasts: WARM_UP, ..rolling }.run(&clients);
        let rolled = rolling.run(&clients);
        rolled.print();
        if options.json {
            println!("{}", serde_json::to_string(&rolled).expect("figures are JSON"));
        }
        let kept = rolled.broken().is_empty();
        return if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let setup = options.setup();
    // What is made once in a process is made now, and is no leak later.
    setup.warm_up().run(&clients, &mut Samples::default());

    let Setup { seed, callers, plugins, .. } = setup;
    println!("seed {seed}: {callers} callers, {plugins} plugins");
    let seconds = setup.lasts.map_or(0, |lasts| lasts.as_secs() as usize);
    let mut samples = Samples::with_room(seconds + 600);
    let (outcome, leaked) = setup.run(&clients, &mut samples);
    let drifts = if setup.lasts.is_some() { samples.drifts() } else { Vec::new() };
    let mut report = Report::new(&outcome, leaked, &drifts);
    if setup.lasts.is_none() {
        let (outcome, leaked) = setup.misled().run(&clients, &mut Samples::default());
        outcome.wrong_state.iter().for_each(|wrong| println!("! without stamps: {wrong}"));
        report.add_misled(outcome, leaked);
    }

    report.print();
    for drift in &drifts {
        let (what, median, worst) = (drift.what, drift.median, drift.worst * 100.0);
        let verdict = if drift.worst <= FLAT { "flat" } else { "NOT flat" };
        println!("{what}: {verdict}, {median:.0} after the warm-up, {worst:.1} % off at the most");
    }
    if setup.lasts.is_some() && drifts.is_empty() {
        println!("too short a run to say whether anything grows");
    }
    outcome.tally.wrongs.iter().chain(&outcome.wrong_state).for_each(|wrong| println!("! {wrong}"));
    report.broken.iter().for_each(|broken| println!("BROKEN: {broken}"));
    save(options.csv.as_deref(), || samples.csv());
    save(options.svg.as_deref(), || chart::chart(&samples, &format!("A soak of {seconds} s")));
    if options.json {
        println!("{}", serde_json::to_string(&report).expect("a report is JSON"));
    }
    if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn save(path: Option<&Path>, text: impl FnOnce() -> String) {
    let Some(path) = path else { return };
    if let Err(error) = fs::write(path, text()) {
        eprintln!("cannot write {}: {error}", path.display());
    }
}
