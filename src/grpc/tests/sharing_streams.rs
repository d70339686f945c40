//! One number of streams for all plugins that share a connection.

use std::sync::atomic::Ordering::SeqCst;

use super::fake::Do;
use super::sharing::{Crowd, begin};
use super::*;

/// A server that takes so many streams at a time, connected to by as many plugins, whose calls
/// it leaves without an answer from now on.
async fn stalling(plugins: usize, max_streams: u32) -> Crowd {
    let mut crowd = Crowd::new(plugins, 1);
    crowd.servers[0].max_streams(max_streams);
    crowd.call_all().await;
    settle().await;
    crowd.servers[0].does(Do::Stall);
    crowd.servers[0].calls();
    crowd
}

type Call = JoinHandle<Result<Reply, Box<Failure>>>;

fn calls(crowd: &Crowd, plugin: usize, count: usize) -> Vec<Call> {
    (0..count).map(|_| begin(&crowd.plugins[plugin], "a")).collect()
}

fn waiting(crowd: &Crowd, plugin: usize) -> usize {
    crowd.plugins[plugin].shared().lock().admission.waiting()
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_inside_the_connection_whoever_has_its_streams() {
    let mut crowd = stalling(10, 4).await;
    let calls: Vec<_> = (0..10).flat_map(|plugin| calls(&crowd, plugin, 3)).collect();
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 4);
    let queued: usize = (0..10).map(|plugin| waiting(&crowd, plugin)).sum();
    assert_eq!(queued, 26);
    // As those leave who have them, all others come to one.
    crowd.servers[0].does(Do::Echo);
    let (stalled, queued): (Vec<_>, Vec<_>) =
        calls.into_iter().enumerate().partition(|(at, _)| *at < 4);
    stalled.iter().for_each(|(_, call)| call.abort());
    let mut answered = 0;
    for (_, call) in queued {
        answered += usize::from(call.await.unwrap().is_ok());
    }
    assert!(answered >= 22, "{answered}");
    assert_eq!(crowd.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_whose_hooks_hang_leaves_the_others_half_of_the_streams() {
    let mut crowd = stalling(2, 10).await;
    let _hang = calls(&crowd, 0, 50);
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 5);
    crowd.servers[0].does(Do::Echo);
    for call in calls(&crowd, 1, 50) {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_alone_has_all_streams() {
    let mut crowd = stalling(1, 10).await;
    let _calls = calls(&crowd, 0, 50);
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 10);
}

#[tokio::test(start_paused = true)]
async fn plugins_that_wait_for_streams_get_them_in_turn() {
    let mut crowd = stalling(3, 2).await;
    // Two plugins have one each, and more calls that wait; the third comes last.
    let first = calls(&crowd, 0, 1);
    let second = calls(&crowd, 1, 1);
    settle().await;
    let _queued: Vec<_> = (0..2).flat_map(|plugin| calls(&crowd, plugin, 20)).collect();
    settle().await;
    let third = calls(&crowd, 2, 20);
    settle().await;
    assert_eq!((crowd.servers[0].calls(), waiting(&crowd, 2)), (2, 20));
    // Of the first streams that come free, one is the third's.
    first[0].abort();
    second[0].abort();
    settle().await;
    assert_eq!((crowd.servers[0].calls(), waiting(&crowd, 2)), (2, 19));
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_server_all_of_whose_streams_are_taken_is_not_asked_and_not_given_up() {
    let mut crowd = stalling(3, 2).await;
    let calls: Vec<_> = (0..2)
        .map(|plugin| {
            let plugin = Arc::clone(&crowd.plugins[plugin]);
            let long = hook("a", Duration::from_secs(200));
            tokio::spawn(async move { plugin.exchange(long).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!((crowd.connects(), crowd.servers[0].calls()), (1, 2));
    assert!(!calls.iter().any(JoinHandle::is_finished));
    assert_eq!(crowd.servers[0].inner.checks.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_will_not_wait_is_refused_where_others_have_all_streams() {
    let crowd = stalling(3, 2).await;
    let _calls: Vec<_> = (0..2).flat_map(|plugin| calls(&crowd, plugin, 1)).collect();
    settle().await;
    let request = Outbound { may_wait: false, ..hook("b", TIMEOUT) };
    let (cause, sent) = failed(crowd.plugins[2].exchange(request).await);
    assert!(matches!(cause, Cause::Overloaded { queue_capacity: None, .. }), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_leaves_while_it_waits_for_a_stream_hands_it_on() {
    let mut crowd = stalling(4, 2).await;
    let have: Vec<_> = (0..2).flat_map(|plugin| calls(&crowd, plugin, 1)).collect();
    settle().await;
    let leaves = calls(&crowd, 2, 1);
    settle().await;
    let waits = calls(&crowd, 3, 1);
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 2);
    leaves[0].abort();
    crowd.plugins[2].stop(Instant::now());
    settle().await;
    crowd.servers[0].does(Do::Echo);
    have[0].abort();
    for call in waits {
        call.await.unwrap().unwrap();
    }
    assert!(!have[1].is_finished());
}
