//! Probes on idle connections.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::time::{Instant, sleep};

use super::knobs::Knobs;
use super::pipe::{
    Door, PLUGIN, Peer, Server, answer, assert_nothing_is_bound, call, call_with, config, failure,
    pair, reply, settle,
};
use crate::breaker::BreakerState;
use crate::call::Caller;
use crate::error::ErrorKind;
use crate::options::{CallOptions, Overload};
use crate::unix::reconnect::ConnectionState;
use crate::wire::proto;

const SECOND: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(10);

/// A connection that has had one call, and probes.
async fn idle(change: impl FnOnce(Knobs) -> Knobs) -> (std::sync::Arc<Caller>, Server, Peer) {
    let longer = |c: Knobs| c.idle_timeout(240 * SECOND).keep_alive(Some(EVERY));
    let config = config(|c| change(longer(c).stall_limit(2 * SECOND)));
    let (client, mut server) = pair(&config, 4096);
    let first = call(&client, "first");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "first");
    peer.reply("first").await;
    assert_eq!(answer(first).await, "first");
    (client, server, peer)
}

fn found() -> Bytes {
    let config = Some(prost_types::Struct::default());
    proto::GetPluginConfigResponse { found: true, config }.encode_to_vec().into()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_probed_and_its_replies_go_to_nobody() {
    let (client, server, mut peer) = idle(|c| c).await;
    let mut server = server;
    let started = Instant::now();
    // Known to the server or not: an answer is an answer.
    for (round, reply) in (1..).zip([found(), Bytes::new(), found()]) {
        peer.probe().await;
        assert_eq!(started.elapsed().as_secs(), round * EVERY.as_secs());
        peer.send(reply).await;
        settle().await;
        let stats = client.stats();
        assert_eq!((stats.in_flight, stats.queued, stats.abandoned), (0, 0, 0));
        assert_nothing_is_bound(&client);
    }
    let next = call(&client, "next");
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
    assert!(server.nobody_came());
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_not_probed() {
    let (client, _server, mut peer) = idle(|c| c).await;
    for i in 0..20 {
        sleep(EVERY - SECOND).await;
        let busy = call(&client, &i.to_string());
        assert_eq!(peer.request().await.unwrap(), i.to_string());
        peer.reply(&i.to_string()).await;
        assert_eq!(answer(busy).await, i.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn probes_are_no_use_of_a_connection_and_it_still_idles_out() {
    let (client, _server, mut peer) = idle(|c| c.idle_timeout(3 * EVERY)).await;
    let started = Instant::now();
    for _ in 0..2 {
        peer.probe().await;
        peer.send(found()).await;
    }
    assert!(peer.is_closed().await);
    assert_eq!(started.elapsed().as_secs(), 3 * EVERY.as_secs());
    assert_eq!(client.plugin.state(), ConnectionState::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_hung_server_is_found_before_a_call_and_says_nothing_of_its_hooks() {
    let (client, mut server, mut hung) = idle(|c| c.breaker_threshold(1)).await;
    let started = Instant::now();
    hung.probe().await;
    assert!(hung.is_closed().await);
    assert_eq!(started.elapsed().as_secs(), (EVERY + 2 * SECOND).as_secs());
    assert_eq!(client.gate.state(), BreakerState::Closed);
    // Nobody called, and nobody has lost anything.
    assert_nothing_is_bound(&client);
    let next = call(&client, "next");
    tokio::spawn(server.accept().await.serve());
    assert_eq!(answer(next).await, "next");
}

/// A probe must not cost a call anything that it would not have lost without it.
#[tokio::test(start_paused = true)]
async fn a_call_is_not_sent_behind_a_probe_and_takes_the_next_connection_if_it_fails() {
    let (client, mut server, mut hung) = idle(|c| c).await;
    hung.probe().await;
    let waits = call(&client, "waits");
    assert!(hung.is_closed().await, "and no call was on it");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "waits");
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_meets_a_probe_is_sent_as_soon_as_that_is_answered() {
    let (client, _server, mut peer) = idle(|c| c).await;
    peer.probe().await;
    let waits = call(&client, "waits");
    settle().await;
    let started = Instant::now();
    peer.send(found()).await;
    assert_eq!(peer.request().await.unwrap(), "waits");
    assert_eq!(started.elapsed(), Duration::ZERO);
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_meets_a_probe_takes_another_connection_if_there_may_be_one() {
    let (client, mut server, mut peer) = idle(|c| c.max_connections(2)).await;
    peer.probe().await;
    let other = call(&client, "other");
    tokio::spawn(server.accept().await.serve());
    assert_eq!(answer(other).await, "other");
}

/// The reply of a hook where the answer to a probe is due: the order is lost, so
/// nothing that comes over this connection can be trusted any more.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_no_answer_to_a_probe_ends_the_connection() {
    for wrong in [reply(PLUGIN, "of a hook"), Bytes::from_static(&[0xff; 9])] {
        let (client, mut server, mut peer) = idle(|c| c).await;
        peer.probe().await;
        peer.send(wrong).await;
        assert!(peer.is_closed().await);
        let next = call(&client, "next");
        tokio::spawn(server.accept().await.serve());
        assert_eq!(answer(next).await, "next");
    }
}

#[tokio::test(start_paused = true)]
async fn two_replies_to_one_probe_end_the_connection() {
    let (_client, _server, mut peer) = idle(|c| c).await;
    peer.probe().await;
    peer.send(found()).await;
    peer.send(found()).await;
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_probe_keeps_nobody_from_shutting_down_and_holds_nothing_open() {
    let (client, _server, mut peer) = idle(|c| c).await;
    peer.probe().await;
    let started = Instant::now();
    client.stop(started + 60 * SECOND);
    client.stopped().await;
    assert_eq!(started.elapsed(), Duration::ZERO);

    let (client, _server, mut peer) = idle(|c| c).await;
    peer.probe().await;
    drop(client);
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_probe_takes_no_place_that_a_call_needs() {
    let (client, mut server, mut peer) =
        idle(|c| c.max_connections(2).max_in_flight(1).queue_capacity(0)).await;
    // Both places are taken, one of them by the probe: the connection is busy.
    peer.probe().await;
    let refuse = CallOptions::new().overload(Overload::Refuse);
    let first = call_with(&client, "first", 0, refuse);
    let mut other = server.accept().await;
    assert_eq!(other.request().await.unwrap(), "first");
    let second = call_with(&client, "second", 0, refuse);
    assert_eq!(failure(second).await.kind(), ErrorKind::Overloaded);
    peer.send(found()).await;
    settle().await;
    let third = call_with(&client, "third", 0, refuse);
    assert_eq!(peer.request().await.unwrap(), "third");
    peer.reply("third").await;
    assert_eq!(answer(third).await, "third");
    other.reply("first").await;
    assert_eq!(answer(first).await, "first");
}

/// One attempt to open another connection failed, and the plugin was taken for down although
/// it was just about to answer.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_being_probed_is_not_down_though_no_other_connection_can_be_made() {
    let (client, server, mut peer) = idle(|c| c.max_connections(2).reconnect_attempts(1)).await;
    peer.probe().await;
    server.set(Door::Refused);
    let next = call(&client, "next");
    settle().await;
    assert_eq!(server.attempts(), 2);
    assert_eq!(client.gate.state(), BreakerState::Closed);
    peer.send(found()).await;
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
}
