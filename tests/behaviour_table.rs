//! docs/reliability.md and SECURITY.md tell the truth: the tests that they name exist,
//! and no fault test is left out.

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

/// The tests in the third column of a page's tables whose first column has this head.
fn rows_of(page: &str, head: &str) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let in_table = |lines: &str| lines.starts_with(&format!("| {head} |"));
    let tables = text.split("\n\n").filter(|lines| in_table(lines));
    let rows = tables.flat_map(str::lines).filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
        let [row, _, tests] = cells[..] else { return None };
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (row != head).then(|| (row.to_owned(), tests))
    });
    let rows: BTreeMap<_, _> = rows.collect();
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
    for (row, named) in table().into_iter().chain(rows_of("SECURITY.md", "limit")) {
        assert!(!named.is_empty(), "{row} has no test");
        for name in named {
            assert!(tests.contains(&name), "{row}: there is no test {name}");
        }
    }
}

#[test]
fn the_table_has_every_row_and_every_row_a_test_of_its_name() {
    let table = table();
    let expected = (1..=7).map(|i| format!("R{i}"));
    let faults = (1..=19).filter(|&i| i != 11).map(|i| format!("H{i}"));
    for row in expected.chain(faults) {
        let named = table.get(&row).unwrap_or_else(|| panic!("{row} is missing"));
        let prefix = format!("{}_", row.to_lowercase());
        assert!(named.iter().any(|name| name.starts_with(&prefix)), "{row}: {named:?}");
    }
    for i in 1..=8 {
        let row = format!("B{i}");
        let prefix = format!("b{i}_");
        assert!(table[&row].iter().any(|name| name.starts_with(&prefix)), "{row}");
    }
    for i in 1..=9 {
        let named = &table[&format!("T{i}")];
        assert!(named.iter().any(|name| name.starts_with("trap_")), "T{i}: {named:?}");
    }
}

#[test]
fn no_fault_test_is_missing_in_the_table() {
    let named: BTreeSet<_> = table().into_values().flatten().collect();
    for file in rust_files(&root().join("tests")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_ours = name.starts_with("behaviour_") || name.starts_with("traps_");
        if !is_ours || name == "behaviour_table.rs" {
            continue;
        }
        for test in tests_in(&file) {
            assert!(named.contains(&test), "{name}: {test} is in no row");
        }
    }
}
