//! Several servers, some of which are not well.

use std::io::ErrorKind;
use std::sync::atomic::Ordering::SeqCst;

use super::fake::{Do, Mode};
use super::*;
use crate::breaker::BreakerState;
use crate::unix::message::Origin;
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Suspicion;

const SECOND: Duration = Duration::from_secs(1);

/// As many servers, all of them connected to.
async fn ready(servers: usize) -> Bench {
    ready_with(servers, Settings::default(), CallPolicy::builder().build().unwrap()).await
}

async fn ready_with(servers: usize, settings: Settings, policy: CallPolicy) -> Bench {
    let bench = Bench::with(servers, settings, policy);
    bench.plugin.exchange(outbound(Method::Connect, b"", TIMEOUT)).await.unwrap();
    for index in 0..servers {
        connected(&bench, index).await;
    }
    bench
}

async fn connected(bench: &Bench, index: usize) {
    while bench.plugin.shared().server(index).state() != ConnectionState::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many of these calls, one after the other, are not answered.
async fn failures(bench: &Bench, calls: usize, timeout: Duration) -> usize {
    let mut failures = 0;
    for _ in 0..calls {
        failures += usize::from(bench.gated("a", timeout).await.is_err());
    }
    failures
}

#[tokio::test(start_paused = true)]
async fn calls_are_spread_over_all_servers() {
    let mut bench = ready(3).await;
    bench.servers.iter().for_each(|server| server.does(Do::Stall));
    let _calls: Vec<_> = (0..30).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    settle().await;
    let calls: Vec<_> = bench.servers.iter_mut().map(Fake::calls).collect();
    assert_eq!(calls, [10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_costs_no_call() {
    let bench = Bench::new(3);
    bench.servers[1].is(Mode::Down);
    assert_eq!(failures(&bench, 100, TIMEOUT).await, 0);
    assert_eq!(bench.plugin.state(), ConnectionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_loses_what_was_on_it_and_nothing_after_that() {
    let mut bench = ready(3).await;
    bench.servers.iter().for_each(|server| server.does(Do::Stall));
    let calls: Vec<_> = (0..30).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    settle().await;
    bench.servers[1].is(Mode::Down);
    settle().await;
    let lost: Vec<_> = calls.into_iter().filter(JoinHandle::is_finished).collect();
    assert_eq!(lost.len(), 10);
    for call in lost {
        let (cause, sent) = failed(call.await.unwrap());
        assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
        assert_eq!(sent, Sent::Maybe);
    }
    bench.servers.iter_mut().for_each(|server| {
        server.does(Do::Echo);
        server.calls();
    });
    assert_eq!(failures(&bench, 100, TIMEOUT).await, 0);
    assert_eq!(bench.servers[1].calls(), 0);
    bench.servers[1].is(Mode::Up);
    connected(&bench, 1).await;
    assert_eq!(failures(&bench, 100, TIMEOUT).await, 0);
    assert!(bench.servers[1].calls() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_freezes_costs_its_first_calls_and_then_none() {
    let mut bench = ready(3).await;
    bench.servers[0].is(Mode::Frozen);
    let calls: Vec<_> = (0..60).map(|_| bench.begin(hook("a", SECOND))).collect();
    let mut late = 0;
    for call in calls {
        late += usize::from(call.await.unwrap().is_err());
    }
    assert!((10..=30).contains(&late), "{late}");
    // Though each call has little of the plugin's 35 s: the server says nothing at all.
    assert_eq!(failures(&bench, 1000, SECOND).await, 0);
    assert_eq!(bench.gate.state(), BreakerState::Closed);
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(failures(&bench, 1000, SECOND).await, 0);
    bench.servers[0].is(Mode::Up);
    connected(&bench, 0).await;
    bench.servers[0].calls();
    assert_eq!(failures(&bench, 100, SECOND).await, 0);
    assert!(bench.servers[0].calls() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_fast_draws_no_calls() {
    let mut bench = ready(3).await;
    bench.servers[2].does(Do::Status(14, "no"));
    let failures = failures(&bench, 1000, TIMEOUT).await;
    assert!(failures <= 5, "{failures}");
    assert_eq!(bench.servers[2].calls(), failures);
}

#[tokio::test(start_paused = true)]
async fn an_ejected_server_that_is_well_again_comes_back() {
    let mut bench = ready(2).await;
    bench.servers[0].does(Do::Status(14, "no"));
    // While one is busy, the other one is tried all the same.
    bench.servers[1].does(Do::Stall);
    let _busy: Vec<_> = (0..20).map(|_| bench.begin(hook("a", TIMEOUT))).collect();
    settle().await;
    bench.servers[1].does(Do::Echo);
    assert!(bench.plugin.shared().lock().admission.standing(0).ejected);
    bench.servers[0].does(Do::Echo);
    bench.servers[0].calls();
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(failures(&bench, 100, TIMEOUT).await, 0);
    assert!(!bench.plugin.shared().lock().admission.standing(0).ejected);
    assert!(bench.servers[0].calls() > 10);
}

#[tokio::test(start_paused = true)]
async fn where_all_servers_fail_calls_go_on_and_say_so() {
    let mut bench = ready(2).await;
    bench.servers.iter().for_each(|server| server.does(Do::Status(14, "no")));
    for _ in 0..50 {
        let (cause, _) = failed(bench.gated("a", TIMEOUT).await);
        assert!(cause.to_string().contains("UNAVAILABLE: no"), "{cause}");
    }
    assert!(bench.servers.iter_mut().all(|server| server.calls() > 10));
    bench.servers.iter().for_each(|server| server.does(Do::Echo));
    assert_eq!(failures(&bench, 10, TIMEOUT).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_all_of_whose_servers_are_silent_is_down_until_one_answers() {
    let policy = CallPolicy::builder().breaker_threshold(3).timeout(SECOND).build().unwrap();
    let mut bench = ready_with(2, Settings::default(), policy).await;
    bench.servers.iter().for_each(|server| server.does(Do::Stall));
    let calls: Vec<_> = (0..6).map(|_| bench.begin(hook("a", SECOND))).collect();
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
    assert_eq!(bench.gate.state(), BreakerState::Open);
    let (cause, sent) = failed(bench.gated("a", SECOND).await);
    let Cause::Unresponsive { missing, .. } = cause else { panic!("{cause}") };
    assert_eq!((missing, sent), (6, Sent::No));
    // A trial that is not answered, and one that is.
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(failures(&bench, 1, SECOND).await, 1);
    assert_eq!(bench.gate.state(), BreakerState::Open);
    bench.servers.iter().for_each(|server| server.does(Do::Echo));
    tokio::time::sleep(SECOND * 4).await;
    bench.servers.iter_mut().for_each(|server| {
        server.calls();
    });
    assert_eq!(failures(&bench, 20, SECOND).await, 0);
    assert_eq!(bench.gate.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_silent_server_of_two_leaves_the_plugin_up() {
    let policy = CallPolicy::builder().breaker_threshold(3).timeout(SECOND).build().unwrap();
    let bench = ready_with(2, Settings::default(), policy).await;
    bench.servers[0].does(Do::Stall);
    let calls: Vec<_> = (0..40).map(|_| bench.begin(hook("a", SECOND))).collect();
    for call in calls {
        drop(call.await.unwrap());
    }
    assert_eq!(bench.gate.state(), BreakerState::Closed);
    assert!(bench.plugin.shared().lock().admission.standing(0).ejected);
    assert_eq!(failures(&bench, 100, SECOND).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_is_down_when_all_servers_are_gone_and_back_with_the_first() {
    let bench = ready(3).await;
    bench.servers.iter().for_each(|server| server.is(Mode::Down));
    let mut breaker = bench.gate.watch_state();
    breaker.wait_for(|state| *state == BreakerState::Open).await.unwrap();
    let (cause, sent) = failed(bench.gated("a", TIMEOUT).await);
    assert!(matches!(cause, Cause::Unavailable { attempts: 3.., .. }), "{cause}");
    assert_eq!(sent, Sent::No);
    // As long as it lasts, attempts go on.
    tokio::time::sleep(SECOND * 20).await;
    bench.servers[2].is(Mode::Up);
    let back = Instant::now();
    breaker.wait_for(|state| *state == BreakerState::Closed).await.unwrap();
    assert_eq!(failures(&bench, 10, TIMEOUT).await, 0);
    assert!(back.elapsed() <= SECOND, "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_told_as_soon_as_all_servers_are_down() {
    let bench = Bench::new(2);
    bench.servers.iter().for_each(|server| server.is(Mode::Down));
    let started = Instant::now();
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Unavailable { attempts: 3.., .. }), "{cause}");
    assert_eq!(sent, Sent::No);
    assert!(started.elapsed() < SECOND * 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_listens_and_says_nothing_is_not_connected() {
    let bench = Bench::new(1);
    bench.servers[0].is(Mode::Frozen);
    let (cause, sent) = bench.failure("a").await;
    assert!(cause.to_string().contains("no answer to `cpex.Health/Check`"), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn a_first_check_tells_whether_a_server_can_be_used() {
    for (check, words) in [
        (Do::Status(12, "Method not found!"), None),
        (Do::Echo, None),
        (
            Do::Status(14, "not yet"),
            Some(
                "cannot connect (3 attempts in a row failed): the server answered UNAVAILABLE: not yet",
            ),
        ),
        (
            Do::Status(16, "who"),
            Some(
                "is not trusted (3 attempts in a row failed): the server answered UNAUTHENTICATED: who",
            ),
        ),
        (Do::Raw(vec![0, 0, 0, 0, 2, 8, 2]), Some("the server says that it is not serving")),
        (Do::Http(404), Some("the answer is HTTP 404 Not Found")),
        (Do::ContentType("text/html"), Some("the content-type of the reply is `text/html`")),
    ] {
        let bench = Bench::new(1);
        bench.servers[0].checks(check);
        match (bench.call("a").await, words) {
            (Ok(_), None) => {}
            (Err(failure), Some(words)) => {
                assert!(failure.cause.to_string().contains(words), "{}", failure.cause);
                assert_eq!(failure.sent, Sent::No);
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tls_that_is_refused_is_a_server_that_is_not_trusted() {
    let bench = Bench::new(1);
    bench.servers[0].refuses(ErrorKind::PermissionDenied, "invalid peer certificate");
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Untrusted { attempts: 3, .. }), "{cause}");
    assert!(cause.to_string().contains("invalid peer certificate"), "{cause}");
    assert_eq!(sent, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_finishes_what_is_under_way_and_loses_nothing() {
    let mut bench = ready(1).await;
    bench.servers[0].next(Do::Stall);
    let stalls = bench.begin(hook("a", SECOND * 5));
    bench.one().called().await;
    bench.servers[0].is(Mode::GoAway);
    settle().await;
    // Unsent requests are handed back, and go over the next connection.
    assert_eq!(failures(&bench, 100, TIMEOUT).await, 0);
    assert_eq!(bench.servers[0].connects(), 2);
    assert!(!stalls.is_finished());
    assert!(matches!(failed(stalls.await.unwrap()).0, Cause::Timeout { .. }));
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_replaced_one_after_the_other_lose_no_call() {
    let mut bench = ready(3).await;
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let plugin = Arc::clone(&bench.plugin);
            tokio::spawn(async move {
                for _ in 0..200 {
                    // As callers do that send again what a server never came to.
                    while let Err(failure) = plugin.exchange(hook("a", TIMEOUT)).await {
                        assert_eq!(failure.sent, Sent::Unstarted, "{}", failure.cause);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for server in bench.servers.iter().cycle().take(9) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.is(Mode::GoAway);
    }
    for call in calls {
        call.await.unwrap();
    }
    // Each call came to a server once, and only once.
    let calls: usize = bench.servers.iter_mut().map(Fake::calls).sum();
    assert_eq!(calls, 16 * 200);
    assert!(bench.servers.iter().all(|server| server.connects() >= 3));
}

#[tokio::test(start_paused = true)]
async fn an_idle_server_that_froze_is_found_before_a_call_is() {
    let mut bench = ready(1).await;
    bench.call("a").await.unwrap();
    bench.one().is(Mode::Frozen);
    let mut state = bench.plugin.watch_state();
    state.wait_for(|state| *state != ConnectionState::Ready).await.unwrap();
    bench.one().is(Mode::Up);
    assert_eq!(&bench.call("b").await.unwrap().message[..], b"b");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_is_asked_and_kept() {
    let bench = ready(1).await;
    let received = || bench.plugin.shared().server(0).slot.traffic.bytes_received.load(SeqCst);
    let before = received();
    tokio::time::sleep(SECOND * 100).await;
    assert!(received() > before);
    assert_eq!(bench.servers[0].connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_call_closes_its_connection_and_tells_those_on_it() {
    let mut bench = ready(1).await;
    let reply = bench.call("a").await.unwrap();
    bench.one().calls();
    bench.one().next(Do::Stall);
    let beside = bench.begin(hook("b", TIMEOUT));
    bench.one().called().await;
    let stranger = Origin { socket: reply.origin.socket + 1, ..reply.origin };
    bench.plugin.suspect(stranger, Suspicion::Mismatch);
    settle().await;
    assert!(!beside.is_finished());
    bench.plugin.suspect(reply.origin, Suspicion::Mismatch);
    let (cause, sent) = failed(beside.await.unwrap());
    assert!(matches!(cause, Cause::ClosedAfterFault(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    assert_ne!(bench.call("c").await.unwrap().origin, reply.origin);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_before_it_proved_itself_is_a_failed_attempt() {
    let bench = Bench::new(1);
    bench.servers[0].does(Do::Stall);
    let call = bench.begin(hook("a", TIMEOUT));
    connected(&bench, 0).await;
    bench.servers[0].is(Mode::Down);
    let (cause, _) = failed(call.await.unwrap());
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    settle().await;
    assert_eq!(bench.plugin.state(), ConnectionState::TransientFailure);
}

/// A hook may keep its server from answering, whenever it has begun.
#[tokio::test(start_paused = true)]
async fn a_server_that_has_got_a_call_since_the_last_check_has_a_second_chance() {
    let mut bench = ready(1).await;
    tokio::time::sleep(SECOND * 11).await;
    assert_eq!(bench.servers[0].inner.checks.load(SeqCst), 2);
    tokio::time::sleep(SECOND * 8).await;
    bench.one().is(Mode::Frozen);
    let call = bench.begin(hook("a", TIMEOUT));
    tokio::time::sleep(SECOND * 7).await;
    bench.one().is(Mode::Up);
    assert_eq!(&call.await.unwrap().unwrap().message[..], b"a");
    assert_eq!(bench.one().connects(), 1);
}

/// They give up before anything runs out that would show it.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_is_noticed_although_its_callers_leave_early() {
    let mut bench = Bench::new(1);
    bench.call("first").await.unwrap();
    bench.one().is(Mode::Frozen);
    for _ in 0..60 {
        let leaves = bench.begin(hook("a", TIMEOUT));
        tokio::time::sleep(Duration::from_secs(1)).await;
        leaves.abort();
    }
    assert_ne!(bench.plugin.state(), ConnectionState::Ready);
}
