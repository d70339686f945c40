//! What is pinned stands in one file each; docs/pins.md and the pages that name versions say the
//! same. And the command that tries newer ones judges rightly (its own tests).
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PUBLISHED: &str = "tests/reference/published/requirements.txt";
/// Lists of `name==version`, where whatever the packages pull in stands below a line that says so.
const LISTS: [&str; 4] = [
    "tests/reference/requirements.txt",
    PUBLISHED,
    "tests/reference/probe/requirements.txt",
    "testing/drift/tried.txt",
];
const ADAPTER: &str = "crates/hookwire-praxis/Cargo.toml";

fn read(page: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The packages of a list, or of its part, with their versions.
fn packages(list: &str) -> BTreeMap<String, String> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.map(|line| line.split_once("==").expect("name==version"));
    split.map(|(name, version)| (name.split('[').next().unwrap().into(), version.into())).collect()
}

fn asked_for(list: &str) -> BTreeMap<String, String> {
    packages(read(list).split("\n# Pulled in").next().unwrap())
}

/// Every pin with its version and the file where that stands.
fn pins() -> BTreeMap<String, (String, String)> {
    let mut pins = BTreeMap::new();
    for list in LISTS {
        for (name, version) in asked_for(list) {
            assert!(pins.insert(name, (version, list.to_owned())).is_none(), "twice, in {list}");
        }
    }
    let (_, version) = read(ADAPTER)
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .find(|(name, _)| *name == "praxis-policy")
        .map(|(name, version)| (name.to_owned(), version.trim_matches(['"', '=']).to_owned()))
        .expect("the adapter's engine");
    pins.insert("praxis-policy".into(), (version, ADAPTER.into()));
    pins
}

/// The cells of each row whose first is one name in backticks, with a version behind it where it
/// has one.
fn rows(page: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let lines = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").map(|cell| cell.replace('`', "")).collect()).collect()
}

#[test]
fn the_page_of_pins_has_each_with_its_version_and_its_file() {
    let told: BTreeMap<_, _> = rows("docs/pins.md")
        .into_iter()
        .map(|row| (row[0].clone(), (row[1].clone(), row[2].clone())))
        .collect();
    assert_eq!(told, pins());
}

#[test]
fn the_page_of_plugins_has_each_that_is_published_with_its_version_and_its_hooks() {
    let published: Value =
        serde_norway::from_str(&read("tests/reference/published/plugins.yaml")).unwrap();
    let served: BTreeMap<_, BTreeSet<_>> = published["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| {
            let module = plugin["kind"].as_str().unwrap().split('.').next().unwrap();
            let hooks = plugin["hooks"].as_array().unwrap().iter();
            (module.replace('_', "-"), hooks.map(|hook| hook.as_str().unwrap().into()).collect())
        })
        .collect();
    let pinned: BTreeMap<_, _> = asked_for(PUBLISHED)
        .into_iter()
        .map(|(name, version)| (format!("{name} {version}"), served[&name].clone()))
        .collect();
    let told: BTreeMap<_, BTreeSet<String>> = rows("docs/plugins.md")
        .into_iter()
        .filter(|row| row[0].starts_with("cpex-") || row[0].starts_with("telveguard-"))
        .map(|row| (row[0].clone(), row[1].split(", ").map(str::to_owned).collect()))
        .collect();
    assert_eq!(told, pinned);
}

/// Versions that figures were measured with are not these.
const NAMED: [(&str, &str); 4] = [
    ("README.md", "cpex"),
    ("docs/plugins.md", "cpex"),
    ("docs/engines.md", "praxis-policy"),
    ("crates/hookwire-gateway/src/lib.rs", "cpex"),
];

#[test]
fn pages_name_no_other_version_than_the_one_that_is_pinned() {
    for (page, name) in NAMED {
        let pinned = &pins()[name].0;
        // A name may be in backticks, and its version in the next line of a comment.
        let text = read(page).replace("//!", "").replace(['`', '(', ')', '"'], " ");
        let words: Vec<_> = text.split_whitespace().collect();
        let told = words.windows(2).filter(|pair| pair[0] == name);
        let versions = told.map(|pair| pair[1].trim_matches(['.', ',', ':', ';']));
        let versions: BTreeSet<_> = versions
            .filter(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .collect();
        assert_eq!(versions, BTreeSet::from([pinned.as_str()]), "{name} on {page}");
    }
}

#[test]
fn what_several_lists_pull_in_has_one_version() {
    let mut versions = BTreeMap::new();
    for (name, version) in LISTS.iter().flat_map(|list| packages(&read(list))) {
        let before = versions.entry(name.clone()).or_insert_with(|| version.clone());
        assert_eq!(*before, version, "{name}");
    }
}

#[test]
fn the_command_that_tries_newer_ones_judges_rightly() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("testing/drift/tests.py");
    let Ok(run) = Command::new("python3").arg(tests).env("PYTHONDONTWRITEBYTECODE", "1").output()
    else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "there is no python3");
        eprintln!("skipped, there is no python3");
        return;
    };
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && told.contains("\nOK"), "{told}");
}
