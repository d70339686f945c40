//! The reference's plugin manager and our chain, over the same plugins, with the same random
//! configurations and requests: the same comes of it, but for the table in the crate's
//! documentation.
//!
//! `HOOKWIRE_CASES` (and `HOOKWIRE_HANGING_CASES`) sets how many, `HOOKWIRE_FIRST_CASE` where they
//! begin.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
#[cfg(feature = "yaml")]
mod files;
mod ours;
mod plugin;
mod reference;

use futures::future::join_all;
use serde_json::{Value, json};

/// Without another word of the environment.
const CASES: u64 = 2_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_comes_to_what_the_reference_comes_to() {
    let Some(venv) = reference::venv().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugins.sock");
    let _server = plugin::serve(&socket).await;
    let first = setting("HOOKWIRE_FIRST_CASE", 0);
    let numbers: Vec<u64> = (first..first + setting("HOOKWIRE_CASES", CASES)).collect();
    let cases: Vec<Value> = numbers.iter().map(|number| cases::case(*number, &socket)).collect();
    let expected = reference::run(&venv, dir.path(), "drive_manager.py", &cases).await;

    let mut found = Vec::new();
    for case in &cases {
        found.push(ours::run(case).await);
    }
    compare(&numbers, &cases, &found, &expected);
}

/// Each of these takes its time, so there are few, side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_comes_to_the_same_where_plugins_do_not_answer() {
    let Some(venv) = reference::venv().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugins.sock");
    let _server = plugin::serve(&socket).await;
    let first = setting("HOOKWIRE_FIRST_CASE", 0);
    let numbers: Vec<u64> = (first..first + setting("HOOKWIRE_HANGING_CASES", 15)).collect();
    let cases: Vec<Value> = numbers.iter().map(|number| cases::hanging(*number, &socket)).collect();
    let managers = cases.chunks(cases.len().div_ceil(3)).enumerate().map(|(index, cases)| {
        let (venv, dir) = (&venv, dir.path().join(index.to_string()));
        async move {
            std::fs::create_dir(&dir).unwrap();
            reference::run(venv, &dir, "drive_manager.py", cases).await
        }
    });
    let expected = join_all(managers).await.concat();
    let found = join_all(cases.iter().map(ours::run)).await;
    compare(&numbers, &cases, &found, &expected);
    let timeouts = found.iter().flatten().filter(|step| step.to_string().contains("timeout"));
    assert!(timeouts.count() > 0, "some must go on after a timeout");
}

fn compare(numbers: &[u64], cases: &[Value], found: &[Vec<Value>], expected: &[Value]) {
    let mut differences = Vec::new();
    for (((number, case), found), expected) in numbers.iter().zip(cases).zip(found).zip(expected) {
        for (step, (found, expected)) in found.iter().zip(expected.as_array().unwrap()).enumerate()
        {
            let expected = ours::comparable(case, step, expected);
            if *found != expected {
                differences.push(json!({
                    "case": number, "step": step, "ours": found, "reference": expected,
                }));
            }
        }
    }
    let shown: Vec<String> = differences.iter().take(3).map(|one| format!("{one:#}")).collect();
    assert!(
        differences.is_empty(),
        "{} differences in {} cases; the first: {}",
        differences.len(),
        cases.len(),
        shown.join("\n")
    );
}
