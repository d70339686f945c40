//! Three servers and nothing before them: restarted one after the other, and killed, under load.
//! `benches/servers.rs` prints the same counts of more calls.
#![cfg(all(feature = "grpc", feature = "server"))]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::several::{Counts, Size, one_is_killed, rolling_restart};

const SIZE: Size = Size { callers: 64, ms: 50, calls: 200, rounds: 1 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_restarted_one_after_the_other_lose_no_call_and_no_hook_runs_twice() {
    let counts = rolling_restart(SIZE).await;
    let Counts { failed, not_sent, twice, .. } = counts;
    assert_eq!((failed, not_sent, twice), (0, 0, 0), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_server_that_is_killed_only_calls_that_were_under_way_there_fail() {
    let counts = one_is_killed(Size { rounds: 3, ..SIZE }).await;
    assert_eq!((counts.not_sent, counts.twice), (0, 0), "{counts:?}");
    // Of three servers, the one that had a third of them.
    assert!((1..=3 * SIZE.callers / 2).contains(&counts.failed), "{counts:?}");
}
