//! docs/reliability.md, docs/plugins.md and SECURITY.md tell the truth: every promise has
//! tests, those that are named exist, and no fault test and no test of the wire is left out.
//!
//! A test belongs to the rows that its name begins with (`h3_h13_…`), or to those of a line
//! `// Promise: B2, C1` above its attribute. One with `#[apply(both)]` is two, and runs over gRPC
//! too. docs/promises.md is written from these:
//! `UPDATE_EXPECT=1 cargo test --test behaviour_table`.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A promise's name, `H21`: in the order of letters, then of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row(char, u32);

impl Row {
    fn parse(text: &str) -> Option<Self> {
        let (letter, number) = text.split_at_checked(1)?;
        let letter = letter.chars().next()?.to_ascii_uppercase();
        number.parse().ok().map(|number| Self(letter, number))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

/// A test, in a file below the root.
#[derive(Debug)]
struct Test {
    name: String,
    file: String,
    rows: BTreeSet<Row>,
    over: Transports,
}

/// What a test runs over.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Transports {
    Socket,
    Grpc,
    Both,
}

/// Where tests of gRPC alone are.
const OF_GRPC: [&str; 5] = [
    "src/config/tests/grpc",
    "src/grpc/",
    "src/server/grpc/",
    "tests/behaviour_grpc",
    "tests/reference_grpc",
];

/// The cells of each line in a page's tables whose first column has this head.
fn rows_of<const CELLS: usize>(page: &str, head: &str) -> Vec<[String; CELLS]> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let in_table = |lines: &str| lines.starts_with(&format!("| {head} |"));
    let tables = text.split("\n\n").filter(|lines| in_table(lines));
    let lines = tables.flat_map(|lines| lines.lines().skip(2));
    let cells = lines.map(|line| {
        let cells: Vec<_> = line.trim_matches(['|', ' ']).split(" | ").map(str::to_owned).collect();
        // A row that is not understood would be one that nothing holds.
        cells.try_into().unwrap_or_else(|_| panic!("{page}: not {CELLS} cells: {line}"))
    });
    let rows: Vec<_> = cells.collect();
    assert!(!rows.is_empty(), "{page} has no table of {head}s");
    rows
}

/// Every promise that is made, in the page's order, and what is said of it over gRPC.
fn promises() -> Vec<(Row, String)> {
    let rows = rows_of("docs/reliability.md", "row");
    rows.into_iter()
        .map(|[row, _, over_grpc, link]| {
            let parsed = Row::parse(&row).unwrap_or_else(|| panic!("{row} is no row"));
            let expected = format!("[tests](promises.md#{})", row.to_lowercase());
            assert_eq!(link, expected, "{row} leads elsewhere");
            (parsed, over_grpc)
        })
        .collect()
}

fn promised() -> Vec<Row> {
    promises().into_iter().map(|(row, _)| row).collect()
}

