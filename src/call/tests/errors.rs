//! What errors tell a person: the reason, the right advice, and nothing beside the point.

use std::time::Duration;

use tokio::time::Instant;

use super::pipe::{Door, call, call_with, config, failure, pair, settle};
use crate::error::{ErrorKind, Sent};
use crate::options::{CallOptions, Overload};

const SECOND: Duration = Duration::from_secs(1);

/// Every error ended in "the hook did not run" or "the hook may have run", those of
/// `connect` and of questions too, which run no hook.
#[tokio::test(start_paused = true)]
async fn only_the_error_of_a_hook_call_says_whether_the_hook_ran() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(1)), 4096);
    let asking = tokio::spawn({
        let client = std::sync::Arc::clone(&client);
        async move { client.plugin_config("Guard", CallOptions::new()).await }
    });
    let mut peer = server.accept().await;
    peer.probe().await;
    server.set(Door::Refused);
    peer.send_raw(&[0, 0, 0, 2, 0xff, 0xff]).await;
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("undecodable", Sent::Maybe));
    assert!(!error.to_string().contains("hook"), "{error}");

    let lost = call(&client, "lost");
    drop(peer);
    let error = failure(lost).await.to_string();
    assert!(error.ends_with("[not sent: the hook did not run]"), "{error}");
    for error in [
        client.connect(CallOptions::new()).await.unwrap_err(),
        client.plugin_config("Guard", CallOptions::new()).await.unwrap_err(),
        client.plugin_configs(CallOptions::new()).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No));
        assert!(!error.to_string().contains("hook"), "{error}");
    }
    client.stop(Instant::now() + SECOND);
    let error = client.connect(CallOptions::new()).await.unwrap_err();
    assert!(error.to_string().ends_with("the handle was shut down"), "{error}");
}

/// It said "0 calls are waiting already; raise `queue_capacity`" to a call that had
/// chosen not to wait, and where no call may.
#[tokio::test(start_paused = true)]
async fn a_call_without_a_place_is_told_why_it_does_not_wait() {
    for (capacity, overload, expected) in [
        (
            1024,
            Overload::Refuse,
            "the only slot for a call is taken and the call chose not to wait; raise \
             `max_connections` or `max_in_flight`, send less, or let calls wait",
        ),
        (
            0,
            Overload::Wait,
            "the only slot for a call is taken and `queue_capacity` is 0, so no call may wait; \
             raise it, `max_connections` or `max_in_flight`, or send less",
        ),
        (
            1,
            Overload::Wait,
            "the only slot for a call is taken, and 1 call waits already; raise \
             `queue_capacity`, `max_connections` or `max_in_flight`, or send less",
        ),
    ] {
        let config = config(|c| c.max_in_flight(1).queue_capacity(capacity));
        let (client, mut server) = pair(&config, 4096);
        let _holder = call(&client, "holder");
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.unwrap(), "holder");
        let _waits = call(&client, "waits");
        settle().await;
        let options = CallOptions::new().overload(overload);
        let error = failure(call_with(&client, "m", 0, options)).await;
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Overloaded, Sent::No));
        assert_eq!(error.cause().to_string(), expected);
    }
}

/// "no reply within 30s (waiting to be sent)" left everybody in the dark where the
/// socket could not be connected to.
#[tokio::test(start_paused = true)]
async fn a_call_that_expires_without_a_connection_says_why_there_is_none() {
    for (door, reason) in
        [(Door::Refused, "connection refused"), (Door::Busy, "operation would block")]
    {
        let config = config(|c| c.timeout(SECOND).reconnect_attempts(100_000));
        let (client, server) = pair(&config, 4096);
        server.set(door);
        let error = failure(call(&client, "m")).await;
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::No));
        let expected = format!("no reply within 1s (waiting to be sent; not connected: {reason})");
        assert_eq!(error.cause().to_string(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_expires_in_the_queue_of_an_open_connection_blames_no_earlier_error() {
    let config = config(|c| c.timeout(SECOND).stall_limit(60 * SECOND));
    let (client, mut server) = pair(&config, 4096);
    server.set(Door::Busy);
    let late = call(&client, "late");
    settle().await;
    server.set(Door::Open);
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "late");
    assert_eq!(
        failure(late).await.cause().to_string(),
        "no reply within 1s (waiting for the plugin's reply)"
    );
    assert_eq!(
        failure(call(&client, "behind")).await.cause().to_string(),
        "no reply within 1s (waiting to be sent)"
    );
}

/// Its source was printed by `Display` as well, so whoever prints the chain of an error
/// (anyhow does) had everything twice.
#[tokio::test(start_paused = true)]
async fn an_error_says_everything_once_and_in_grammatical_words() {
    for (attempts, words) in [(1, "1 attempt failed"), (2, "2 attempts in a row failed")] {
        let config = config(|c| c.reconnect_attempts(attempts));
        let (client, server) = pair(&config, 4096);
        server.set(Door::Refused);
        let error = failure(call(&client, "m")).await;
        let expected = format!("cannot connect ({words}): connection refused; ");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(std::error::Error::source(&error).is_none());
        assert!(std::error::Error::source(error.cause()).is_none());
    }
}
