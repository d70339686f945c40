//! How a connection that plugins share ends, and for whom.

use std::io;

use super::fake::{Do, Mode};
use super::sharing::{Crowd, begin};
use super::*;
use crate::grpc::session::Session;
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Suspicion;

const SECOND: Duration = Duration::from_secs(1);

async fn ready(plugins: usize) -> Crowd {
    let mut crowd = Crowd::new(plugins, 1);
    crowd.call_all().await;
    crowd.servers[0].calls();
    crowd
}

fn session(plugin: &GrpcPlugin) -> Arc<Session> {
    let open = plugin.shared().lock().open[0].clone();
    Arc::clone(&open.unwrap().session)
}

async fn stopped(plugin: &GrpcPlugin) {
    let mut state = plugin.watch_state();
    state.wait_for(|state| *state == ConnectionState::Shutdown).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_shut_down_ends_its_own_calls_and_nobody_elses() {
    let mut crowd = ready(2).await;
    crowd.servers[0].does(Do::Stall);
    let [one, other] = [0, 1].map(|plugin| begin(&crowd.plugins[plugin], "a"));
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 2);
    crowd.plugins[0].stop(Instant::now() + SECOND);
    stopped(&crowd.plugins[0]).await;
    let (cause, sent) = failed(one.await.unwrap());
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    settle().await;
    assert!(!other.is_finished());
    crowd.servers[0].does(Do::Echo);
    crowd.plugins[1].exchange(hook("b", TIMEOUT)).await.unwrap();
    assert_eq!((crowd.connects(), crowd.pool.open()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_leaves_the_others_alone() {
    let crowd = ready(2).await;
    crowd.servers[0].does(Do::Stall);
    let other = begin(&crowd.plugins[1], "a");
    let (cause, _) = failed(crowd.plugins[0].exchange(hook("a", SECOND)).await);
    assert!(matches!(cause, Cause::Timeout { .. }), "{cause}");
    crowd.servers[0].does(Do::Echo);
    crowd.plugins[0].exchange(hook("b", TIMEOUT)).await.unwrap();
    assert!(!other.is_finished());
    assert_eq!(crowd.connects(), 1);
}

/// Found by the simulation: the connection was looked for among those that the plugin has calls on.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_another_calls_ends_a_connection_that_only_others_are_left_on() {
    let crowd = ready(2).await;
    let reply = crowd.plugins[0].exchange(hook("a", TIMEOUT)).await.unwrap();
    crowd.servers[0].does(Do::Stall);
    let other = begin(&crowd.plugins[1], "b");
    settle().await;
    // As the call does that the reply was for.
    let part = crowd.plugins[0].shared().lock().open[0].clone().unwrap();
    part.session.retire(Arc::new(io::Error::other("the server takes no more calls")));
    settle().await;
    assert_eq!(crowd.connects(), 2);
    drop(part);
    crowd.plugins[0].suspect(reply.origin, Suspicion::Mismatch);
    let (cause, sent) = failed(other.await.unwrap());
    assert!(matches!(cause, Cause::ClosedAfterFault(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

#[tokio::test(start_paused = true)]
async fn the_last_plugin_that_goes_takes_the_connection_with_it() {
    let mut crowd = ready(3).await;
    let cut = Arc::clone(&session(&crowd.plugins[0]).cut);
    drop(crowd.plugins.pop());
    settle().await;
    crowd.plugins[0].stop(Instant::now());
    stopped(&crowd.plugins[0]).await;
    assert!(!cut.is_gone());
    crowd.plugins[1].exchange(hook("a", TIMEOUT)).await.unwrap();
    assert_eq!(crowd.connects(), 1);
    crowd.plugins[1].stop(Instant::now());
    stopped(&crowd.plugins[1]).await;
    assert!(cut.is_gone());
    assert_eq!(crowd.pool.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_one_closes_it_though_somebody_holds_a_call_without_looking_at_it() {
    let mut crowd = ready(2).await;
    let cut = Arc::clone(&session(&crowd.plugins[0]).cut);
    crowd.servers[0].does(Do::Stall);
    let plugin = Arc::clone(&crowd.plugins[0]);
    let mut call = Box::pin(plugin.exchange(hook("a", TIMEOUT)));
    tokio::select! {
        _ = &mut call => panic!("it stalls"),
        _ = crowd.servers[0].called() => {}
    }
    for plugin in crowd.plugins.iter().rev() {
        assert!(!cut.is_gone());
        plugin.stop(Instant::now() + SECOND);
        stopped(plugin).await;
    }
    assert!(cut.is_gone());
    let (cause, sent) = failed(call.await);
    assert!(matches!(cause, Cause::Shutdown), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_call_ends_it_for_all_once_and_each_is_back_over_one_connection() {
    let mut crowd = ready(100).await;
    let origin = crowd.plugins[0].exchange(hook("a", TIMEOUT)).await.unwrap().origin;
    crowd.servers[0].calls();
    crowd.servers[0].does(Do::Stall);
    let calls: Vec<_> = crowd.plugins[1..].iter().map(|plugin| begin(plugin, "a")).collect();
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 99);
    crowd.plugins[0].suspect(origin, Suspicion::Mismatch);
    for call in calls {
        let (cause, sent) = failed(call.await.unwrap());
        assert!(matches!(cause, Cause::ClosedAfterFault(_)), "{cause}");
        assert_eq!(sent, Sent::Maybe);
    }
    crowd.servers[0].does(Do::Echo);
    crowd.call_all().await;
    // The first, one for the plugin that got the reply, and one for all others.
    assert_eq!(crowd.connects(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_gets_replies_of_other_calls_ends_the_others_calls_no_second_time() {
    let crowd = ready(2).await;
    let suspect = async || {
        let origin = crowd.plugins[0].exchange(hook("a", TIMEOUT)).await.unwrap().origin;
        crowd.plugins[0].suspect(origin, Suspicion::Mismatch);
        settle().await;
    };
    suspect().await;
    crowd.call_all().await;
    crowd.servers[0].next(Do::Stall);
    let other = begin(&crowd.plugins[1], "a");
    settle().await;
    for _ in 0..3 {
        suspect().await;
    }
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_gets_no_more_calls_from_any_of_them() {
    let mut crowd = ready(50).await;
    crowd.servers[0].does(Do::Stall);
    let under_way = begin(&crowd.plugins[49], "a");
    settle().await;
    crowd.servers[0].is(Mode::GoAway);
    settle().await;
    crowd.servers[0].does(Do::Echo);
    crowd.servers[0].calls();
    // One of them finds out, and the others need not.
    crowd.plugins[0].exchange(hook("a", TIMEOUT)).await.unwrap();
    settle().await;
    let first = session(&crowd.plugins[0]);
    assert!(crowd.plugins.iter().all(|plugin| Arc::ptr_eq(&session(plugin), &first)));
    crowd.call_all().await;
    assert_eq!((crowd.connects(), crowd.servers[0].calls()), (2, 51));
    assert!(!under_way.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_is_made_anew_once() {
    let crowd = ready(100).await;
    crowd.servers[0].does(Do::Stall);
    let calls: Vec<_> = crowd.plugins.iter().map(|plugin| begin(plugin, "a")).collect();
    settle().await;
    let reason = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    session(&crowd.plugins[0]).cut.cut(Cause::Disconnected(Arc::new(reason)));
    for call in calls {
        let (cause, sent) = failed(call.await.unwrap());
        assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
        assert_eq!(sent, Sent::Maybe);
    }
    crowd.servers[0].does(Do::Echo);
    crowd.call_all().await;
    assert_eq!(crowd.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_server_is_found_out_for_all_and_ends_the_calls_of_those_who_wait_no_longer() {
    let mut crowd = Crowd::new(0, 1);
    let quick = crowd.join(Settings { keep_alive: Some(SECOND), ..Settings::default() });
    let other = crowd.join(Settings { keep_alive: None, ..Settings::default() });
    let patient = Settings { connect_timeout: SECOND * 60, ..Settings::default() };
    let patient = crowd.join(Settings { keep_alive: None, ..patient });
    crowd.call_all().await;
    crowd.servers[0].is(Mode::Frozen);
    let (ends, goes_on) = (begin(&other, "a"), begin(&patient, "a"));
    tokio::time::sleep(SECOND * 20).await;
    for plugin in &crowd.plugins {
        assert_ne!(plugin.state(), ConnectionState::Ready);
    }
    let (cause, sent) = failed(ends.await.unwrap());
    assert!(cause.to_string().contains("left `cpex.Health/Check` without an answer"), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    assert!(!goes_on.is_finished());
    drop(quick);
    crowd.servers[0].is(Mode::Up);
    crowd.call_all().await;
}

#[tokio::test(start_paused = true)]
async fn one_who_hardly_waits_for_a_server_takes_no_connection_from_the_others() {
    let mut crowd = Crowd::new(0, 1);
    let patient = crowd.join(Settings { keep_alive: None, ..Settings::default() });
    let hardly = Settings { connect_timeout: SECOND / 100, ..Settings::default() };
    let hardly = crowd.join(Settings { keep_alive: Some(SECOND), ..hardly });
    crowd.call_all().await;
    let first = session(&patient);
    crowd.servers[0].checks(Do::Stall);
    tokio::time::sleep(SECOND * 30).await;
    assert_ne!(hardly.state(), ConnectionState::Ready);
    assert_eq!(patient.state(), ConnectionState::Ready);
    assert!(Arc::ptr_eq(&session(&patient), &first));
    // When it is through again, all have its connection, and no call is lost for that.
    crowd.servers[0].next(Do::Stall);
    let under_way = begin(&patient, "a");
    settle().await;
    crowd.servers[0].checks(Do::Echo);
    let mut state = hardly.watch_state();
    state.wait_for(|state| *state == ConnectionState::Ready).await.unwrap();
    crowd.call_all().await;
    assert!(Arc::ptr_eq(&session(&patient), &session(&hardly)));
    assert!(!Arc::ptr_eq(&session(&patient), &first));
    assert_eq!(crowd.pool.open(), 1);
    settle().await;
    assert!(!under_way.is_finished());
}

/// The connection's task is on the runtime of the plugin that made it.
#[test]
fn a_runtime_that_ends_takes_its_connections_from_all_and_they_connect_on_theirs() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (ends, stays) = (runtime(), runtime());
    // The server is where neither of them is.
    let serving = runtime();
    let mut crowd =
        Crowd { pool: Pool::default(), plugins: Vec::new(), servers: vec![Fake::new()] };
    crowd.servers[0].runs_on(serving.handle().clone());
    let first = ends.block_on(async {
        let first = crowd.alone(Settings::default());
        first.exchange(hook("a", TIMEOUT)).await.unwrap();
        first
    });
    let other = stays.block_on(async {
        let other = crowd.alone(Settings::default());
        other.exchange(hook("a", TIMEOUT)).await.unwrap();
        other
    });
    assert_eq!(crowd.connects(), 1);
    crowd.servers[0].calls();
    crowd.servers[0].next(Do::Stall);
    stays.block_on(async {
        let call = begin(&other, "a");
        crowd.servers[0].called().await;
        // Outside, because it waits.
        tokio::task::spawn_blocking(|| drop(ends)).await.unwrap();
        let (cause, sent) = failed(call.await.unwrap());
        assert!(matches!(cause, Cause::TaskGone | Cause::Disconnected(_)), "{cause}");
        assert_eq!(sent, Sent::Maybe);
        // By itself, without a call.
        let started = Instant::now();
        while crowd.connects() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(started.elapsed() < SECOND * 20, "it is not connected again");
        }
        other.exchange(hook("b", TIMEOUT)).await.unwrap();
    });
    assert_eq!(crowd.connects(), 2);
    // And the first one starts anew on the runtime of its next caller.
    drop(stays.block_on(first.exchange(hook("c", TIMEOUT))));
    assert_eq!(&stays.block_on(first.exchange(hook("c", TIMEOUT))).unwrap().message[..], b"c");
    assert_eq!(crowd.connects(), 2);
}
