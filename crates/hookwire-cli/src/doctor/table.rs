//! Findings as a person reads them: a row for each plugin, what was found below it, and no
//! line above 80 columns that can be broken.

use super::finding::Level;
use super::patient::Patient;
use crate::text::{one_line, padded, width};

const WIDTH: usize = 80;

/// The state stands first, so that eyes and `grep` find it.
const STATE: usize = 6;
const GAP: usize = 2;
const COLUMNS: usize = 7;

/// All rows, with a heading.
pub(crate) fn table(patients: &[Patient]) -> String {
    let cells: Vec<_> = patients.iter().map(cells).collect();
    let heading = ["STATE", "PLUGIN", "LINE", "MODE", "ON_ERROR", "HOOKS", "SOCKET"];
    let heading = heading.map(str::to_owned);
    let mut widths = [0; COLUMNS];
    for row in cells.iter().chain([&heading]) {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    widths[0] = STATE - GAP;
    let mut table = row(&heading, &widths);
    for (patient, cells) in patients.iter().zip(&cells) {
        table += &row(cells, &widths);
        for server in &patient.servers {
            let Some(seen) = &server.seen else { continue };
            let level = format!("{:STATE$}{:STATE$}", "", server.state.as_str());
            table += &wrapped(&level, &one_line(&format!("{}: {seen}", server.server)));
        }
        for finding in &patient.findings {
            let level = format!("{:STATE$}{:STATE$}", "", finding.level.as_str());
            table += &wrapped(&level, &one_line(&finding.message));
            let below = " ".repeat(2 * STATE);
            table += &wrapped(&below, &format!("-> {}", one_line(&finding.advice)));
        }
    }
    table
}

fn cells(patient: &Patient) -> [String; COLUMNS] {
    let number = |number: Option<usize>| number.map_or("?".to_owned(), |number| number.to_string());
    [
        patient.state.as_str().to_owned(),
        one_line(&patient.plugin),
        number(patient.line),
        patient.mode.to_owned(),
        patient.on_error.to_owned(),
        number(patient.hooks.as_ref().map(Vec::len)),
        one_line(&patient.socket),
    ]
}

/// The socket is last, since its path cannot be broken: where there is no room for it, it is
/// on a line of its own.
fn row(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let [first @ .., socket] = cells;
    let mut row = String::new();
    for (cell, widest) in first.iter().zip(widths) {
        row += &padded(cell, widest + GAP);
    }
    if width(&row) + width(socket) > WIDTH {
        return format!("{}\n{:STATE$}{socket}\n", row.trim_end(), "");
    }
    row + socket + "\n"
}

/// Text in lines that begin with as many spaces as the first one has of `lead`.
pub(crate) fn wrapped(lead: &str, text: &str) -> String {
    let indent = width(lead);
    let mut lines = String::new();
    let mut line = lead.to_owned();
    for word in text.split(' ') {
        let used = width(&line);
        if used > indent && used + 1 + width(word) > WIDTH {
            lines += line.trim_end();
            lines.push('\n');
            line = format!("{:indent$}", "");
        } else if used > indent {
            line.push(' ');
        }
        line += word;
    }
    lines + line.trim_end() + "\n"
}

/// How it ends, in a sentence: of so many plugins that were looked at, and the states of all
/// entries.
pub(crate) fn sum(plugins: usize, states: &[Level]) -> String {
    let failed = states.iter().filter(|state| **state == Level::Fail).count();
    match (failed, plugins) {
        (0, 0) => "no plugin of this file is behind a Unix socket".to_owned(),
        (0, _) => "every guard would guard".to_owned(),
        (1, _) => "1 guard would not guard".to_owned(),
        (failed, _) => format!("{failed} guards would not guard"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Finding;
    use super::*;

    fn patient(plugin: &str, socket: &str, findings: Vec<Finding>) -> Patient {
        Patient {
            plugin: plugin.into(),
            line: Some(3),
            socket: socket.into(),
            state: findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok),
            mode: "sequential",
            on_error: "fail",
            hooks: Some(vec!["tool_pre_invoke".into()]),
            owner: None,
            servers: Vec::new(),
            findings,
            guards: true,
        }
    }

    #[test]
    fn a_table_is_80_columns_wide_with_a_row_for_each_plugin_and_its_findings_below() {
        let finding = Finding::broken(
            true,
            "mode",
            "`mode` is `sequential` here and `audit` on the server, which acts first: its server never lets it deny",
            "set `mode: sequential` in the server's own entry, and restart it",
        );
        let patients = [
            patient("Guard", "/run/guard.sock", vec![finding]),
            patient("Words", "/run/words.sock", vec![]),
        ];
        let expected = "\
STATE PLUGIN  LINE  MODE        ON_ERROR  HOOKS  SOCKET
FAIL  Guard   3     sequential  fail      1      /run/guard.sock
      FAIL  `mode` is `sequential` here and `audit` on the server, which acts
            first: its server never lets it deny
            -> set `mode: sequential` in the server's own entry, and restart it
ok    Words   3     sequential  fail      1      /run/words.sock
";
        assert_eq!(table(&patients), expected);
        assert_eq!(sum(2, &[Level::Fail, Level::Ok]), "1 guard would not guard");
    }

    #[test]
    fn names_whose_letters_take_two_columns_leave_the_columns_where_they_are() {
        let table =
            table(&[patient("守卫守卫", "/run/p.sock", vec![]), patient("Guard", "/p", vec![])]);
        let starts: Vec<_> = table
            .lines()
            .map(|line| width(&line[..line.find("sequential").or(line.find("MODE")).unwrap()]))
            .collect();
        assert_eq!(starts, [22; 3], "{table}");
        let long = wrapped("FAIL  ", &"守卫 ".repeat(40));
        assert!(
            long.lines().count() > 2 && long.lines().all(|line| width(line) <= WIDTH),
            "{long}"
        );
    }

    #[test]
    fn a_path_without_room_has_a_line_of_its_own() {
        let path = format!("/run/{}/p.sock", "d".repeat(60));
        let table = table(&[patient("Guard", &path, vec![])]);
        let lines: Vec<_> = table.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["ok    Guard   3     sequential  fail      1", &format!("      {path}")]
        );
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_is_not_broken() {
        let word = "x".repeat(100);
        assert_eq!(
            wrapped("FAIL  ", &format!("a {word} b")),
            format!("FAIL  a\n      {word}\n      b\n")
        );
    }
}
