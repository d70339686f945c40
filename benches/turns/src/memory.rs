//! Memory of plugins that were used once and are quiet: each build in processes of its own.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Side;
use crate::contenders::{after, before};
use crate::load::{self, Call, median};
use crate::point::Point;
use crate::process::resident;

/// Connections give their buffers back after a second.
const QUIET: Duration = Duration::from_millis(2_500);

const ONE: Point = Point {
    workers: 1,
    callers: 1,
    plugins: 1,
    connections: 1,
    max_in_flight: None,
    payload: None,
};

/// Prints the resident memory for each plugin, the process's own share included: the growth
/// since before the first plugin was there. With few plugins that is the share of the code
/// that their first call brings into memory, which one plugin alone shows.
pub fn measure(runs: usize) {
    println!(
        "{:<40} {:>9} {:>9}   KiB each, median of {runs} runs",
        "quiet plugins", "before", "now"
    );
    let server = Point { connections: 1_000, ..ONE }.server();
    for plugins in [1, 8, 64, 1_000] {
        let [before, now] = [Side::Before, Side::Now].map(|side| {
            let kib = (0..runs).map(|_| in_a_process(side, plugins, server.path()));
            median(&kib.collect::<Vec<_>>())
        });
        println!("{plugins:<40} {before:>9.1} {now:>9.1}");
    }
}

fn in_a_process(side: Side, plugins: usize, socket: &Path) -> f64 {
    let this = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(this);
    command.args(["--quiet-plugins", &plugins.to_string(), "--side", side.name(), "--socket"]);
    let output = command.arg(socket).output().expect("this program starts once more");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("it prints a number")
}

/// In the process of its own: prints KiB for each plugin.
pub fn print(side: Side, plugins: usize, socket: &Path) {
    let kib = match side {
        Side::Before => each(plugins, || before::Typed::new(socket, &ONE)),
        Side::Now => each(plugins, || after::Typed::new(socket, &ONE)),
    };
    println!("{kib}");
}

fn each<C: Call>(plugins: usize, new: impl Fn() -> C) -> f64 {
    let runtime = load::runtime(ONE.workers);
    let before = resident();
    let mut all: Vec<C> = (0..plugins).map(|_| new()).collect();
    for plugin in &mut all {
        runtime.block_on(plugin.call());
    }
    thread::sleep(QUIET);
    let after = resident();
    black_box(all);
    after.saturating_sub(before) as f64 / 1024.0 / plugins as f64
}
