//! The last part: all figures in one table.

use std::time::Duration;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::text;

/// The figures of one part of the demo.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) tally: Tally,
    /// How long it called without pause; `None` where that was not the point.
    pub(super) elapsed: Option<Duration>,
    pub(super) reconnects: u64,
}

/// The table, and the number of replies that reached a wrong caller.
pub(super) fn draw(columns: &[(&str, Part)]) -> Result<(String, u64), Failure> {
    let mut all = Part { tally: Tally::new()?, elapsed: None, reconnects: 0 };
    for (_, part) in columns {
        all.tally.add(&part.tally);
        all.elapsed = all.elapsed.into_iter().chain(part.elapsed).reduce(|sum, one| sum + one);
        all.reconnects += part.reconnects;
    }
    let columns: Vec<(&str, &Part)> =
        columns.iter().map(|(name, part)| (*name, part)).chain([("all", &all)]).collect();

    let columns: Vec<_> = columns.iter().map(|(name, part)| column(name, part)).collect();
    let names = [""].into_iter().chain(ROWS.iter().map(|(name, _)| *name));
    let lines = names.enumerate().map(|(row, name)| {
        let cells: String = columns.iter().map(|column| format!("  {}", column[row])).collect();
        format!("{name:<22}{cells}")
    });
    Ok((lines.collect::<Vec<_>>().join("\n"), all.tally.mismatched))
}

type Value = fn(&Part) -> String;

const ROWS: [(&str, Value); 9] = [
    ("calls", |part| text::count(part.tally.calls())),
    ("ok", |part| text::count(part.tally.allowed)),
    ("violations", |part| text::count(part.tally.violations)),
    ("failed (sent / unsent)", |part| {
        format!("{}/{}", text::count(part.tally.sent), text::count(part.tally.unsent))
    }),
    ("reconnects", |part| text::count(part.reconnects)),
    ("mismatched", |part| text::count(part.tally.mismatched)),
    ("calls/s", |part| match part.elapsed {
        Some(elapsed) => text::count((part.tally.ok() as f64 / elapsed.as_secs_f64()) as u64),
        None => "-".to_owned(),
    }),
    ("p50", |part| text::time(part.tally.latencies.value_at_quantile(0.5) as f64)),
    ("p99", |part| text::time(part.tally.latencies.value_at_quantile(0.99) as f64)),
];

/// The head and all values, as wide as the widest of them: five columns have to find room.
fn column(name: &str, part: &Part) -> Vec<String> {
    let values = ROWS.iter().map(|(_, value)| value(part));
    let cells: Vec<_> = [name.to_owned()].into_iter().chain(values).collect();
    let width = cells.iter().map(|cell| text::width(cell)).max().unwrap_or(0);
    cells.iter().map(|cell| format!("{cell:>width$}")).collect()
}
