//! What the retry budget is a share of (row B7 of docs/reliability.md).

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{SOON, call, call_soon, eventually, in_time, lazy, socket, spawn_call};
use fault_server::FaultServer;
use hookwire::{BreakerState, ErrorKind, RetryPolicy, Sent};

/// A plugin that hung, and that loses its connections once it is back. Callers that
/// were refused meanwhile, as many as an outage has, are no load that resends add to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_calls_that_were_refused_while_the_plugin_was_down_do_not_fill_the_budget() {
    let server = FaultServer::start(|mut connection| async move {
        loop {
            let call = connection.hook().await?;
            match call.marker() {
                "down" => return connection.client_closed().await,
                "back" => connection.answer(&call).await?,
                // Runs one hook, and takes all that wait behind it along.
                _ => return Ok(()),
            }
        }
    });
    let again = socket(server.path()).max_in_flight(256).retry(RetryPolicy::Resend);
    let handle = lazy(again.reconnect_attempts(1_000_000).breaker_threshold(1).stall_limit(SOON));
    in_time("a call", call_soon(&handle, "down")).await.unwrap_err();
    eventually("the breaker opens", || handle.breaker() != BreakerState::Closed).await;
    in_time("failing fast", async {
        let mut refused = 0;
        while refused < 10_000 {
            // But for one on trial now and then.
            let error = call_soon(&handle, "down").await.unwrap_err();
            refused += usize::from(error.kind() == ErrorKind::Unavailable);
        }
    })
    .await;
    in_time("it is back", async {
        while call(&handle, "back").await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;

    let calls: Vec<_> = (0..200).map(|i| spawn_call(&handle, i.to_string())).collect();
    for call in calls {
        let error = in_time("a call", call).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_ne!(error.sent(), Sent::No);
    }
    let stats = handle.stats();
    assert_eq!(stats.retries_refused, 200);
    // A fifth of the calls, and ten for each of ten seconds, of which few have passed.
    assert!((100..=140 + 100).contains(&stats.retries), "{} resends", stats.retries);
}
