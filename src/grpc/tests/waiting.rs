//! Calls for which there is no room.

use super::fake::{Do, Mode};
use super::*;
use crate::unix::reconnect::ConnectionState;

fn narrow(queue_capacity: usize) -> Bench {
    let settings = Settings { max_in_flight: 2, ..Settings::default() };
    let policy = CallPolicy::builder().queue_capacity(queue_capacity).build().unwrap();
    Bench::with(1, settings, policy)
}

#[tokio::test(start_paused = true)]
async fn no_server_has_more_calls_than_it_may_and_the_queue_has_a_bound() {
    let mut bench = narrow(1);
    bench.call("first").await.unwrap();
    bench.one().calls();
    bench.one().does(Do::Stall);
    let calls: Vec<_> = (0..3).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    settle().await;
    assert_eq!(bench.one().calls(), 2);
    let (cause, sent) = bench.failure("b").await;
    assert_eq!(
        cause.to_string(),
        "all 2 slots for calls are taken, and 1 call waits already; raise `queue_capacity` or \
         `max_in_flight`, or send less",
    );
    let Cause::Overloaded { places, waiting, queue_capacity, .. } = cause else { panic!() };
    assert_eq!((places, waiting, queue_capacity, sent), (2, 1, Some(1), Sent::No));
    // One who leaves makes room, in the queue and on the server.
    calls[2].abort();
    calls[0].abort();
    settle().await;
    bench.one().does(Do::Echo);
    assert_eq!(&bench.call("c").await.unwrap().message[..], b"c");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_will_not_wait_is_refused_at_once() {
    let mut bench = narrow(10);
    bench.call("first").await.unwrap();
    bench.one().does(Do::Stall);
    let _calls: Vec<_> = (0..2).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    settle().await;
    let request = Outbound { may_wait: false, ..hook("b", TIMEOUT) };
    let (cause, sent) = failed(bench.plugin.exchange(request).await);
    assert!(cause.to_string().contains("; raise `max_in_flight`, send less, or let"), "{cause}");
    assert!(matches!(cause, Cause::Overloaded { queue_capacity: None, .. }), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_their_order() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.call("first").await.unwrap();
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for call in 0..20 {
        let (plugin, done) = (Arc::clone(&bench.plugin), done.clone());
        tokio::spawn(async move {
            plugin.exchange(hook("a", TIMEOUT)).await.unwrap();
            done.send(call).unwrap();
        });
        tokio::task::yield_now().await;
    }
    for call in 0..20 {
        assert_eq!(order.recv().await, Some(call));
    }
    assert_eq!(bench.one().connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_fewer_streams_gets_fewer_calls() {
    let mut bench = Bench::new(1);
    bench.one().max_streams(3);
    bench.one().does(Do::Stall);
    let calls: Vec<_> = (0..5).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    while bench.plugin.state() != ConnectionState::Ready {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(bench.one().calls(), 3);
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn what_waits_while_a_connection_is_lost_goes_to_the_next_one() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.one().next(Do::Stall);
    let lost = bench.begin(hook("lost", TIMEOUT));
    bench.one().called().await;
    let waits = bench.begin(hook("waits", TIMEOUT));
    settle().await;
    bench.one().is(Mode::Down);
    let (cause, sent) = failed(lost.await.unwrap());
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    bench.one().is(Mode::Up);
    assert_eq!(&waits.await.unwrap().unwrap().message[..], b"waits");
}
