//! When a call's time is over, or its caller has left.

use h2::Reason;

use super::fake::{Do, Mode, Seen};
use super::*;
use crate::error::Stage;
use crate::grpc::session::MOST_RESETS;

const SECOND: Duration = Duration::from_secs(1);

async fn reset(bench: &mut Bench) -> Reason {
    loop {
        if let Seen::Reset(reason) = bench.one().seen.recv().await.unwrap() {
            return reason;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_may_have_run_and_its_stream_is_reset() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Stall);
    let started = Instant::now();
    let (cause, sent) = failed(bench.plugin.exchange(hook("a", SECOND)).await);
    let Cause::Timeout { timeout, stage, .. } = cause else { panic!("{cause}") };
    assert_eq!((timeout, stage, sent), (SECOND, Stage::InFlight, Sent::Maybe));
    assert!(started.elapsed() < SECOND * 2, "{:?}", started.elapsed());
    assert_eq!(reset(&mut bench).await, Reason::CANCEL);
    bench.one().does(Do::Echo);
    assert_eq!(&bench.call("b").await.unwrap().message[..], b"b");
    assert_eq!(bench.one().connects(), 1);
}

// Promise: H2, T4
#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_resets_its_stream_and_frees_its_place() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.one().next(Do::Stall);
    let call = bench.begin(hook("a", TIMEOUT));
    bench.one().called().await;
    let waits = bench.begin(hook("b", TIMEOUT));
    settle().await;
    assert!(!waits.is_finished());
    call.abort();
    assert_eq!(reset(&mut bench).await, Reason::CANCEL);
    assert_eq!(&waits.await.unwrap().unwrap().message[..], b"b");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_that_the_time_is_over_is_told_as_a_timeout() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Status(4, "Deadline Exceeded"));
    let (cause, sent) = bench.failure("a").await;
    let Cause::Timeout { timeout, stage, .. } = cause else { panic!("{cause}") };
    assert_eq!((timeout, stage, sent), (TIMEOUT, Stage::InFlight, Sent::Maybe));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_place_until_its_time_is_over_was_not_sent() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.one().next(Do::Stall);
    let _stalls = bench.begin(hook("a", TIMEOUT));
    bench.one().called().await;
    let (cause, sent) = failed(bench.plugin.exchange(hook("b", SECOND)).await);
    assert!(matches!(cause, Cause::Timeout { stage: Stage::Admission, .. }), "{cause}");
    assert_eq!((sent, bench.one().calls()), (Sent::No, 0));
}

