//! The end of a plugin.

use super::fake::{Do, Mode, Seen};
use super::*;
use crate::error::Stage;
use crate::unix::reconnect::ConnectionState;

const SECOND: Duration = Duration::from_secs(1);

async fn stopped(bench: &Bench) {
    let mut state = bench.plugin.watch_state();
    state.wait_for(|state| *state == ConnectionState::Shutdown).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_was_never_called_stops_at_once() {
    let bench = Bench::new(1);
    bench.plugin.stop(Instant::now() + SECOND);
    stopped(&bench).await;
    assert!(bench.plugin.is_stopped());
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_finished_before_a_plugin_stops() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.call("first").await.unwrap();
    bench.one().is(Mode::Frozen);
    let calls: Vec<_> = (0..5).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    settle().await;
    let started = Instant::now();
    bench.plugin.stop(Instant::now() + SECOND * 10);
    let (cause, _) = bench.failure("too late").await;
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    bench.one().is(Mode::Up);
    stopped(&bench).await;
    assert!(started.elapsed() < SECOND);
    for call in calls {
        assert_eq!(&call.await.unwrap().unwrap().message[..], b"a");
    }
    assert_eq!(bench.one().calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_stops_waits_for_nobody_who_has_left() {
    let mut bench = Bench::new(1);
    bench.one().is(Mode::Frozen);
    let (cause, sent) = failed(bench.begin(hook("a", SECOND / 10)).await.unwrap());
    assert!(matches!(cause, Cause::Timeout { stage: Stage::Queued, .. }), "{cause}");
    assert_eq!(sent, Sent::No);
    let leaves = bench.begin(hook("b", TIMEOUT));
    settle().await;
    let started = Instant::now();
    bench.plugin.stop(Instant::now() + SECOND * 60);
    settle().await;
    assert!(!leaves.is_finished());
    leaves.abort();
    stopped(&bench).await;
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_of_a_stop_everything_ends() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.one().does(Do::Stall);
    let stalls = bench.begin(hook("a", TIMEOUT));
    bench.one().called().await;
    let waits = bench.begin(hook("b", TIMEOUT));
    settle().await;
    let started = Instant::now();
    bench.plugin.stop(Instant::now() + SECOND);
    stopped(&bench).await;
    assert!(started.elapsed() >= SECOND && started.elapsed() < SECOND * 2);
    let (cause, sent) = failed(stalls.await.unwrap());
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    let (cause, sent) = failed(waits.await.unwrap());
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    assert_eq!(sent, Sent::No);
}

// Promise: T8
#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_does_not_look_at_holds_up_no_stop() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Stall);
    let plugin = Arc::clone(&bench.plugin);
    let mut call = Box::pin(plugin.exchange(hook("a", TIMEOUT)));
    tokio::select! {
        _ = &mut call => panic!("it stalls"),
        _ = bench.one().called() => {}
    }
    bench.plugin.stop(Instant::now() + SECOND);
    stopped(&bench).await;
    let (cause, sent) = failed(call.await);
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_that_goes_takes_the_connections_with_it() {
    let mut bench = Bench::new(2);
    bench.call("a").await.unwrap();
    settle().await;
    let mut state = bench.plugin.watch_state();
    let shared = Arc::downgrade(bench.plugin.shared());
    bench.one().calls();
    let Bench { plugin, mut servers, .. } = bench;
    drop(plugin);
    // The sender is dropped with all the rest.
    while state.changed().await.is_ok() {}
    assert_eq!(shared.strong_count(), 0);
    assert_eq!(*state.borrow(), ConnectionState::Shutdown);
    assert!(!servers.iter_mut().any(|server| matches!(server.seen.try_recv(), Ok(Seen::Reset(_)))));
}