fn rust_files(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The test functions in a file.
fn tests_in(file: &Path) -> Vec<Test> {
    let text = fs::read_to_string(file).unwrap();
    let file = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    let (mut is_test, mut is_both, mut marked) = (false, false, BTreeSet::new());
    let of_grpc = OF_GRPC.iter().any(|folder| file.starts_with(folder));
    let mut tests = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rows) = line.strip_prefix("// Promise: ") {
            let parse = |row| Row::parse(row).unwrap_or_else(|| panic!("{file}: {row} is no row"));
            marked = rows.split(", ").map(parse).collect();
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[apply(both") {
            (is_test, is_both) = (true, true);
        } else if let Some(name) = line.strip_prefix("fn ") {
            // Those in `proptest!` are marked like the others.
            let mut rows = std::mem::take(&mut marked);
            let over = match (std::mem::take(&mut is_both), of_grpc) {
                (true, _) => Transports::Both,
                (_, true) => Transports::Grpc,
                _ => Transports::Socket,
            };
            if std::mem::take(&mut is_test) {
                let name = name.split(['(', '<']).next().unwrap().to_owned();
                rows.extend(name.split('_').map_while(Row::parse));
                tests.push(Test { name, file: file.clone(), rows, over });
            }
        }
    }
    tests
}

fn tests() -> Vec<Test> {
    let mut files = [rust_files(&root().join("tests")), rust_files(&root().join("src"))].concat();
    files.sort();
    files.iter().flat_map(|file| tests_in(file)).collect()
}

fn by_row(tests: &[Test]) -> BTreeMap<Row, Vec<&Test>> {
    let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for test in tests {
        for row in &test.rows {
            rows.entry(*row).or_default().push(test);
        }
    }
    rows
}

#[test]
fn every_promise_has_tests_and_no_test_is_of_a_promise_that_nobody_made() {
    let tests = tests();
    let by_row = by_row(&tests);
    let promised: BTreeSet<_> = promised().into_iter().collect();
    for row in &promised {
        let tests = by_row.get(row).unwrap_or_else(|| panic!("{row} has no test"));
        let has_its_name =
            |test: &&Test| test.name.split('_').map_while(Row::parse).any(|of| of == *row);
        let named = match row {
            // Shown by the codec's and the server's own tests, of which each is about more.
            Row('C' | 'M', _) | Row('P', 4) => true,
            Row('T', _) => tests.iter().any(|test| test.name.starts_with("trap_")),
            _ => tests.iter().any(has_its_name),
        };
        assert!(named, "{row} has no test of its name: {tests:?}");
    }
    for (row, tests) in &by_row {
        assert!(promised.contains(row), "{row} is not promised: {tests:?}");
    }
}

/// A promise that is kept over gRPC has a test that runs there, and no other has.
#[test]
fn every_promise_says_whether_it_is_kept_over_grpc_and_the_tests_say_the_same() {
    let tests = tests();
    let by_row = by_row(&tests);
    for (row, said) in promises() {
        let tests = by_row.get(&row).into_iter().flatten();
        let shown: Vec<_> = tests.filter(|test| test.over != Transports::Socket).collect();
        let is_kept = said == "yes" || said.starts_with("yes, ");
        let is_told = ["socket only: ", "not shown: "].iter().any(|why| said.starts_with(why));
        assert!(is_kept || is_told || said == "the same code", "{row} says: {said}");
        assert_eq!(is_kept, !shown.is_empty(), "{row} says: {said}; over gRPC are {shown:?}");
    }
}

#[test]
fn the_page_of_tests_is_that_of_the_sources() {
    let tests = tests();
    let by_row = by_row(&tests);
    let mut page = "# The tests of each promise\n\nWritten by `UPDATE_EXPECT=1 cargo test --test \
                    behaviour_table` from the names of tests and the lines `// Promise:` above \
                    them. What is promised: [reliability.md](reliability.md).\n"
        .to_owned();
    for row in promised() {
        let _ = write!(page, "\n## {row}\n\n");
        for Test { name, file, over, .. } in by_row.get(&row).into_iter().flatten() {
            let over = match over {
                Transports::Socket => "",
                Transports::Grpc => ", over gRPC",
                Transports::Both => ", over both",
            };
            let _ = writeln!(page, "- `{name}` ([{file}](../{file})){over}");
        }
    }
    expect_test::expect_file![root().join("docs/promises.md")].assert_eq(&page);
}

/// The tests that each row names of pages whose tables have them in a column.
fn named_in_tables() -> Vec<(String, Vec<String>)> {
    let tables = [
        ("SECURITY.md", "limit"),
        ("docs/plugins.md", "a plugin sees"),
        ("docs/plugins.md", "a plugin says"),
    ];
    let rows = tables.into_iter().flat_map(|(page, head)| rows_of(page, head));
    rows.map(|[row, _, named]| {
        (row, named.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn every_test_that_a_table_names_exists() {
    let tests: BTreeSet<_> = tests().into_iter().map(|test| test.name).collect();
    for (row, named) in named_in_tables() {
        assert!(!named.is_empty(), "{row} has no test");
        for name in named {
            assert!(tests.contains(&name), "{row}: there is no test {name}");
        }
    }
}

#[test]
fn no_test_of_the_wire_is_missing_in_its_tables() {
    let named: BTreeSet<_> = named_in_tables().into_iter().flat_map(|(_, named)| named).collect();
    let of_the_wire = tests().into_iter().filter(|test| test.file == "tests/reference_wire.rs");
    let mut any = false;
    for test in of_the_wire {
        assert!(named.contains(&test.name), "{} is in no row", test.name);
        any = true;
    }
    assert!(any, "the tests of the wire are elsewhere");
}

/// The rows are numbered with gaps.
const NO_ROWS: [Row; 2] = [Row('H', 11), Row('H', 20)];

#[test]
fn no_row_of_the_numbering_is_left_out() {
    let promised = promised();
    let mut expected = BTreeSet::new();
    for (letter, last) in
        [('R', 7), ('H', 39), ('T', 9), ('B', 8), ('S', 3), ('P', 4), ('C', 5), ('M', 5)]
    {
        expected.extend((1..=last).map(|i| Row(letter, i)).filter(|row| !NO_ROWS.contains(row)));
    }
    assert_eq!(promised.len(), expected.len(), "a row is there twice, or one too many or few");
    assert_eq!(promised.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn no_fault_test_is_without_a_promise() {
    for test in tests() {
        let name = test.file.strip_prefix("tests/").unwrap_or_default();
        let prefixes = ["behaviour_", "traps_", "reference_faults"];
        let is_ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
        if is_ours && name != "behaviour_table.rs" {
            assert!(!test.rows.is_empty(), "{name}: {} is of no row", test.name);
        }
    }
}
