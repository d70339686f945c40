//! Replies that are not what was asked for.

use std::sync::Arc;

use prost::Message as _;

use super::pipe::{
    PLUGIN, answer, answer_of, burst, call, call_here, config, failure, framed, pair, reply,
    response, settle,
};
use crate::call::Caller;
use crate::error::{ErrorKind, Sent};
use crate::options::CallOptions;
use crate::wire::proto;

/// Sends `bad` as the reply to the first of two calls, and returns how the first
/// failed; the connection must be closed and the second call must not get it.
async fn first_reply(bad: &[u8]) -> &'static str {
    let (client, mut server) = pair(&config(|c| c), 1 << 16);
    let [hit, behind] = ["hit", "behind"].map(|marker| call(&client, marker));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "hit");
    assert_eq!(peer.request().await.unwrap(), "behind");
    peer.send(bad.to_vec().into()).await;
    let error = failure(hit).await;
    assert_eq!(error.sent(), Sent::Maybe);
    assert!(peer.is_closed().await, "the connection is still there");
    let other = failure(behind).await;
    assert_eq!((other.kind(), other.sent()), (ErrorKind::Disconnected, Sent::Maybe));

    // The handle heals itself.
    let next = call(&client, "next");
    tokio::spawn(server.accept().await.serve());
    assert_eq!(answer(next).await, "next");
    error.reason()
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_plugin_is_a_mismatch() {
    assert_eq!(first_reply(&reply("Other", "hit")).await, "mismatch");
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_the_context_of_another_request_is_a_mismatch() {
    let global =
        proto::GlobalContext { request_id: "another request".into(), ..Default::default() };
    let context = proto::PluginContext { global_context: Some(global), ..Default::default() };
    let bad = proto::InvokeHookResponse { context: Some(context), ..response(PLUGIN, "hit") };
    assert_eq!(first_reply(&bad.encode_to_vec()).await, "mismatch");
}

/// The reference client took this for a result that allows.
#[tokio::test(start_paused = true)]
async fn a_late_configuration_is_never_taken_for_a_result() {
    let config = prost_types::Struct { fields: response(PLUGIN, "x").result.unwrap().fields };
    let late = proto::GetPluginConfigResponse { found: true, config: Some(config) };
    assert_eq!(first_reply(&late.encode_to_vec()).await, "undecodable");
}

#[tokio::test(start_paused = true)]
async fn a_result_without_a_verdict_is_no_result() {
    let mut bad = response(PLUGIN, "hit");
    bad.result.as_mut().unwrap().fields.remove("continue_processing");
    assert_eq!(first_reply(&bad.encode_to_vec()).await, "undecodable");
}

#[tokio::test(start_paused = true)]
async fn an_empty_reply_is_an_error() {
    assert_eq!(first_reply(&[]).await, "empty_reply");
}

#[tokio::test(start_paused = true)]
async fn garbage_is_undecodable() {
    assert_eq!(first_reply(&[0xff; 40]).await, "undecodable");
}

#[tokio::test(start_paused = true)]
async fn an_oversize_length_ends_the_connection() {
    let (client, mut server) = pair(&config(|c| c.max_frame_len(4096)), 1 << 16);
    let hit = call(&client, "hit");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "hit");
    peer.send_raw(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]).await;
    let error = failure(hit).await;
    assert_eq!((error.reason(), error.sent()), ("framing", Sent::Maybe));
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_ends_at_any_byte_ends_the_connection() {
    let whole = framed(&reply(PLUGIN, "hit"));
    for cut in 1..whole.len() {
        let (client, mut server) = pair(&config(|c| c), 1 << 16);
        let hit = call(&client, "hit");
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.unwrap(), "hit");
        peer.send_raw(&whole[..cut]).await;
        drop(peer);
        let error = failure(hit).await;
        assert_eq!((error.reason(), error.sent()), ("framing", Sent::Maybe), "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_pieces_is_put_together() {
    let (client, mut server) = pair(&config(|c| c), 1 << 16);
    let slow = call(&client, "slow");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "slow");
    for byte in framed(&reply(PLUGIN, "slow")) {
        peer.send_raw(&[byte]).await;
        settle().await;
    }
    assert_eq!(answer(slow).await, "slow");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_nobody_asked_for_ends_an_idle_connection() {
    let (client, mut server) = pair(&config(|c| c), 1 << 16);
    let first = call(&client, "first");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "first");
    peer.reply("first").await;
    peer.reply("first").await;
    assert_eq!(answer(first).await, "first");
    assert!(peer.is_closed().await);
    let second = call(&client, "second");
    tokio::spawn(server.accept().await.serve());
    assert_eq!(answer(second).await, "second");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_before_its_request_has_left_ends_the_connection() {
    let (client, mut server) = pair(&config(|c| c), 64);
    let first = super::pipe::call_sized(&client, "first", 5000);
    let mut peer = server.accept().await;
    settle().await;
    peer.send_raw(&framed(&reply(PLUGIN, "early"))).await;
    let error = failure(first).await;
    assert_eq!((error.reason(), error.sent()), ("framing", Sent::Maybe));
}

/// 64 calls, all answered in one burst with `behind` it, ten of whose callers call
/// again at once. Those ten find another connection.
async fn ten_call_again_after_a_burst_with(behind: &[u8], closes: bool) {
    async fn ask(client: &Caller, marker: &str) -> String {
        answer_of(call_here(client, marker, 0, CallOptions::new()).await)
    }
    let (client, mut server) = pair(&config(|c| c.max_in_flight(64)), 1 << 16);
    let calls: Vec<_> = (0..64)
        .map(|i| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let marker = i.to_string();
                assert_eq!(ask(&client, &marker).await, marker);
                if i < 10 {
                    let marker = format!("again {i}");
                    assert_eq!(ask(&client, &marker).await, marker);
                }
            })
        })
        .collect();
    let mut peer = server.accept().await;
    let mut replies = burst(&mut peer, 64).await;
    replies.extend_from_slice(behind);
    peer.send_raw(&replies).await;
    if closes {
        peer.end_writing().await;
    }
    assert_eq!(peer.request().await, None, "nothing was written on this connection again");
    let serving = tokio::spawn(server.accept().await.serve());
    for call in calls {
        call.await.unwrap();
    }
    drop(client);
    serving.await.unwrap();
}

// Promise: H5
#[tokio::test(start_paused = true)]
async fn a_reply_too_many_behind_a_burst_is_not_the_answer_to_a_call_made_meanwhile() {
    ten_call_again_after_a_burst_with(&framed(&reply(PLUGIN, "surplus")), false).await;
}

// Promise: H4
#[tokio::test(start_paused = true)]
async fn an_end_behind_a_burst_is_noticed_before_another_call_is_written() {
    ten_call_again_after_a_burst_with(&[], true).await;
}
