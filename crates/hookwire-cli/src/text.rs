//! Numbers and foreign words, made readable.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// One line without control characters: a plugin's words may span several and may
/// try to talk to the terminal.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.replace(char::is_control, "\u{fffd}")
}

/// How many columns of a terminal a text takes: letters of some scripts take two.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The longest beginning of a text that is not wider than so many columns.
pub(crate) fn fitting(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let too_wide = text.char_indices().find(|(_, character)| {
        used += character.width().unwrap_or(0);
        used > columns
    });
    &text[..too_wide.map_or(text.len(), |(at, _)| at)]
}

/// A text with blanks behind it, up to so many columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{:1$}", "", columns.saturating_sub(width(text)))
}

/// A count with a comma between the thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count of things, with the right form of their name.
pub(crate) fn counted(number: usize, name: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {name}{ending}", count(number as u64))
}

/// A time in nanoseconds, in the unit that suits it.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    // Three digits say all there is to know.
    let decimals = match value {
        value if value < 9.95 => 2,
        value if value < 99.5 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_several_lines_become_one_without_control_characters() {
        assert_eq!(
            one_line("1 error\n  name\r\n\n  missing\u{1b}[31m"),
            "1 error name missing\u{fffd}[31m"
        );
    }

    #[test]
    fn letters_that_take_two_columns_are_counted_so() {
        assert_eq!((width("guard"), width("守卫"), width("e\u{301}")), (5, 4, 1));
        assert_eq!(["守卫", "守卫a", "ab守"].map(|text| fitting(text, 3)), ["守", "守", "ab"]);
        assert_eq!((padded("守卫", 6), padded("守卫", 2)), ("守卫  ".into(), "守卫".into()));
    }

    #[test]
    fn thousands_are_set_apart() {
        let counts = [0, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn one_of_a_kind_is_told_as_one() {
        let told = [0, 1, 1_000].map(|number| counted(number, "core"));
        assert_eq!(told, ["0 cores", "1 core", "1,000 cores"]);
    }

    #[test]
    fn times_are_told_in_three_digits() {
        let times = [0.0, 999.0, 1_234.0, 45_678.0, 345_678.0, 2.5e9].map(time);
        assert_eq!(times, ["0.00 ns", "999 ns", "1.23 µs", "45.7 µs", "346 µs", "2.50 s"]);
    }
}
