//! Several plugins over the same connections.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::fake::{Do, Mode};
use super::*;
use crate::grpc::remote::{Key, Place};
use crate::unix::reconnect::ConnectionState;

const SECOND: Duration = Duration::from_secs(1);

/// Plugins that share their connections to the same servers.
pub(super) struct Crowd {
    pub(super) pool: Pool,
    pub(super) plugins: Vec<Arc<GrpcPlugin>>,
    pub(super) servers: Vec<Fake>,
}

impl Crowd {
    pub(super) fn new(plugins: usize, servers: usize) -> Self {
        let servers = (0..servers).map(|_| Fake::new()).collect();
        let mut crowd = Self { pool: Pool::default(), plugins: Vec::new(), servers };
        for _ in 0..plugins {
            crowd.join(Settings::default());
        }
        crowd
    }

    /// One more plugin.
    pub(super) fn join(&mut self, settings: Settings) -> Arc<GrpcPlugin> {
        let plugin = self.alone(settings);
        self.plugins.push(Arc::clone(&plugin));
        plugin
    }

    /// One that is held by whoever asked for it alone.
    pub(super) fn alone(&self, settings: Settings) -> Arc<GrpcPlugin> {
        let policy = CallPolicy::builder().build().unwrap();
        let remotes = self.servers.iter().enumerate().map(|(at, server)| keyed(at, server));
        let remotes = Servers::Known(remotes.collect());
        plugin(remotes, settings, &policy, Some(self.pool.clone())).0
    }

    /// Each plugin calls once, all at the same time.
    pub(super) async fn call_all(&self) {
        let calls: Vec<_> = self.plugins.iter().map(|plugin| begin(plugin, "a")).collect();
        for call in calls {
            assert_eq!(&call.await.unwrap().unwrap().message[..], b"a");
        }
    }

    pub(super) fn connects(&self) -> usize {
        self.servers.iter().map(Fake::connects).sum()
    }
}

pub(super) fn keyed(index: usize, server: &Fake) -> Remote {
    let Remote { name, connector, .. } = remote(index, server);
    let (peer_uids, peer_gids) = Default::default();
    let path = format!("/server/{index}").into();
    let place = Place::Socket { path, trust_path: false, peer_uids, peer_gids };
    let authority = Authority::from_static("plugins.test:50051");
    Remote::keyed(name, Key { place, scheme: Scheme::HTTP, authority }, connector)
}

pub(super) fn begin(
    plugin: &Arc<GrpcPlugin>,
    text: &str,
) -> JoinHandle<Result<Reply, Box<Failure>>> {
    let (plugin, request) = (Arc::clone(plugin), hook(text, TIMEOUT));
    tokio::spawn(async move { plugin.exchange(request).await })
}