/// Its hook would run for a caller who is told that it did not answer.
#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_before_it_could_leave_is_not_sent() {
    let mut bench = Bench::new(1);
    bench.call("first").await.unwrap();
    bench.one().calls();
    let (cause, sent) = failed(bench.plugin.exchange(hook("a", Duration::ZERO)).await);
    assert!(matches!(cause, Cause::Timeout { stage: Stage::Queued, .. }), "{cause}");
    settle().await;
    assert_eq!((sent, bench.one().calls()), (Sent::No, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_connection_is_told_why_there_is_none() {
    let settings = Settings { reconnect_attempts: 1000, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    bench.one().refuses(std::io::ErrorKind::ConnectionRefused, "nobody listens there");
    let (cause, sent) = failed(bench.plugin.exchange(hook("b", SECOND)).await);
    let Cause::Timeout { stage, last_error, .. } = cause else { panic!("{cause}") };
    assert_eq!((stage, sent), (Stage::Queued, Sent::No));
    assert_eq!(last_error.unwrap().to_string(), "nobody listens there");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_after_the_time_reaches_nobody() {
    let mut bench = Bench::new(1);
    bench.call("first").await.unwrap();
    bench.one().is(Mode::Frozen);
    let (cause, _) = failed(bench.plugin.exchange(hook("late", SECOND)).await);
    assert!(matches!(cause, Cause::Timeout { .. }), "{cause}");
    bench.one().is(Mode::Up);
    for text in ["b", "c", "d"] {
        assert_eq!(&bench.call(text).await.unwrap().message[..], text.as_bytes());
    }
    assert_eq!(bench.one().connects(), 1);
}

#[test]
fn a_caller_outside_of_any_runtime_has_its_deadline_too() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = runtime.block_on(async { Bench::new(1) });
    let reply = futures::executor::block_on(bench.plugin.exchange(hook("a", TIMEOUT)));
    assert_eq!(&reply.unwrap().message[..], b"a");
    bench.servers[0].does(Do::Stall);
    let call = bench.plugin.exchange(hook("a", Duration::from_millis(50)));
    let (cause, _) = failed(futures::executor::block_on(call));
    assert!(matches!(cause, Cause::Timeout { .. }), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_goes_on_and_on_is_given_up_with_the_calls_time() {
    let mut bench = Bench::new(1);
    bench.one().next(Do::Trickle);
    let started = Instant::now();
    let (cause, sent) = failed(bench.plugin.exchange(hook("a", SECOND * 20)).await);
    assert!(matches!(cause, Cause::Timeout { stage: Stage::InFlight, .. }), "{cause}");
    assert_eq!((sent, started.elapsed().as_secs()), (Sent::Maybe, 20));
    assert_eq!(reset(&mut bench).await, Reason::CANCEL);
    bench.call("b").await.unwrap();
    assert_eq!(bench.one().connects(), 1);
}

#[test]
fn a_caller_on_a_runtime_without_timers_has_its_deadline_too() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = runtime.block_on(async { Bench::new(1) });
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reply = bare.block_on(bench.plugin.exchange(hook("a", TIMEOUT)));
    assert_eq!(&reply.unwrap().message[..], b"a");
    bench.servers[0].does(Do::Stall);
    let call = bench.plugin.exchange(hook("a", Duration::from_millis(50)));
    let (cause, _) = failed(bare.block_on(call));
    assert!(matches!(cause, Cause::Timeout { .. }), "{cause}");
}

/// Nor is there anything else that could work; but whoever calls lives.
#[test]
fn a_first_caller_on_a_runtime_without_timers_is_told_that_the_tasks_are_gone() {
    let bench = Bench::new(1);
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (cause, sent) = failed(bare.block_on(bench.plugin.exchange(hook("a", TIMEOUT))));
    assert!(matches!(cause, Cause::TaskGone), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn calls_that_their_callers_leave_are_counted() {
    let mut bench = Bench::new(1);
    let abandoned = |bench: &Bench| bench.plugin.shared().gauges().connections[0].abandoned;
    bench.call("first").await.unwrap();
    bench.one().next(Do::Status(14, "no"));
    bench.failure("a").await;
    assert_eq!(abandoned(&bench), 0);
    bench.one().does(Do::Stall);
    drop(failed(bench.plugin.exchange(hook("a", SECOND)).await));
    assert_eq!(abandoned(&bench), 1);
    reset(&mut bench).await;
    let leaves = bench.begin(hook("a", TIMEOUT));
    bench.one().called().await;
    leaves.abort();
    settle().await;
    assert_eq!(abandoned(&bench), 2);
}

// Promise: M5
#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut bench = runtime.block_on(async { Bench::new(1) });
    bench.one().does(Do::Stall);
    let plugin = Arc::clone(&bench.plugin);
    let call = std::thread::spawn(move || {
        futures::executor::block_on(plugin.exchange(hook("a", TIMEOUT)))
    });
    runtime.block_on(bench.one().called());
    drop(runtime);
    let (cause, sent) = failed(call.join().unwrap());
    assert!(matches!(cause, Cause::TaskGone | Cause::Disconnected(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    let (cause, sent) = failed(futures::executor::block_on(bench.call("b")));
    assert!(matches!(cause, Cause::TaskGone), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn before_http2_ends_a_connection_on_which_very_many_calls_were_left_it_is_replaced() {
    let mut bench = Bench::new(1);
    bench.call("a").await.unwrap();
    let before = Arc::clone(&bench.plugin.shared().lock().open[0].as_ref().unwrap().session.cut);
    before.count_resets(MOST_RESETS - 1);
    bench.one().does(Do::Stall);
    let under_way = bench.begin(hook("b", SECOND));
    let left = bench.begin(hook("c", TIMEOUT));
    settle().await;
    assert_eq!(bench.one().connects(), 1);
    bench.one().does(Do::Echo);
    left.abort();
    settle().await;
    assert_eq!(&bench.call("d").await.unwrap().message[..], b"d");
    assert_eq!(bench.one().connects(), 2);
    // The old one goes on for as long as it has calls.
    assert!(before.why().is_none() && !under_way.is_finished());
    let (cause, _) = failed(under_way.await.unwrap());
    assert!(matches!(cause, Cause::Timeout { .. }), "{cause}");
    settle().await;
    assert!(before.is_gone());
}
