//! Calls that are sent again, and those that would be too many.

use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use super::pipe::{Server, answer, call_with, config, failure, pair, served};
use crate::call::Caller;
use crate::config::RetryPolicy;
use crate::error::{Cause, ErrorKind, Sent};
use crate::options::CallOptions;
use crate::test_log::Log;

/// Takes these calls and closes the connection, then serves the next ones: how many
/// were given back to their callers, and how many were sent again.
async fn lose(client: &Arc<Caller>, server: &mut Server, count: usize) -> (usize, usize) {
    let again = CallOptions::new().retry(RetryPolicy::Resend);
    let calls: Vec<_> = (0..count).map(|i| call_with(client, &i.to_string(), 0, again)).collect();
    let mut peer = server.accept().await;
    for _ in 0..count {
        peer.request().await.unwrap();
    }
    drop(peer);
    let serving = tokio::spawn(server.accept().await.serve());
    let (mut lost, mut sent_again) = (0, 0);
    for (i, call) in calls.into_iter().enumerate() {
        match call.await.unwrap() {
            Ok(result) => {
                assert_eq!(result.modified_payload.unwrap(), i.to_string());
                sent_again += 1;
            }
            Err(error) => {
                let Cause::RetryBudgetSpent(cause) = error.cause() else { panic!("{error}") };
                assert!(matches!(**cause, Cause::Disconnected(_)), "{error}");
                assert_eq!(error.kind(), ErrorKind::Disconnected);
                assert_ne!(error.sent(), Sent::No);
                assert!(error.to_string().contains("the retry budget is spent"), "{error}");
                lost += 1;
            }
        }
    }
    serving.abort();
    (lost, sent_again)
}

// Promise: B7
#[tokio::test(start_paused = true)]
async fn beyond_the_retry_budget_a_lost_call_fails_and_says_why() {
    let config = config(|c| c.max_in_flight(1000));
    let (client, mut server) = pair(&config, 1 << 20);
    // Ten per second over ten seconds, and a fifth of these calls.
    assert_eq!(lose(&client, &mut server, 300).await, (300 - 160, 160));
    let stats = client.stats();
    assert_eq!((stats.retries, stats.retries_refused, stats.other_failures), (160, 140, 140));
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(lose(&client, &mut server, 100).await, (0, 100));
}

#[tokio::test(start_paused = true)]
async fn the_share_of_the_calls_that_may_be_sent_again_can_be_set() {
    let config = config(|c| c.max_in_flight(1000).retry_budget(100));
    let (client, mut server) = pair(&config, 1 << 20);
    assert_eq!(lose(&client, &mut server, 300).await, (0, 300));
}

// Promise: B7
#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_open_nothing_is_sent_again() {
    let config = config(|c| c.reconnect_attempts(1));
    let (client, mut server) = pair(&config, 4096);
    let again = CallOptions::new().retry(RetryPolicy::Resend);
    let lost = call_with(&client, "lost", 0, again);
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "lost");
    // It never answered, and one failure is enough: the plugin is down.
    drop(peer);
    let error = failure(lost).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));
    assert_eq!(client.stats().retries, 0);
    let trial = call_with(&client, "trial", 0, again);
    tokio::spawn(server.accept().await.serve());
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(trial.await);
    assert_eq!(answer(call_with(&client, "next", 0, again)).await, "next");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_sent_again_as_often_as_configured_and_no_more() {
    let config = config(|c| c.max_connections(2).max_in_flight(1).reconnect_attempts(2));
    let (client, mut server) = pair(&config, 4096);
    // On a connection that lasts, so that the plugin is not taken for down.
    let held = call_with(&client, "held", 0, CallOptions::new());
    let mut lasting = server.accept().await;
    assert_eq!(lasting.request().await.unwrap(), "held");
    let lost = call_with(&client, "lost", 0, CallOptions::new().retry(RetryPolicy::Resend));
    for attempt in 0..3 {
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.unwrap(), "lost", "attempt {attempt}");
    }
    let error = failure(lost).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));
    assert_eq!(client.stats().retries, 2);
    lasting.reply("held").await;
    assert_eq!(answer(held).await, "held");
}

/// Two calls on one connection, which ends without a reply as `end` does it: how the first
/// failed, and the second call.
async fn two_lost(
    client: &Arc<Caller>,
    server: &mut Server,
    end: &[u8],
) -> (crate::error::PluginError, super::pipe::Call) {
    let unstarted = CallOptions::new().retry(RetryPolicy::Unstarted);
    let calls = ["head", "behind"].map(|marker| call_with(client, marker, 0, unstarted));
    let mut peer = server.accept().await;
    for marker in ["head", "behind"] {
        assert_eq!(peer.request().await.unwrap(), marker);
    }
    peer.send_raw(end).await;
    drop(peer);
    let [head, behind] = calls;
    (failure(head).await, behind)
}

#[tokio::test(start_paused = true)]
async fn of_the_calls_that_a_connection_took_along_only_those_that_cannot_have_begun_go_again() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let (head, behind) = two_lost(&client, &mut server, &[]).await;
    assert_eq!((head.kind(), head.sent()), (ErrorKind::Disconnected, Sent::Maybe));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "behind");
    peer.reply("behind").await;
    assert_eq!(answer(behind).await, "behind");
    assert_eq!(client.stats().retries, 1);
}

/// A server that breaks the framing may have been at any request.
#[tokio::test(start_paused = true)]
async fn none_goes_again_where_nobody_knows_which_the_server_was_at() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let (head, behind) = two_lost(&client, &mut server, &[0xff; 8]).await;
    assert_eq!(head.sent(), Sent::Maybe);
    assert_eq!(failure(behind).await.sent(), Sent::Maybe);
    assert_eq!(client.stats().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn each_time_that_a_call_is_sent_again_is_a_line_that_counts_them() {
    let (log, _logging) = Log::start(LevelFilter::DEBUG);
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(5)), 4096);
    let call = call_with(&client, "a", 0, CallOptions::new().retry(RetryPolicy::Resend));
    for _ in 0..2 {
        server.accept().await.request().await.unwrap();
    }
    served(&mut server, call, "a").await;
    let lines = log.lines_with("sending again");
    let [first, second] = &lines[..] else { panic!("{lines:#?}") };
    assert!(first.contains("attempt=2") && second.contains("attempt=3"), "{lines:#?}");
}
