//! docs/engines.md has a row for each decision, and names every test that stands for one.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_decision_has_its_row_and_every_test_of_one_is_named_there() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(package.join("../../docs/engines.md")).unwrap();
    for number in 1..=26 {
        assert!(page.contains(&format!("\n| {number} | ")), "no row of decision {number}");
    }
    let named: BTreeSet<_> = page.split('`').filter(|word| stands_for_one(word)).collect();
    let sources = sources(package);
    let tests: BTreeSet<_> = sources
        .iter()
        .flat_map(|text| text.split("fn ").skip(1))
        .map(|rest| rest.split('(').next().unwrap_or_default())
        .filter(|name| stands_for_one(name))
        .collect();
    let unnamed = Vec::from_iter(tests.difference(&named));
    assert!(unnamed.is_empty(), "not on the page: {unnamed:?}");
    let gone = Vec::from_iter(named.difference(&tests));
    assert!(gone.is_empty(), "no such test: {gone:?}");
}

/// As `d7_what_it_says`.
fn stands_for_one(name: &str) -> bool {
    let number = name.strip_prefix('d').and_then(|rest| rest.split_once('_'));
    number.is_some_and(|(number, _)| number.parse::<u8>().is_ok())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn sources(package: &Path) -> Vec<String> {
    let (mut texts, mut dirs) = (Vec::new(), vec![package.join("src"), package.join("tests")]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                None if path.is_dir() => dirs.push(path),
                Some(extension) if extension == "rs" => {
                    texts.push(fs::read_to_string(path).unwrap())
                }
                _ => {}
            }
        }
    }
    texts
}
