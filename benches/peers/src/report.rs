//! Goals and what was measured: on the terminal, as text of a page and as JSON.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::chart::Chart;
use crate::load::median;
use crate::number::number;

/// A bound on a ratio or a figure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
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

/// What was measured, a number for each run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Measured(Vec<f64>);

impl Measured {
    pub fn median(&self) -> f64 {
        median(&self.0)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&number(self.median()))?;
        if self.0.len() < 2 {
            return Ok(());
        }
        let lowest = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        write!(f, " ({} to {})", number(lowest), number(highest))
    }
}

/// An absolute number; it moves from machine to machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: Measured,
    pub unit: Cow<'static, str>,
}

/// A number that counts, most often a ratio within one run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Check {
    pub what: String,
    pub measured: Measured,
    pub unit: Cow<'static, str>,
    pub goal: Goal,
}

impl Check {
    fn is_met(&self) -> bool {
        self.goal.holds(self.measured.median())
    }
}

/// One point, with everything that was measured for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Point {
    pub number: u8,
    pub title: Cow<'static, str>,
    pub figures: Vec<Figure>,
    pub checks: Vec<Check>,
    /// Why something could not be measured, or how it is to be read.
    pub notes: Vec<String>,
}

impl Point {
    pub fn new(number: u8, title: &'static str) -> Self {
        Self {
            number,
            title: title.into(),
            figures: Vec::new(),
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        let value = Measured(vec![value]);
        self.figures.push(Figure { name: name.into(), value, unit: unit.into() });
    }

    pub fn check(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
        goal: Goal,
    ) {
        let measured = Measured(vec![measured]);
        self.checks.push(Check { what: what.into(), measured, unit: unit.into(), goal });
    }

    /// A check of a ratio.
    pub fn ratio(&mut self, what: impl Into<String>, measured: f64, goal: Goal) {
        self.check(what, measured, "×", goal);
    }

    /// Adds what another run measured under the same names; one that lacks a name is a run
    /// of another build and counts for nothing there.
    fn add(&mut self, other: Self) {
        for figure in other.figures {
            if let Some(own) = self.figures.iter_mut().find(|own| own.name == figure.name) {
                own.value.0.extend(figure.value.0);
            }
        }
        for check in other.checks {
            if let Some(own) = self.checks.iter_mut().find(|own| own.what == check.what) {
                own.measured.0.extend(check.measured.0);
            }
        }
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// One row for each check, then one for each figure.
    fn markdown(&self) -> String {
        let mut text = format!("\n**{}. {}**\n\n", self.number, self.title);
        text.push_str("| what | measured | goal |\n|---|---:|---|\n");
        for check in &self.checks {
            let Check { what, measured, unit, goal } = check;
            let verdict = if check.is_met() { "met" } else { "**missed**" };
            // A String takes whatever it is given.
            let _ = writeln!(text, "| {what} | {measured} {unit} | {goal}: {verdict} |");
        }
        for Figure { name, value, unit } in &self.figures {
            let _ = writeln!(text, "| {name} | {value} {unit} | |");
        }
        text
    }

    pub fn print(&self) {
        println!("\n{}. {}", self.number, self.title);
        for Figure { name, value, unit } in &self.figures {
            println!("     {name:<52} {:>12} {unit}", value.to_string());
        }
        for check in &self.checks {
            let Check { what, measured, unit, goal } = check;
            let verdict = if check.is_met() { "met" } else { "MISSED" };
            let measured = format!("{measured} {unit}");
            println!("   → {what:<52} {measured:>14}   goal {goal}   {verdict}");
        }
        for note in &self.notes {
            println!("     ({note})");
        }
    }
}

/// In words.
pub fn worker_threads(count: usize) -> String {
    format!("{count} worker thread{}", if count == 1 { "" } else { "s" })
}

/// A whole run, or several of one machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub machine: String,
    pub workers: usize,
    /// How many runs these numbers are of.
    #[serde(default = "one")]
    pub runs: usize,
    pub points: Vec<Point>,
}

fn one() -> usize {
    1
}

impl Report {
    /// Several runs as one: each number is then a median, with its range. Points of the
    /// others that the first lacks are added as they are.
    pub fn merge(runs: impl IntoIterator<Item = Self>) -> Option<Self> {
        runs.into_iter().reduce(|mut sum, run| {
            sum.runs += run.runs;
            for point in run.points {
                match sum.points.iter_mut().find(|own| own.number == point.number) {
                    Some(own) => own.add(point),
                    None => sum.points.push(point),
                }
            }
            sum.points.sort_by_key(|point| point.number);
            sum
        })
    }

    /// All points, as the text of a Markdown page.
    pub fn markdown(&self) -> String {
        let workers = worker_threads(self.workers);
        let mut head = format!("\nOn {}, {workers} for the clients", self.machine);
        if self.runs > 1 {
            let _ = write!(head, "; the median of {} runs, and their range", self.runs);
        }
        head.push_str(".\n");
        head + &self.points.iter().map(Point::markdown).collect::<String>()
    }

    /// Throughput and latency beside the peers.
    pub fn chart(&self) -> String {
        let subtitle = format!("{}; request 123 bytes, reply 285 bytes", self.machine);
        let mut chart = Chart::new("The same plugin call, over a Unix socket", &subtitle);
        for (point, title, unit) in [
            (1, "64 callers on one connection: calls per second (more is better)", "calls/s"),
            (2, "One caller: median time of a call (less is better)", "µs"),
            (9, "Calls due at a rate: 1 in 1,000 takes longer (less is better)", "µs"),
        ] {
            let Some(point) = self.points.iter().find(|one| one.number == point) else { continue };
            let bars = point.figures.iter().filter(|figure| figure.unit == unit);
            let bars: Vec<_> = bars.map(|bar| (bar.name.clone(), bar.value.median())).collect();
            chart.bars(title, unit, &bars);
        }
        chart.finish()
    }
}
