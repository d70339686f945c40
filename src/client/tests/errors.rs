//! What errors tell a person: the reason, the right advice, and nothing beside the point.

use std::time::Duration;

use tokio::time::Instant;

use super::pipe::{Door, call, config, failure, pair};
use crate::error::{ErrorKind, Sent};

const SECOND: Duration = Duration::from_secs(1);

/// Every error ended in "the hook did not run" or "the hook may have run", those of
/// `connect` and of questions too, which run no hook.
#[tokio::test(start_paused = true)]
async fn only_the_error_of_a_hook_call_says_whether_the_hook_ran() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(1)), 4096);
    let asking = tokio::spawn({
        let client = std::sync::Arc::clone(&client);
        async move { client.plugin_config("Guard").await }
    });
    let mut peer = server.accept().await;
    peer.probe().await;
    server.set(Door::Refused);
    peer.send_raw(&[0, 0, 0, 2, 0xff, 0xff]).await;
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.was_sent()), (ErrorKind::Undecodable, Sent::Maybe));
    assert!(!error.to_string().contains("hook"), "{error}");

    let lost = call(&client, "lost");
    drop(peer);
    let error = failure(lost).await.to_string();
    assert!(error.ends_with("[not sent: the hook did not run]"), "{error}");
    for error in [
        client.connect().await.unwrap_err(),
        client.plugin_config("Guard").await.unwrap_err(),
        client.plugin_configs().await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.was_sent()), (ErrorKind::Unavailable, Sent::No));
        assert!(!error.to_string().contains("hook"), "{error}");
    }
    client.stop(Instant::now() + SECOND);
    let error = client.connect().await.unwrap_err();
    assert!(error.to_string().ends_with("the handle was shut down"), "{error}");
}
