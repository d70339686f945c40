//! Several connections for one plugin, and how calls spread over them.

use std::time::Duration;

use tokio::time::timeout;

use super::pipe::{
    Door, Peer, answer, assert_nothing_is_bound, call, call_with, config, failure, pair, settle,
};
use crate::error::ErrorKind;
use crate::options::{CallOptions, Overload};
use crate::unix::reconnect::ConnectionState;

#[tokio::test(start_paused = true)]
async fn one_caller_after_the_other_uses_one_connection() {
    let (client, mut server) = pair(&config(|c| c.max_connections(8)), 4096);
    let first = call(&client, "first");
    tokio::spawn(server.accept().await.serve());
    answer(first).await;
    for _ in 0..20 {
        answer(call(&client, "next")).await;
    }
    assert!(server.nobody_came());
}

/// Sixty-four callers of a plugin that takes ten milliseconds: side by side, not in line.
#[tokio::test(start_paused = true)]
async fn callers_of_a_slow_plugin_get_a_connection_each() {
    let (client, mut server) = pair(&config(|c| c.max_connections(64).max_in_flight(4)), 4096);
    let serving = tokio::spawn(async move {
        let mut peers = 0;
        loop {
            let mut peer: Peer = server.accept().await;
            peers += 1;
            tokio::spawn(async move {
                while let Some(marker) = peer.request().await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    peer.reply(&marker).await;
                }
            });
            if peers == 64 {
                return peers;
            }
        }
    });
    let started = tokio::time::Instant::now();
    for _ in 0..10 {
        let calls: Vec<_> = (0..64).map(|i| call(&client, &i.to_string())).collect();
        for (i, call) in calls.into_iter().enumerate() {
            assert_eq!(answer(call).await, i.to_string());
        }
    }
    assert_eq!(serving.await.unwrap(), 64);
    // Ten rounds of ten milliseconds, and the first one's start.
    assert!(started.elapsed() < Duration::from_millis(150), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_connections_than_allowed_and_no_more_in_flight_on_each() {
    let config = config(|c| c.max_connections(2).max_in_flight(3).queue_capacity(100));
    let (client, mut server) = pair(&config, 1 << 16);
    let first = call(&client, "first");
    let mut peers = vec![server.accept().await];
    assert_eq!(peers[0].request().await.unwrap(), "first");
    let rest: Vec<_> = (0..20).map(|i| call(&client, &i.to_string())).collect();
    peers.push(server.accept().await);
    settle().await;
    assert!(server.nobody_came());
    let stats = client.stats();
    assert_eq!(stats.connections.iter().map(|c| c.in_flight).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(stats.waiting, 15);
    let mut first_peer = peers.remove(0);
    first_peer.reply("first").await;
    tokio::spawn(first_peer.serve());
    tokio::spawn(peers.remove(0).serve());
    answer(first).await;
    for (i, call) in rest.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_is_left_alone_while_another_can_be_had() {
    let config = config(|c| c.max_connections(2).stall_limit(Duration::from_secs(60)));
    let (client, mut server) = pair(&config, 4096);
    let options = CallOptions::new().timeout(Duration::from_secs(1));
    let stuck = call_with(&client, "stuck", 0, options);
    let mut stuck_peer = server.accept().await;
    assert_eq!(stuck_peer.request().await.unwrap(), "stuck");
    assert_eq!(failure(stuck).await.kind(), ErrorKind::Timeout);
    let next: Vec<_> = (0..5).map(|i| call(&client, &i.to_string())).collect();
    tokio::spawn(server.accept().await.serve());
    for (i, call) in next.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_plugin_is_down_one_connection_tries_for_all() {
    let (client, server) = pair(&config(|c| c.max_connections(16).reconnect_attempts(3)), 4096);
    server.set(super::pipe::Door::Refused);
    let calls: Vec<_> = (0..100).map(|i| call(&client, &i.to_string())).collect();
    for call in calls {
        assert_eq!(failure(call).await.kind(), ErrorKind::Unavailable);
    }
    assert_eq!(server.attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn when_one_of_several_connections_breaks_the_others_go_on() {
    let (client, mut server) = pair(&config(|c| c.max_connections(2)), 4096);
    let first = call(&client, "first");
    let mut broken = server.accept().await;
    assert_eq!(broken.request().await.unwrap(), "first");
    let second = call(&client, "second");
    let mut good = server.accept().await;
    assert_eq!(good.request().await.unwrap(), "second");
    drop(broken);
    assert_eq!(failure(first).await.kind(), ErrorKind::Disconnected);
    good.reply("second").await;
    assert_eq!(answer(second).await, "second");
    tokio::spawn(good.serve());
    assert_eq!(answer(call(&client, "third")).await, "third");
    assert_eq!(client.plugin.state(), ConnectionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn every_place_is_given_back_whatever_becomes_of_the_calls() {
    let config = config(|c| c.max_connections(2).max_in_flight(2).queue_capacity(0));
    let (client, mut server) = pair(&config, 4096);
    for round in 0..20 {
        let options = CallOptions::new().timeout(Duration::from_secs(1));
        let calls: Vec<_> =
            (0..6).map(|i| call_with(&client, &i.to_string(), 0, options)).collect();
        settle().await;
        match round % 3 {
            0 => calls.iter().for_each(|call| call.abort()),
            1 => tokio::time::sleep(Duration::from_secs(5)).await,
            _ => drop(server.accept().await),
        }
        for call in calls {
            let _ = call.await;
        }
        // Whatever was accepted is closed: what hangs on it comes back.
        while !server.nobody_came() {
            drop(server.accept().await);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_nothing_is_bound(&client);
    let refuse = CallOptions::new().overload(Overload::Refuse);
    let last = call_with(&client, "last", 0, refuse);
    tokio::spawn(async move {
        loop {
            tokio::spawn(server.accept().await.serve());
        }
    });
    assert_eq!(answer(last).await, "last");
}

/// What the failed attempt handed back could never leave the first connection again.
// Promise: R5
#[tokio::test(start_paused = true)]
async fn what_waited_through_a_failed_attempt_spreads_over_all_connections() {
    let (client, mut server) = pair(&config(|c| c.max_connections(4)), 4096);
    server.set(Door::Refused);
    let calls: Vec<_> = (0..4).map(|i| call(&client, &i.to_string())).collect();
    settle().await;
    assert_eq!(server.attempts(), 1);
    server.set(Door::Open);
    let mut peers = Vec::new();
    for _ in 0..4 {
        let accepted = timeout(Duration::from_secs(1), server.accept()).await;
        let mut peer = accepted.expect("a connection for each call");
        let marker = peer.request().await.unwrap();
        peers.push((peer, marker));
    }
    for (peer, marker) in &mut peers {
        peer.reply(marker).await;
    }
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

// Promise: R5
#[tokio::test(start_paused = true)]
async fn while_no_connection_is_open_only_one_of_them_tries() {
    let config = config(|c| {
        c.max_connections(4)
            .timeout(Duration::from_secs(60))
            .connect_timeout(Duration::from_secs(1))
            .reconnect_attempts(1_000_000)
            .max_backoff(Duration::from_millis(100))
    });
    let (client, mut server) = pair(&config, 4096);
    let first = call(&client, "first");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "first");
    // The others come to connections that are not open yet.
    server.set(Door::Silent);
    let calls: Vec<_> = (0..3).map(|i| call(&client, &i.to_string())).collect();
    settle().await;
    assert_eq!(server.attempts(), 4);
    drop(peer);
    failure(first).await;
    server.set(Door::Refused);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = server.attempts();
    tokio::time::sleep(Duration::from_secs(10)).await;
    // One every 50 ms on average, as of one connection.
    let attempts = server.attempts() - before;
    assert!((100..300).contains(&attempts), "{attempts}");
    server.set(Door::Open);
    tokio::spawn(async move {
        loop {
            tokio::spawn(server.accept().await.serve());
        }
    });
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

/// Nobody told it that there was one again.
#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_stalled_connection_takes_one_that_can_be_opened_again() {
    const LONG: Duration = Duration::from_secs(60);
    let config = config(|c| {
        c.max_connections(2)
            .timeout(LONG)
            .stall_limit(LONG)
            .reconnect_delay(Duration::from_secs(10))
            .max_backoff(Duration::from_secs(10))
    });
    let (client, mut server) = pair(&config, 4096);
    let soon = CallOptions::new().timeout(Duration::from_millis(100));
    let stalls = call_with(&client, "stalls", 0, soon);
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "stalls");
    server.set(Door::Refused);
    let _behind = call(&client, "behind");
    assert_eq!(peer.request().await.unwrap(), "behind");
    failure(stalls).await;
    server.set(Door::Open);
    let waits = call(&client, "waits");
    let accepted = timeout(Duration::from_secs(11), server.accept()).await;
    tokio::spawn(accepted.expect("a second connection").serve());
    assert_eq!(answer(waits).await, "waits");
}

// Promise: R5
#[tokio::test(start_paused = true)]
async fn beside_a_stalled_connection_one_call_does_not_try_all_the_others() {
    let config = config(|c| c.max_connections(8).stall_limit(Duration::from_secs(60)));
    let (client, mut server) = pair(&config, 4096);
    let soon = CallOptions::new().timeout(Duration::from_millis(100));
    let stalls = call_with(&client, "stalls", 0, soon);
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "stalls");
    failure(stalls).await;
    server.set(Door::Refused);
    let call = call_with(&client, "one", 0, soon);
    settle().await;
    assert!(server.attempts() <= 3, "{}", server.attempts());
    failure(call).await;
}

#[tokio::test(start_paused = true)]
async fn each_connection_tells_its_own_state_and_all_their_end() {
    let (client, mut server) = pair(&config(|c| c.max_connections(2)), 4096);
    let states = || -> Vec<_> {
        client.stats().connections.iter().map(|connection| connection.state).collect()
    };
    let peer = super::pipe::served(&mut server, call(&client, "one"), "one").await;
    settle().await;
    assert_eq!(states(), [ConnectionState::Ready, ConnectionState::Idle]);
    client.plugin.stop(tokio::time::Instant::now());
    settle().await;
    assert_eq!(states(), [ConnectionState::Shutdown; 2]);
    drop(peer);
}
