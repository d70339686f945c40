//! How much a plugin in trouble writes into its gateway's log.

use std::time::Duration;

use tokio::time::advance;
use tracing_subscriber::filter::LevelFilter;

use super::pipe::{Door, call_with, config, failure, pair, served, settle};
use crate::options::CallOptions;
use crate::test_log::Log;

const SHORT: Duration = Duration::from_millis(100);
/// More than so many attempts take, however long they happen to rest in between.
const LONG: Duration = Duration::from_secs(3_600);

/// A full backlog is no failure that counts, so each attempt that met one passed for
/// the first and was a line at info.
#[tokio::test(start_paused = true)]
async fn a_busy_server_is_one_line_at_info_however_often_it_is_tried() {
    let (log, _logging) = Log::start(LevelFilter::DEBUG);
    let (client, mut server) = pair(&config(|c| c), 4096);
    server.set(Door::Busy);
    // Calls that wait for one attempt after the other, and calls that leave in between.
    for _ in 0..10 {
        failure(call_with(&client, "short", 0, CallOptions::new().timeout(SHORT))).await;
        advance(SHORT).await;
        settle().await;
    }
    let patient = call_with(&client, "patient", 0, CallOptions::new().timeout(LONG));
    server.attempted(20).await;
    let info = log.lines_with(" INFO ");
    assert_eq!(info.len(), 1, "{info:#?}");
    assert!(info[0].contains("to=\"transient_failure\""), "{info:#?}");
    let debug = log.lines_with("DEBUG ");
    let failed = debug.iter().filter(|line| line.contains("error=operation would block"));
    assert!(failed.count() + 1 >= 19, "every attempt says how it failed: {debug:#?}");

    server.set(Door::Open);
    let _peer = served(&mut server, patient, "patient").await;
    let info = log.lines_with(" INFO ");
    assert_eq!(info.len(), 2, "{info:#?}");
    assert!(info[1].contains("to=\"ready\""), "{info:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_reached_at_the_third_attempt_is_told_to_be_there_again() {
    let (log, _logging) = Log::start(LevelFilter::DEBUG);
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(5)), 4096);
    server.set(Door::Refused);
    let patient = call_with(&client, "patient", 0, CallOptions::new().timeout(LONG));
    server.attempted(3).await;
    server.set(Door::Open);
    let _peer = served(&mut server, patient, "patient").await;
    let info = log.lines_with(" INFO ");
    assert_eq!(info.len(), 2, "{info:#?}");
    assert!(info[0].contains("error=connection refused"), "{info:#?}");
    assert!(info[1].contains("to=\"ready\""), "{info:#?}");
}
