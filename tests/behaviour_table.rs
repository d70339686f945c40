//! docs/reliability.md, docs/plugins.md and SECURITY.md tell the truth: the tests that they
//! name exist, and no fault test and no test of the wire is left out.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tests that each row of the table of promises names.
fn table() -> BTreeMap<String, Vec<String>> {
    rows_of("docs/reliability.md", "row")
}

/// The tests that each row of what the wire carries names.
fn wire() -> impl Iterator<Item = (String, Vec<String>)> {
    ["a plugin sees", "a plugin says"].into_iter().flat_map(|head| rows_of("docs/plugins.md", head))
}

/// The tests in the third column of a page's tables whose first column has this head.
fn rows_of(page: &str, head: &str) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let in_table = |lines: &str| lines.starts_with(&format!("| {head} |"));
    let tables = text.split("\n\n").filter(|lines| in_table(lines));
    let mut rows = BTreeMap::new();
    for line in tables.flat_map(str::lines).filter(|line| !line.starts_with("|---")) {
        let cells: Vec<_> = line.split(" | ").collect();
        // A row that is not understood would be one that nothing holds.
        let [row, _, tests] = cells[..] else { panic!("{page}: not three cells: {line}") };
        let row = row.strip_prefix("| ").unwrap_or_else(|| panic!("{page}: no row: {line}"));
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        if row != head {
            assert!(rows.insert(row.to_owned(), tests).is_none(), "{page} has {row} twice");
        }
    }
    assert!(!rows.is_empty(), "{page} has no table of {head}s");
    rows
}

fn rust_files(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The names of the test functions in a file.
fn tests_in(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut marked = false;
    let mut tests = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("async ").unwrap_or(line);
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(name) = line.strip_prefix("fn ") {
            // Those in `proptest!` are marked like the others.
            if std::mem::take(&mut marked) {
                tests.push(name.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    tests
}

#[test]
fn every_test_that_the_table_names_exists() {
    let files = [rust_files(&root().join("tests")), rust_files(&root().join("src"))].concat();
    let tests: BTreeSet<_> = files.iter().flat_map(|file| tests_in(file)).collect();
    for (row, named) in table().into_iter().chain(rows_of("SECURITY.md", "limit")).chain(wire()) {
        assert!(!named.is_empty(), "{row} has no test");
        for name in named {
            assert!(tests.contains(&name), "{row}: there is no test {name}");
        }
    }
}

/// The rows are numbered with gaps.
const NO_ROWS: [(&str, usize); 2] = [("H", 11), ("H", 20)];

#[test]
fn the_table_has_every_row_and_every_row_a_test_of_its_name() {
    let table = table();
    let mut expected = 0;
    for (letter, last) in
        [("R", 7), ("H", 38), ("T", 9), ("B", 8), ("S", 3), ("P", 4), ("C", 5), ("M", 5)]
    {
        for i in (1..=last).filter(|i| !NO_ROWS.contains(&(letter, *i))) {
            let row = format!("{letter}{i}");
            let named = table.get(&row).unwrap_or_else(|| panic!("{row} is missing"));
            expected += 1;
            let prefix = match row.as_str() {
                // Shown by the server's own tests, of which only some are about a row.
                "P4" => continue,
                _ if letter == "C" || letter == "M" => continue,
                _ if letter == "T" => "trap_".to_owned(),
                _ => format!("{}_", row.to_lowercase()),
            };
            assert!(named.iter().any(|name| name.starts_with(&prefix)), "{row}: {named:?}");
        }
    }
    assert_eq!(table.len(), expected, "a row that is not expected: {:?}", table.keys());
}

#[test]
fn no_fault_test_is_missing_in_the_table() {
    let named: BTreeSet<_> = table().into_values().flatten().collect();
    for file in rust_files(&root().join("tests")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let prefixes = ["behaviour_", "traps_", "reference_faults"];
        let is_ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
        if !is_ours || name == "behaviour_table.rs" {
            continue;
        }
        for test in tests_in(&file) {
            assert!(named.contains(&test), "{name}: {test} is in no row");
        }
    }
}

#[test]
fn no_test_of_what_the_wire_carries_is_missing_in_its_table() {
    let named: BTreeSet<_> = wire().flat_map(|(_, tests)| tests).collect();
    for test in tests_in(&root().join("tests/reference_wire.rs")) {
        assert!(named.contains(&test), "docs/plugins.md: {test} is in no row");
    }
}
