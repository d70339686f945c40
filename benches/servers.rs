//! Three servers under load, restarted one after the other, and killed: how many calls fail.
//!
//! `cargo bench --all-features --bench servers`. Counts, no times: `tests/several_servers.rs` judges the
//! same at a small size.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::several::{Counts, Size, one_is_killed, rolling_restart};

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let (calls, rounds) =
        if std::env::args().any(|arg| arg == "--bench") { (1000, 5) } else { (100, 1) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!(
        "three servers, 64 callers; what ended more than 100 ms after an event is \"later\"\n"
    );
    println!(
        "| what | hooks | calls | failed | of these not sent | ran twice | later | of these failed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ms in [50, 5] {
        let size = Size { callers: 64, ms, calls, rounds };
        let restarts = rounds * 3;
        row(
            &format!("{restarts} restarts in good order"),
            ms,
            runtime.block_on(rolling_restart(size)),
        );
        row(&format!("one killed, {rounds} times"), ms, runtime.block_on(one_is_killed(size)));
    }
}

fn row(what: &str, ms: u64, counts: Counts) {
    let Counts { calls, failed, not_sent, twice, later, failed_later } = counts;
    println!(
        "| {what} | {ms} ms | {calls} | {failed} | {not_sent} | {twice} | {later} | {failed_later} |"
    );
}
