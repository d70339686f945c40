//! How often the kernel is asked, which is what a call costs most.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::advance;

use super::pipe::{PLUGIN, answer, call, call_sized, config, framed, pair, reply, settle};

/// A connected client, its server, and the other end of the connection.
macro_rules! connected {
    ($client:ident, $server:ident, $peer:ident) => {
        let ($client, mut $server) = pair(&config(|c| c.max_in_flight(64)), 1 << 22);
        let first = call(&$client, "first");
        let mut $peer = $server.accept().await;
        assert_eq!($peer.request().await.unwrap(), "first");
        $peer.reply("first").await;
        assert_eq!(answer(first).await, "first");
        settle().await;
    };
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_requests_is_one_write_and_a_batch_of_replies_one_read() {
    connected!(client, server, peer);
    let (reads, writes) = (server.calls.reads.load(SeqCst), server.calls.writes.load(SeqCst));
    let calls: Vec<_> = (0..64).map(|i| call(&client, &i.to_string())).collect();
    settle().await;
    assert_eq!(server.calls.writes.load(SeqCst) - writes, 1);

    let mut replies = Vec::new();
    for i in 0..64 {
        assert_eq!(peer.request().await.unwrap(), i.to_string());
        replies.extend_from_slice(&framed(&reply(PLUGIN, &i.to_string())));
    }
    assert!(replies.len() < 8192, "they fit into one read");
    peer.send_raw(&replies).await;
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
    assert_eq!(server.calls.reads.load(SeqCst) - reads, 1);
}

#[tokio::test(start_paused = true)]
async fn one_half_of_the_calls_is_with_the_server_while_the_others_callers_have_their_replies() {
    connected!(client, server, peer);
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let client = std::sync::Arc::clone(&client);
            tokio::spawn(async move {
                for i in 0..10 {
                    assert_eq!(answer(call(&client, &i.to_string())).await, i.to_string());
                }
            })
        })
        .collect();
    let mut batches = Vec::new();
    let mut left = 640;
    while left > 0 {
        let mut replies = Vec::new();
        let mut count = 0;
        let mut next = Some(peer.request().await.unwrap());
        while let Some(marker) = next {
            replies.extend_from_slice(&framed(&reply(PLUGIN, &marker)));
            count += 1;
            next = peer.request().now_or_never().flatten();
        }
        peer.send_raw(&replies).await;
        batches.push(count);
        left -= count;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    // All of them begin at once.
    assert_eq!(batches[0], 64);
    assert!(batches[1..].iter().all(|&count| count == 32), "{batches:?}");
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_one_write_too() {
    connected!(client, server, peer);
    let writes = server.calls.writes.load(SeqCst);
    let large = call_sized(&client, "large", 1 << 20);
    assert_eq!(peer.request().await.unwrap(), "large");
    assert_eq!(server.calls.writes.load(SeqCst) - writes, 1);
    peer.reply("large").await;
    assert_eq!(answer(large).await, "large");
}

/// hyper #4085, #4143: an idle task burned the CPU.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_woken_to_tidy_up_and_to_close_and_for_nothing_else() {
    connected!(client, server, peer);
    let polls = server.calls.polls.load(SeqCst);
    for _ in 0..200 {
        advance(Duration::from_secs(1)).await;
        settle().await;
    }
    // Each wake-up looks at the socket once or twice: one after a second to give
    // memory back, one when the timer of the first call would have fired.
    let woken = server.calls.polls.load(SeqCst) - polls;
    assert!(woken <= 6, "{woken} polls of an idle connection");
    drop((client, peer));
}