#[tokio::test(start_paused = true)]
async fn plugins_whose_servers_are_equal_have_one_connection_to_each() {
    let crowd = Crowd::new(100, 3);
    crowd.call_all().await;
    settle().await;
    assert_eq!((crowd.connects(), crowd.pool.open()), (3, 3));
    // One that comes later, or is made anew, finds them open.
    let late = crowd.alone(Settings::default());
    late.exchange(hook("a", TIMEOUT)).await.unwrap();
    assert_eq!(crowd.connects(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_connection_no_longer_leaves_the_attempt_to_the_others() {
    let mut crowd = Crowd::new(0, 1);
    crowd.servers[0].is(Mode::Frozen);
    let impatient = Settings { connect_timeout: SECOND / 2, ..Settings::default() };
    let impatient = crowd.join(impatient);
    let impatient = begin(&impatient, "a");
    settle().await;
    let patient = crowd.join(Settings::default());
    let call = begin(&patient, "a");
    tokio::time::sleep(SECOND * 4).await;
    let (cause, sent) = failed(impatient.await.unwrap());
    assert!(matches!(cause, Cause::Unavailable { attempts: 3, .. }), "{cause}");
    assert_eq!(sent, Sent::No);
    assert_eq!(patient.state(), ConnectionState::Connecting);
    crowd.servers[0].is(Mode::Up);
    settle().await;
    call.await.unwrap().unwrap();
    assert_eq!(patient.shared().lock().troubles[0].attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_is_not_attempted_by_each_plugin_and_all_are_back_with_the_first() {
    let crowd = Crowd::new(200, 1);
    crowd.servers[0].is(Mode::Down);
    let calls: Vec<_> = crowd.plugins.iter().map(|plugin| begin(plugin, "a")).collect();
    for call in calls {
        let (cause, _) = failed(call.await.unwrap());
        assert!(matches!(cause, Cause::Unavailable { attempts: 3.., .. }), "{cause}");
    }
    let before = crowd.connects();
    tokio::time::sleep(SECOND * 10).await;
    // Each of them tries about once a second.
    let attempts = crowd.connects() - before;
    assert!((50..=201).contains(&attempts), "{attempts}");
    crowd.servers[0].is(Mode::Up);
    let (before, started) = (crowd.connects(), Instant::now());
    for plugin in &crowd.plugins {
        let mut state = plugin.watch_state();
        state.wait_for(|state| *state == ConnectionState::Ready).await.unwrap();
    }
    assert!(started.elapsed() < SECOND / 5, "{:?}", started.elapsed());
    assert_eq!(crowd.connects() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_one_plugin_has_made_counts_for_all() {
    let crowd = Crowd::new(100, 1);
    // So that their times do not come together.
    for plugin in &crowd.plugins {
        plugin.exchange(hook("a", TIMEOUT)).await.unwrap();
        tokio::time::sleep(SECOND / 20).await;
    }
    let checks = || crowd.servers[0].inner.checks.load(SeqCst);
    assert_eq!(checks(), 1);
    tokio::time::sleep(SECOND * 100).await;
    // One each 10 s.
    assert!((9..=11).contains(&checks()), "{}", checks());
    assert_eq!(crowd.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_plugin_counts_the_bytes_of_its_own_calls() {
    let crowd = Crowd::new(2, 1);
    crowd.call_all().await;
    for text in ["bb", "ccc"] {
        crowd.plugins[1].exchange(hook(text, TIMEOUT)).await.unwrap();
    }
    let traffic = |plugin: usize| {
        let server = crowd.plugins[plugin].shared().server(0);
        let traffic = &server.slot.traffic;
        let counters = [&traffic.connects, &traffic.bytes_sent, &traffic.bytes_received];
        counters.map(|counter| counter.load(Relaxed))
    };
    // A request has its length in front.
    assert_eq!(traffic(0), [1, 5, 1]);
    assert_eq!(traffic(1), [1, 18, 6]);
}

/// What comes for them is kept for them, and the connection has only so much room for that.
#[tokio::test(start_paused = true)]
async fn calls_that_nobody_looks_at_leave_the_others_their_replies() {
    let mut crowd = Crowd::new(2, 1);
    crowd.call_all().await;
    crowd.servers[0].calls();
    let large = "x".repeat(600 << 10);
    let plugin = Arc::clone(&crowd.plugins[0]);
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut call = Box::pin(plugin.exchange(hook(&large, TIMEOUT)));
        tokio::select! {
            biased;
            _ = crowd.servers[0].called() => {}
            _ = &mut call => panic!("it has not been looked at long enough"),
        }
        held.push(call);
    }
    tokio::time::sleep(SECOND).await;
    let call = crowd.plugins[1].exchange(hook(&large, SECOND));
    assert_eq!(call.await.unwrap().message.len(), large.len());
    // And what was held can be looked at again.
    for call in held {
        assert_eq!(call.await.unwrap().message.len(), large.len());
    }
    assert_eq!(crowd.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn servers_of_which_one_is_taken_by_others_are_chosen_accordingly() {
    let mut crowd = Crowd::new(1, 2);
    crowd.servers[0].max_streams(1);
    crowd.servers[1].max_streams(100);
    crowd.call_all().await;
    settle().await;
    crowd.servers.iter_mut().for_each(|server| {
        server.does(Do::Stall);
        server.calls();
    });
    let (one, other) = (crowd.join(Settings::default()), Arc::clone(&crowd.plugins[0]));
    let mut calls = vec![begin(&one, "a"), begin(&one, "a")];
    settle().await;
    crowd.servers.iter_mut().for_each(|server| assert_eq!(server.calls(), 1));
    // Its own load says that the first server is as good as the second.
    calls.extend((0..20).map(|_| begin(&other, "a")));
    settle().await;
    assert_eq!(crowd.servers[0].calls(), 0);
    assert_eq!(crowd.servers[1].calls(), 20);
    assert!(!calls.iter().any(JoinHandle::is_finished));
}
