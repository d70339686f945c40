//! The figures of a benchmark, for scripts and for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::load::Round;
use crate::text;

/// The figures of one server. The JSON keys are part of the command's interface.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    calls: u64,
    pub(super) ok: u64,
    failed: u64,
    pub(super) mismatched: u64,
    calls_per_s: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    errors: BTreeMap<&'static str, u64>,
}

/// Two servers that were measured in turn.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) a: Report,
    pub(super) b: Report,
    /// Calls per second of A to those of B; `null` where there is none.
    ratio: Option<f64>,
    /// The lowest and the highest ratio of a pair of rounds.
    ratio_min: Option<f64>,
    ratio_max: Option<f64>,
}

/// What people get.
pub(super) trait Table {
    fn table(&self, verified: bool) -> String;
}

impl Report {
    pub(super) fn new(round: &Round) -> Self {
        let tally = &round.tally;
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
        let quantile = |quantile| microseconds(tally.latencies.value_at_quantile(quantile));
        Self {
            calls: tally.calls(),
            ok: tally.ok(),
            failed: tally.failed(),
            mismatched: tally.mismatched,
            calls_per_s: tenths(round.per_second()),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: microseconds(tally.latencies.max()),
            errors: tally.errors.iter().map(|(kind, (count, _))| (*kind, *count)).collect(),
        }
    }

    /// Name and value of every line, in order.
    fn lines(&self, verified: bool) -> Vec<(String, String)> {
        let time = |microseconds: f64| match self.ok {
            0 => "-".to_owned(),
            _ => text::time(microseconds * 1000.0),
        };
        let mismatched =
            if verified { text::count(self.mismatched) } else { "not checked".to_owned() };
        let mut lines = vec![
            ("calls".to_owned(), text::count(self.calls)),
            ("ok".to_owned(), text::count(self.ok)),
            ("failed".to_owned(), text::count(self.failed)),
            ("mismatched".to_owned(), mismatched),
            ("calls/s".to_owned(), text::count(self.calls_per_s as u64)),
            ("p50".to_owned(), time(self.p50_us)),
            ("p90".to_owned(), time(self.p90_us)),
            ("p99".to_owned(), time(self.p99_us)),
            ("p99.9".to_owned(), time(self.p999_us)),
            ("max".to_owned(), time(self.max_us)),
        ];
        let errors = self.errors.iter();
        lines.extend(errors.map(|(kind, count)| (format!("error {kind}"), text::count(*count))));
        lines
    }
}

impl Table for Report {
    fn table(&self, verified: bool) -> String {
        let lines = self.lines(verified);
        let lines = lines.iter().map(|(name, value)| format!("{name:<24} {value}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Comparison {
    pub(super) fn new(a: &Round, b: &Round, ratios: &[f64]) -> Self {
        let ratio = |ratio: f64| ratio.is_finite().then(|| (ratio * 1000.0).round() / 1000.0);
        Self {
            a: Report::new(a),
            b: Report::new(b),
            ratio: ratio(a.per_second() / b.per_second()),
            ratio_min: ratio(ratios.iter().copied().fold(f64::INFINITY, f64::min)),
            ratio_max: ratio(ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        }
    }
}

impl Table for Comparison {
    fn table(&self, verified: bool) -> String {
        let mut names: Vec<String> = Vec::new();
        let sides = [&self.a, &self.b].map(|report| report.lines(verified));
        for (name, _) in sides.iter().flatten() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut table = format!("{:<24} {:>24} {:>24}\n", "", "A", "B");
        for name in names {
            let value = |side: &[(String, String)]| {
                let line = side.iter().find(|(other, _)| *other == name);
                line.map_or_else(|| "0".to_owned(), |(_, value)| value.clone())
            };
            let [a, b] = [&sides[0], &sides[1]].map(|side| value(side));
            let _ = writeln!(table, "{name:<24} {a:>24} {b:>24}");
        }
        let shown = |ratio: Option<f64>| {
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"))
        };
        let [ratio, min, max] = [self.ratio, self.ratio_min, self.ratio_max].map(shown);
        let _ = write!(table, "A to B, calls/s          {ratio} (rounds: {min} to {max})");
        table
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
