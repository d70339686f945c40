//! This build of the client and the one before calls were bound late, in one process and
//! taking turns: A B, B A, ... against the same server. What counts is the ratio of calls
//! per second within a round, this build's to the earlier one's. Beside it stands the ratio of
//! the CPU time that a call takes, the server's included, which a busy machine moves less.
//!
//! The earlier build has to be checked out once, from the repository's root:
//!
//! ```console
//! $ git worktree add target/before 279d5f1
//! $ cargo run --release --manifest-path benches/turns/Cargo.toml
//! ```
//!
//! `--memory` measures the memory of quiet plugins instead.
//!
//! `--workers`, `--callers`, `--connections` and `--small` choose among the points, `--quick` is for a
//! short look.

#[path = "../../common/mod.rs"]
mod common;
mod contenders;
#[allow(dead_code, reason = "shared with the benchmark beside peers")]
#[path = "../../peers/src/load.rs"]
mod load;
mod memory;
mod point;
#[allow(dead_code, reason = "shared with the benchmark beside peers")]
#[path = "../../peers/src/process.rs"]
mod process;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::contenders::{after, before};
use crate::load::{Call, Contender, Rounds, median, throughput_of};
use crate::point::Point;
use crate::process::cpu_time;

/// Measures this build beside the one before late binding, in turns.
#[derive(Parser)]
struct Arguments {
    /// Few short rounds: to see that it works, not to compare.
    #[arg(long)]
    quick: bool,
    /// Rounds for each point.
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: usize,
    /// How long a turn takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    turn: u64,
    /// Only points with so many worker threads.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Only points with so many callers.
    #[arg(long, value_name = "N")]
    callers: Option<usize>,
    /// Only points with so many connections.
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Only points with the small payload that all benchmarks share.
    #[arg(long)]
    small: bool,
    /// Measures the memory of quiet plugins instead of calls.
    #[arg(long)]
    memory: bool,
    /// In a process of its own: so many quiet plugins of one build.
    #[arg(long, hide = true, requires_all = ["side", "socket"])]
    quiet_plugins: Option<usize>,
    #[arg(long, hide = true)]
    side: Option<Side>,
    #[arg(long, hide = true)]
    socket: Option<PathBuf>,
}

/// One of the two builds.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Side {
    Before,
    Now,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Now => "now",
        }
    }
}

impl Arguments {
    fn chooses(&self, point: &Point) -> bool {
        let chosen = |wanted: Option<usize>, is: usize| wanted.is_none_or(|wanted| wanted == is);
        chosen(self.workers, point.workers)
            && chosen(self.callers, point.callers)
            && chosen(self.connections, point.connections)
            && !(self.small && point.payload.is_some())
    }

    fn rounds(&self) -> Rounds {
        match self.quick {
            true => Rounds { count: 3, turn: Duration::from_millis(50) },
            false => Rounds { count: self.rounds, turn: Duration::from_millis(self.turn) },
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    let rounds = arguments.rounds();
    process::raise_open_files();
    if let (Some(plugins), Some(side), Some(socket)) =
        (arguments.quiet_plugins, arguments.side, &arguments.socket)
    {
        return memory::print(side, plugins, socket);
    }
    if arguments.memory {
        return memory::measure(if arguments.quick { 1 } else { 5 });
    }
    println!("{} rounds, turns of {:?}", rounds.count, rounds.turn);
    println!("{:<58} {:>9} {:>9}   {:<24} CPU per call", "", "before", "now", "now / before");
    for point in Point::all().iter().filter(|point| arguments.chooses(point)) {
        measure(point, rounds);
    }
}

fn measure(point: &Point, rounds: Rounds) {
    let server = point.server();
    let (before, now) = (Turns::default(), Turns::default());
    let series = rounds.run(vec![
        Contender::new("before", |time| {
            before.turn(|| before::Typed::new(server.path(), point), point, time)
        }),
        Contender::new("now", |time| {
            now.turn(|| after::Typed::new(server.path(), point), point, time)
        }),
    ]);
    let [before_calls, now_calls] = &series[..] else { return };
    println!(
        "{:<58} {:>9.0} {:>9.0}   {:<24} {}",
        point.to_string(),
        before_calls.median(),
        now_calls.median(),
        Spread(now_calls.ratios_to(before_calls)).to_string(),
        Spread(now.cpu_ratios_to(&before)),
    );
}

/// CPU time of the whole process for each call, by turns; the first is the warming up.
#[derive(Default)]
struct Turns(RefCell<Vec<f64>>);

impl Turns {
    /// Calls per second, over handles and by threads of its own: batches and the kernel's
    /// choice of cores settle into one of several ways, which each turn is to find anew.
    fn turn<C: Call>(&self, plugin: impl Fn() -> C, point: &Point, time: Duration) -> f64 {
        let runtime = load::runtime(point.workers);
        let plugins: Vec<C> = (0..point.plugins).map(|_| plugin()).collect();
        let callers: Vec<C> = plugins.iter().cycle().take(point.callers).cloned().collect();
        throughput_of(&runtime, callers.clone(), time / 10);
        let (started, cpu) = (Instant::now(), cpu_time());
        let per_second = throughput_of(&runtime, callers, time);
        let calls = per_second * started.elapsed().as_secs_f64();
        self.0.borrow_mut().push((cpu_time() - cpu).as_secs_f64() / calls);
        per_second
    }

    fn cpu_ratios_to(&self, other: &Self) -> Vec<f64> {
        let (this, other) = (self.0.borrow(), other.0.borrow());
        this.iter().zip(&*other).skip(1).map(|(this, other)| this / other).collect()
    }
}

/// The median, the lowest and the highest.
struct Spread(Vec<f64>);

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lowest = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.0.iter().copied().fold(0.0, f64::max);
        write!(f, "{:.3} ({lowest:.3} to {highest:.3})", median(&self.0))
    }
}
