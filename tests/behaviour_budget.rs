//! What the retry budget is a share of (row B7 of docs/reliability.md).

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{
    LIMIT, SOON, call, call_with, eventually, in_time, knobs, lazy, spawn_call_with,
};
use common::over::{Over, apply, both};
use hookwire::{BreakerState, CallOptions, ErrorKind, RetryPolicy, Sent};

/// A plugin that hung, and that loses its connections once it is back. Callers that
/// were refused meanwhile, as many as an outage has, are no load that resends add to.
#[apply(both)]
async fn b7_calls_that_were_refused_while_the_plugin_was_down_do_not_fill_the_budget(over: Over) {
    let server = over.start(|mut connection| async move {
        loop {
            let call = connection.hook().await?;
            match call.marker() {
                "down" => connection.leave_unanswered().await?,
                "back" => connection.answer(&call).await?,
                // Runs one hook, and takes all that wait behind it along.
                _ => return Ok(()),
            }
        }
    });
    let again = knobs(&server).max_in_flight(256).retry(RetryPolicy::Resend);
    let brief = again.breaker_threshold(1).stall_limit(SOON).timeout(SOON);
    let handle = lazy(brief.reconnect_attempts(1_000_000));
    in_time("a call", call(&handle, "down")).await.unwrap_err();
    eventually("the breaker opens", || handle.breaker() != BreakerState::Closed).await;
    in_time("failing fast", async {
        let mut refused = 0;
        while refused < 10_000 {
            // But for one on trial now and then.
            let error = call(&handle, "down").await.unwrap_err();
            refused += usize::from(error.kind() == ErrorKind::Unavailable);
        }
    })
    .await;
    let patient = CallOptions::new().timeout(LIMIT);
    in_time("it is back", async {
        while call_with(&handle, "back", patient).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;

    let calls: Vec<_> =
        (0..200).map(|i| spawn_call_with(&handle, i.to_string(), patient)).collect();
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
