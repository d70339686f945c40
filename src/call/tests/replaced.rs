//! Another server takes the path over, or connections grow too old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::pipe::{
    Peer, Server, answer, assert_nothing_is_bound, call, call_sized, config, failure, pair, served,
    settle,
};
use crate::call::Caller;
use crate::error::{ErrorKind, Sent};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A plugin whose first server, number 1, has answered one call, with this much room in
/// its pipes.
async fn of_one(capacity: usize) -> (Arc<Caller>, Server, Peer) {
    let (client, mut server) = pair(&config(|c| c), capacity);
    server.leads_to(Some(1));
    let first = call(&client, "first");
    let old = served(&mut server, first, "first").await;
    (client, server, old)
}

#[tokio::test(start_paused = true)]
async fn h31_what_is_under_way_ends_on_the_old_server_and_what_comes_goes_to_the_new() {
    let (client, mut server, mut old) = of_one(4096).await;
    let under_way = call(&client, "under way");
    assert_eq!(old.request().await.unwrap(), "under way");
    server.leads_to(Some(2));
    sleep(SECOND).await;
    let next = call(&client, "next");
    settle().await;
    assert!(server.nobody_came(), "its one place is taken until the call is answered");
    old.reply("under way").await;
    assert_eq!(answer(under_way).await, "under way");
    let mut new = served(&mut server, next, "next").await;
    assert!(old.is_closed().await);
    let last = call(&client, "last");
    assert_eq!(new.request().await.unwrap(), "last");
    new.reply("last").await;
    answer(last).await;
    assert!(client.gate.is_closed());
    assert_eq!(client.stats().reconnects, 1);
    assert_nothing_is_bound(&client);
}

#[tokio::test(start_paused = true)]
async fn h31_half_a_second_after_the_switch_no_call_is_sent_to_the_old_server() {
    // The first call has looked at the path, at 0 ms.
    for (after, expected) in [(499, "old"), (500, "new"), (200_000, "new")] {
        let config = config(|c| c.idle_timeout(299 * SECOND));
        let (client, mut server) = pair(&config, 4096);
        server.leads_to(Some(1));
        let first = call(&client, "first");
        let mut old = served(&mut server, first, "first").await;
        server.leads_to(Some(2));
        sleep(MS * after).await;
        let next = call(&client, "next");
        let told = tokio::select! {
            request = old.request() => request.map_or("new", |_| "old"),
            _ = server.accept() => "new",
        };
        assert_eq!(told, expected, "{after} ms after the last look");
        next.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn h31_what_the_old_server_has_nothing_of_is_taken_back_for_the_new_one() {
    let (client, mut server, mut old) = of_one(64).await;
    // Larger than the pipe: half of it is written, and what is behind it not at all.
    let large = call_sized(&client, "large", 500);
    let behind: Vec<_> = (0..3).map(|i| call(&client, &i.to_string())).collect();
    settle().await;
    server.leads_to(Some(2));
    sleep(SECOND).await;
    let last = call(&client, "3");
    settle().await;
    assert_eq!(old.request().await.unwrap(), "large");
    old.reply("large").await;
    assert_eq!(answer(large).await, "large");
    assert_eq!(old.request().await, None, "nothing else was sent to it");
    tokio::spawn(server.accept().await.serve());
    for (i, call) in behind.into_iter().chain([last]).enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn h31_calls_that_wait_for_a_place_go_to_the_new_server_though_nobody_calls_any_more() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(1)), 4096);
    server.leads_to(Some(1));
    let first = call(&client, "first");
    let waiting = call(&client, "waiting");
    let mut old = server.accept().await;
    assert_eq!(old.request().await.unwrap(), "first");
    server.leads_to(Some(2));
    sleep(SECOND).await;
    old.reply("first").await;
    answer(first).await;
    served(&mut server, waiting, "waiting").await;
}

#[tokio::test(start_paused = true)]
async fn h31_if_the_path_is_only_gone_connections_stay() {
    let (client, server, mut old) = of_one(4096).await;
    server.leads_to(None);
    for _ in 0..5 {
        sleep(SECOND).await;
        let next = call(&client, "next");
        assert_eq!(old.request().await.unwrap(), "next");
        old.reply("next").await;
        answer(next).await;
    }
    assert_eq!(server.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn h31_the_path_of_a_plugin_in_use_is_looked_at_twice_a_second_and_of_an_idle_one_never() {
    let (client, server, old) = of_one(4096).await;
    tokio::spawn(old.serve());
    let (started, looked) = (Instant::now(), server.looks());
    while started.elapsed() < 10 * SECOND {
        answer(call(&client, "m")).await;
        sleep(3 * MS).await;
    }
    let looks = server.looks() - looked;
    assert!((19..=20).contains(&looks), "{looks} looks in 10 s");
    let looked = server.looks();
    sleep(3_600 * SECOND).await;
    assert_eq!(server.looks(), looked);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_old_server_costs_its_calls_what_any_end_does() {
    let (client, mut server, mut old) = of_one(4096).await;
    let (lost, behind) = (call(&client, "lost"), call(&client, "behind"));
    assert_eq!(old.request().await.unwrap(), "lost");
    server.leads_to(Some(2));
    sleep(SECOND).await;
    let next = call(&client, "next");
    settle().await;
    drop(old);
    for (call, sent) in [(lost, Sent::Maybe), (behind, Sent::Unstarted)] {
        let error = failure(call).await;
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, sent));
    }
    served(&mut server, next, "next").await;
}

#[tokio::test(start_paused = true)]
async fn h31_a_connection_that_is_too_old_takes_no_more_calls_and_ends_after_its_own() {
    let (client, mut server) = pair(&config(|c| c.max_connection_age(Some(3 * SECOND))), 4096);
    let first = call(&client, "first");
    let mut old = served(&mut server, first, "first").await;
    sleep(2 * SECOND).await;
    let slow = call(&client, "slow");
    assert_eq!(old.request().await.unwrap(), "slow", "it is not too old yet");
    sleep(2 * SECOND).await;
    let next = call(&client, "next");
    settle().await;
    old.reply("slow").await;
    assert_eq!(answer(slow).await, "slow");
    assert!(old.is_closed().await, "and has nothing of the next call");
    served(&mut server, next, "next").await;
    assert_nothing_is_bound(&client);
}

#[tokio::test(start_paused = true)]
async fn an_unused_connection_that_is_too_old_ends_without_a_call() {
    let config = config(|c| c.idle_timeout(60 * SECOND).max_connection_age(Some(3 * SECOND)));
    let (client, mut server) = pair(&config, 4096);
    let first = call(&client, "first");
    let mut old = served(&mut server, first, "first").await;
    let started = Instant::now();
    assert!(old.is_closed().await);
    let age = started.elapsed();
    assert!(age > 2 * SECOND && age <= 3 * SECOND + MS, "{age:?}");
}
