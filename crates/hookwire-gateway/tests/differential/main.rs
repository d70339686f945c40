//! The reference's plugin manager and our chain, over the same plugins, with the same random
//! configurations and requests: the same comes of it, but for the table in the crate's
//! documentation.
//!
//! `HOOKWIRE_CASES` sets how many, `HOOKWIRE_FIRST_CASE` where they begin.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
#[cfg(feature = "yaml")]
mod files;
mod ours;
mod plugin;
mod reference;

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

    let mut differences = Vec::new();
    for ((number, case), expected) in numbers.iter().zip(&cases).zip(&expected) {
        let found = ours::run(case).await;
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
