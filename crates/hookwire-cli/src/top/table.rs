//! Draws the rows for a terminal: pure text, as wide and high as it may be.

use std::time::Duration;

use hookwire::{BreakerState, ConnectionState};

use super::row::{Row, Trouble};
use crate::text;

/// Columns and lines.
pub(super) type Size = (usize, usize);

const NOTE: &str = "Own questions, no hook runs; times of the last minute. q ends it.";
const NAME: usize = 20;

/// The lines of one picture. Of rows that find no room, the last line tells how many they are.
pub(super) fn draw(title: &str, rows: &[Row], (columns, lines): Size) -> Vec<String> {
    let ready = rows.iter().filter(|row| row.state.is_ready()).count();
    let down = rows.iter().filter(|row| row.breaker != BreakerState::Closed).count();
    let mut picture = vec![
        format!(
            "hookwire top  {}: {} ready, {down} down  {title}",
            text::counted(rows.len(), "plugin"),
            ready
        ),
        NOTE.to_owned(),
        String::new(),
        line(
            "PLUGIN",
            ["STATE", "BREAKER", "ANSW/S", "P50", "P99", "FLIGHT", "LOST"].map(str::to_owned),
        ),
    ];
    for (index, row) in rows.iter().enumerate() {
        let drawn = draw_row(row, columns);
        let is_last = index + 1 == rows.len();
        if picture.len() + drawn.len() + usize::from(!is_last) > lines {
            picture.push(format!("and {} more", rows.len() - index));
            break;
        }
        picture.extend(drawn);
    }
    picture.truncate(lines);
    picture.iter().map(|line| cut(line, columns)).collect()
}

fn draw_row(row: &Row, columns: usize) -> Vec<String> {
    let state = match row.state {
        // Too long for a column.
        ConnectionState::TransientFailure => "failing",
        state => state.as_str(),
    };
    let time = |time: Option<Duration>| {
        time.map_or("-".to_owned(), |time| text::time(time.as_nanos() as f64))
    };
    let values = [
        state.to_owned(),
        row.breaker.to_string(),
        format!("{:.1}", row.rate),
        time(row.p50),
        time(row.p99),
        text::count(row.in_flight as u64),
        text::count(row.unanswered),
    ];
    let mut lines = vec![line(&text::one_line(&row.plugin), values)];
    if let Some(Trouble { message, ago }) = &row.error {
        let told = format!("  {} ago: {message}", span(*ago));
        // Two lines hold most errors. The second one tells the cause, mostly.
        match told.split_at(text::fitting(&told, columns).len()) {
            (_, "") => lines.push(told),
            (first, rest) => lines.extend([first.to_owned(), format!("    {rest}")]),
        }
    }
    lines
}

/// 80 columns with a name of any length.
fn line(name: &str, [state, breaker, rate, p50, p99, in_flight, lost]: [String; 7]) -> String {
    let name = text::padded(&cut(name, NAME), NAME);
    format!("{name} {state:<10} {breaker:<9} {rate:>6} {p50:>8} {p99:>8} {in_flight:>6} {lost:>6}")
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds @ 100..=5_999 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// As much as fits, and a sign that there is more.
fn cut(line: &str, columns: usize) -> String {
    if text::width(line) <= columns {
        return line.to_owned();
    }
    format!("{}…", text::fitting(line, columns.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(plugin: &str) -> Row {
        Row {
            plugin: plugin.to_owned(),
            state: ConnectionState::Ready,
            breaker: BreakerState::Closed,
            rate: 3.96,
            p50: Some(Duration::from_micros(123)),
            p99: Some(Duration::from_micros(4_560)),
            in_flight: 1,
            unanswered: 0,
            error: None,
        }
    }

    fn down(plugin: &str) -> Row {
        let message = "plugin `Guard` at /run/plugins/guard.sock cannot be reached: no such file";
        Row {
            state: ConnectionState::TransientFailure,
            breaker: BreakerState::Open,
            rate: 0.0,
            p50: None,
            p99: None,
            in_flight: 0,
            unanswered: 12_345,
            error: Some(Trouble::new(message, Duration::from_secs(3))),
            ..row(plugin)
        }
    }

    #[test]
    fn a_plugin_is_a_line_and_one_in_trouble_has_its_error_below() {
        let rows = [row("Filter"), down("Guard")];
        let picture = draw("gateway.yaml", &rows, (80, 24));
        let expected = "\
hookwire top  2 plugins: 1 ready, 1 down  gateway.yaml
Own questions, no hook runs; times of the last minute. q ends it.

PLUGIN               STATE      BREAKER   ANSW/S      P50      P99 FLIGHT   LOST
Filter               ready      closed       4.0   123 µs  4.56 ms      1      0
Guard                failing    open         0.0        -        -      0 12,345
  3 s ago: plugin `Guard` at /run/plugins/guard.sock cannot be reached: no such 
    file";
        assert_eq!(picture.join("\n"), expected);
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_terminal() {
        let rows: Vec<_> =
            (0..50).map(|at| down(&format!("A plugin, 守卫守卫守卫守卫守卫守卫 {at}"))).collect();
        for columns in [1, 20, 79, 80, 200] {
            for lines in [1, 4, 5, 24, 200] {
                let picture = draw("gateway.yaml", &rows, (columns, lines));
                assert!(picture.len() <= lines, "{lines}: {picture:#?}");
                assert!(picture.iter().all(|line| text::width(line) <= columns), "{picture:#?}");
            }
        }
    }

    #[test]
    fn a_name_whose_letters_take_two_columns_leaves_the_columns_where_they_are() {
        let picture = draw("", &[row(&"守".repeat(19)), row("Guard")], (80, 24));
        let starts =
            picture[4..].iter().map(|line| text::width(&line[..line.find("ready").unwrap()]));
        assert_eq!(starts.collect::<Vec<_>>(), [21, 21], "{picture:#?}");
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let rows: Vec<_> = (0..10).map(|at| row(&format!("P{at}"))).collect();
        assert_eq!(draw("", &rows, (80, 9)).last().unwrap(), "and 6 more");
        assert_eq!(draw("", &rows, (80, 14)).len(), 14);
        assert!(draw("", &rows, (80, 14)).last().unwrap().starts_with("P9 "));
    }

    /// The words come from a server.
    #[test]
    fn nothing_of_a_plugin_talks_to_the_terminal() {
        let mut hostile = down("Guard\u{1b}[2J");
        hostile.error = Some(Trouble::new("broken\n\u{1b}]0;owned\u{7}", Duration::ZERO));
        let picture = draw("", &[hostile.clone()], (80, 24)).concat();
        assert!(!picture.contains(char::is_control), "{picture:?}");
        assert!(!hostile.line().contains(char::is_control), "{}", hostile.line());
    }
}
