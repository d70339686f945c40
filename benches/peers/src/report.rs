//! Goals and what was measured: on the terminal, as text of a page and as JSON.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::chart::Chart;

/// A bound on a ratio or a figure.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(bound) => measured >= bound,
            Self::AtMost(bound) => measured <= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

/// An absolute number; it moves from machine to machine.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

/// A number that counts, most often a ratio within one run.
#[derive(Debug, Serialize)]
pub struct Check {
    pub what: String,
    pub measured: f64,
    pub unit: &'static str,
    pub goal: Goal,
    pub met: bool,
}

/// One point, with everything that was measured for it.
#[derive(Debug, Serialize)]
pub struct Point {
    pub number: u8,
    pub title: &'static str,
    pub figures: Vec<Figure>,
    pub checks: Vec<Check>,
    /// Why something could not be measured, or how it is to be read.
    pub notes: Vec<String>,
}

impl Point {
    pub fn new(number: u8, title: &'static str) -> Self {
        Self { number, title, figures: Vec::new(), checks: Vec::new(), notes: Vec::new() }
    }

    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit });
    }

    pub fn check(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
        goal: Goal,
    ) {
        let met = goal.holds(measured);
        self.checks.push(Check { what: what.into(), measured, unit, goal, met });
    }

    /// A check of a ratio.
    pub fn ratio(&mut self, what: impl Into<String>, measured: f64, goal: Goal) {
        self.check(what, measured, "×", goal);
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// One row for each check, then one for each figure.
    fn markdown(&self) -> String {
        let mut text = format!("\n**{}. {}**\n\n", self.number, self.title);
        text.push_str("| what | measured | goal |\n|---|---:|---|\n");
        for check in &self.checks {
            let (measured, unit, goal) = (number(check.measured), check.unit, check.goal);
            let verdict = if check.met { "met" } else { "**missed**" };
            // A String takes whatever it is given.
            let _ = writeln!(text, "| {} | {measured} {unit} | {goal}: {verdict} |", check.what);
        }
        for Figure { name, value, unit } in &self.figures {
            let _ = writeln!(text, "| {name} | {} {unit} | |", number(*value));
        }
        text
    }

    pub fn print(&self) {
        println!("\n{}. {}", self.number, self.title);
        for Figure { name, value, unit } in &self.figures {
            println!("     {name:<52} {:>12} {unit}", number(*value));
        }
        for check in &self.checks {
            let goal = check.goal;
            let verdict = if check.met { "met" } else { "MISSED" };
            let measured = format!("{} {}", number(check.measured), check.unit);
            println!("   → {:<52} {measured:>14}   goal {goal}   {verdict}", check.what);
        }
        for note in &self.notes {
            println!("     ({note})");
        }
    }
}

/// As many digits as mean something.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        ..1.0 => 3,
        ..100.0 => 2,
        ..1_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { grouped(&text) } else { text }
}

/// What was counted, not measured: it has no digits behind the point.
pub fn count(value: usize) -> String {
    grouped(&value.to_string())
}

fn grouped(whole: &str) -> String {
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// In words.
pub fn worker_threads(count: usize) -> String {
    format!("{count} worker thread{}", if count == 1 { "" } else { "s" })
}

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: String,
    pub workers: usize,
    pub points: Vec<Point>,
}

impl Report {
    /// All points, as the text of a Markdown page.
    pub fn markdown(&self) -> String {
        let workers = worker_threads(self.workers);
        let head = format!("\nOn {}, {workers} for the clients.\n", self.machine);
        head + &self.points.iter().map(Point::markdown).collect::<String>()
    }

    /// Throughput and latency beside the peers.
    pub fn chart(&self) -> String {
        let subtitle = format!("{}; request 123 bytes, reply 285 bytes", self.machine);
        let mut chart = Chart::new("The same plugin call, over a Unix socket", &subtitle);
        for (point, title, unit) in [
            (1, "64 callers on one connection: calls per second (more is better)", "calls/s"),
            (2, "One caller: median time of a call (less is better)", "µs"),
        ] {
            let Some(point) = self.points.iter().find(|one| one.number == point) else { continue };
            let bars = point.figures.iter().filter(|figure| figure.unit == unit);
            let bars: Vec<_> = bars.map(|bar| (bar.name.clone(), bar.value)).collect();
            chart.bars(title, unit, &bars);
        }
        chart.finish()
    }
}
