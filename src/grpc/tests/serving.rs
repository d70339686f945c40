//! Servers that say themselves that they are not serving.

use super::fake::Do;
use super::*;
use crate::unix::reconnect::ConnectionState;

const SECOND: Duration = Duration::from_secs(1);

fn says(serving: bool) -> Do {
    Do::Raw(vec![0, 0, 0, 0, 2, 8, if serving { 1 } else { 2 }])
}

/// Servers that are all connected to.
async fn ready(servers: usize) -> Bench {
    let mut bench = Bench::new(servers);
    bench.call("first").await.unwrap();
    for index in 0..servers {
        is(&bench, index, ConnectionState::Ready).await;
    }
    bench.servers.iter_mut().for_each(|server| {
        server.calls();
    });
    bench
}

async fn is(bench: &Bench, index: usize, state: ConnectionState) {
    while bench.plugin.shared().server(index).state() != state {
        tokio::time::sleep(SECOND / 100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_serving_gets_no_new_calls_and_those_under_way_go_on() {
    let mut bench = ready(2).await;
    bench.servers.iter().for_each(|server| server.does(Do::Stall));
    let calls: Vec<_> = (0..2).map(|_| bench.begin(hook("a", SECOND * 300))).collect();
    settle().await;
    bench.servers.iter().for_each(|server| server.does(Do::Echo));
    bench.servers[0].checks(says(false));
    is(&bench, 0, ConnectionState::TransientFailure).await;
    bench.servers[0].calls();
    for _ in 0..100 {
        bench.call("a").await.unwrap();
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!(bench.servers[0].calls(), 0);
    assert!(!calls.iter().any(JoinHandle::is_finished));
    bench.servers[0].checks(says(true));
    is(&bench, 0, ConnectionState::Ready).await;
    for _ in 0..100 {
        bench.call("a").await.unwrap();
    }
    assert!(bench.servers[0].calls() > 10);
    assert!(!calls.iter().any(JoinHandle::is_finished));
}

#[tokio::test(start_paused = true)]
async fn it_is_out_though_it_is_the_last_and_calls_say_why() {
    let mut bench = ready(1).await;
    bench.one().checks(says(false));
    is(&bench, 0, ConnectionState::TransientFailure).await;
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Unavailable { .. }), "{cause}");
    assert!(cause.to_string().contains("the server says that it is not serving"), "{cause}");
    assert_eq!((sent, bench.one().calls()), (Sent::No, 0));
    bench.one().checks(says(true));
    let started = Instant::now();
    is(&bench, 0, ConnectionState::Ready).await;
    assert!(started.elapsed() <= SECOND, "{:?}", started.elapsed());
    bench.call("b").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_busy_is_asked_too() {
    let bench = ready(1).await;
    bench.servers[0].checks(says(false));
    let started = Instant::now();
    while bench.call("a").await.is_ok() {
        tokio::time::sleep(SECOND / 10).await;
        assert!(started.elapsed() < SECOND * 11);
    }
}

/// A server that works on calls and cannot answer checks beside them is there.
#[tokio::test(start_paused = true)]
async fn a_busy_server_that_answers_no_check_keeps_its_connection() {
    let mut bench = ready(1).await;
    bench.one().checks(Do::Stall);
    for _ in 0..600 {
        bench.call("a").await.unwrap();
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!(bench.one().connects(), 1);
}
