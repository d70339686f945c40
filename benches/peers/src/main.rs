//! hookwire beside other ways to make the same call, in one process, taking turns.
//!
//! Without arguments it measures every point and prints it beside its goal.
//! `scale` shows what more plugins, callers and bytes do, `defaults` what
//! connections do for which plugin.
//! The contenders are in `contenders/`, one file for each point in `points/`.

#[path = "../../../crates/hookwire-cli/src/bench/arrivals.rs"]
mod arrivals;
mod chart;
#[path = "../../common/mod.rs"]
mod common;
mod contenders;
mod defaults;
mod load;
mod number;
mod points;
mod process;
mod report;
mod scale;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::load::Rounds;
use crate::points::Bench;
use crate::report::Report;

/// Measures hookwire beside its peers, in turns; ratios within one run are what counts.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
    /// Only these points.
    #[arg(long, value_enum)]
    only: Vec<Subject>,
}

#[derive(Args, Clone)]
struct Common {
    /// Worker threads of the clients' runtime.
    #[arg(long, default_value_t = 1, global = true)]
    workers: usize,
    /// Fewer and shorter turns: to see that it works, not to compare.
    #[arg(long, global = true)]
    quick: bool,
    /// How long a turn takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 800, global = true)]
    turn: u64,
    /// Writes everything that was measured to this file.
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Puts the tables into this Markdown page, between its `<!-- NAME -->` marks.
    #[arg(long, value_name = "FILE", global = true)]
    page: Option<PathBuf>,
    /// Draws a chart into this file.
    #[arg(long, value_name = "FILE", global = true)]
    svg: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Throughput and memory against the number of plugins and callers, and the payload's size.
    Scale,
    /// What connections and calls written ahead do for three kinds of plugins on the reference
    /// server: the grounds for the defaults.
    Defaults,
    /// Several runs of the points as one, from their `--json` files: medians and ranges.
    Merge { runs: Vec<PathBuf> },
    /// One load in a process of its own, so that its memory can be told.
    #[command(hide = true)]
    Load(scale::Load),
}

/// The points, by name.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Calls,
    Latency,
    Codec,
    Large,
    Waiting,
    Reference,
    Many,
    Allocations,
    Arrivals,
    Callers,
    Grpc,
}

impl Subject {
    fn measure(self, bench: &Bench) -> report::Point {
        match self {
            Self::Calls => points::calls::measure(bench),
            Self::Latency => points::latency::measure(bench),
            Self::Codec => points::codec::measure(bench),
            Self::Large => points::large::measure(bench),
            Self::Waiting => points::waiting::measure(bench),
            Self::Reference => points::reference::measure(bench),
            Self::Many => points::many::measure(bench),
            Self::Allocations => points::allocations::measure(bench),
            Self::Arrivals => points::arrivals::measure(bench),
            Self::Callers => points::callers::measure(bench),
            Self::Grpc => points::grpc::measure(bench),
        }
    }
}

fn main() -> std::io::Result<()> {
    let Arguments { command, common, only } = Arguments::parse();
    process::raise_open_files();
    match command {
        Some(Command::Load(load)) => {
            load.run(common.workers);
            Ok(())
        }
        Some(Command::Scale) => {
            let scale = scale::measure(common.workers, common.quick);
            write_json(common.json.as_deref(), &scale)?;
            write_page(common.page.as_deref(), "scale", || scale.markdown())?;
            write_svg(common.svg.as_deref(), || scale.chart())
        }
        Some(Command::Defaults) => {
            let defaults = defaults::measure(common.workers, common.quick);
            let defaults = defaults.map_err(std::io::Error::other)?;
            write_json(common.json.as_deref(), &defaults)?;
            write_page(common.page.as_deref(), "defaults", || defaults.markdown())
        }
        Some(Command::Merge { runs }) => {
            let runs = runs.iter().map(|path| read_json(path)).collect::<Result<Vec<_>, _>>()?;
            let report = Report::merge(runs);
            publish(&common, &report.ok_or_else(|| std::io::Error::other("no runs are named"))?)
        }
        None => publish(&common, &run(&common, &only)),
    }
}

fn publish(common: &Common, report: &Report) -> std::io::Result<()> {
    write_json(common.json.as_deref(), report)?;
    write_page(common.page.as_deref(), "points", || report.markdown())?;
    write_svg(common.svg.as_deref(), || report.chart())
}

fn run(common: &Common, only: &[Subject]) -> Report {
    let rounds = match common.quick {
        true => Rounds { count: 3, turn: Duration::from_millis(150) },
        false => Rounds { count: 9, turn: Duration::from_millis(common.turn) },
    };
    let bench = Bench::new(common.workers, rounds);
    let machine = process::processor();
    println!("{machine}, {} for the clients", report::worker_threads(common.workers));
    println!(
        "{} turns of {:?} each; the median of the ratios in each round",
        rounds.count, rounds.turn
    );
    let subjects = Subject::value_variants().iter().copied();
    let points = subjects
        .filter(|subject| only.is_empty() || only.contains(subject))
        .map(|subject| {
            let point = subject.measure(&bench);
            point.print();
            point
        })
        .collect();
    Report { machine, workers: common.workers, runs: 1, points }
}

fn read_json(path: &Path) -> std::io::Result<Report> {
    let text = std::fs::read(path)?;
    serde_json::from_slice(&text)
        .map_err(|error| std::io::Error::other(format!("{} holds no run: {error}", path.display())))
}

fn write_json(path: Option<&Path>, value: &impl Serialize) -> std::io::Result<()> {
    match path {
        Some(path) => std::fs::write(path, serde_json::to_string_pretty(value)?),
        None => Ok(()),
    }
}

fn write_svg(path: Option<&Path>, chart: impl FnOnce() -> String) -> std::io::Result<()> {
    path.map_or(Ok(()), |path| std::fs::write(path, chart()))
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`.
fn write_page(
    path: Option<&Path>,
    name: &str,
    text: impl FnOnce() -> String,
) -> std::io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let page = std::fs::read_to_string(path)?;
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(std::io::Error::other(format!("the page has no marks for `{name}`")));
    };
    std::fs::write(path, format!("{before}{begin}\n{}\n{end}{after}", text()))
}
