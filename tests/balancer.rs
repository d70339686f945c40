//! Our client, a load balancer of the distribution, and three servers behind it. What both do
//! is here, what is of one of them in `balancer_nginx.rs` and `balancer_haproxy.rs`.
#![cfg(all(feature = "grpc", feature = "server"))]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::balancer::{Balancer, Kind, Lines};
use common::calls::{PLUGIN, eventually};
use common::guards::{Guards, Runs};
use common::load::{Load, ask};
use common::reference::calls::call;
use common::reference::grpc::GrpcReference;
use hookwire::config::{GrpcConfig, TlsConfig};
use hookwire::{ErrorKind, RetryPolicy, Sent};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

/// What hooks under load take.
const MS: u64 = 50;
const CALLERS: usize = 64;

/// Whatever came of a call, its hook's future was dropped, and nothing ran again.
const DROPPED: Runs = Runs { begun: 1, finished: 0, dropped: 1 };

macro_rules! behind_each {
    ($($name:ident)+) => {
        mod nginx {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Kind::Nginx).await;
            }
        )+}
        mod haproxy {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Kind::Haproxy).await;
            }
        )+}
    };
}

behind_each! {
    calls_go_to_every_server_and_come_back
    the_largest_request_comes_through
    a_call_that_is_dropped_ends_its_hook
    a_call_whose_time_is_over_ends_its_hook
    servers_that_are_taken_out_and_then_stopped_lose_no_call
    a_balancer_that_takes_its_configuration_anew_loses_no_call
    of_a_server_that_is_killed_only_calls_under_way_fail_and_no_hook_runs_twice
    of_a_balancer_that_is_killed_only_calls_under_way_fail_and_it_is_used_again
    a_balancer_without_a_server_is_a_plugin_that_is_not_available
    a_hook_that_takes_longer_than_the_balancer_waits_is_no_allow_and_is_ended
    connections_that_are_closed_for_being_idle_lose_no_call
    tls_ends_at_the_balancer_which_lets_in_only_those_it_knows
    the_references_server_is_called_and_left
}

async fn calls_go_to_every_server_and_come_back(kind: Kind) {
    let guards = Guards::start().await;
    let Some(balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    let load = Load::start(&plugin, 16, 0);
    load.go_on(300).await;
    let outcomes = load.stop().await;
    assert_eq!(outcomes.told(), [].into());
    outcomes.are_true_to(&guards.register.begun());
    for guard in &guards.all {
        assert!(guard.own.begun().len() > 10, "it gets its share");
    }
}

async fn the_largest_request_comes_through(kind: Kind) {
    let guards = Guards::start().await;
    let Some(balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    let text = "x".repeat((4 << 20) - 1024);
    ask(&plugin, json!({"marker": "large", "text": text}), None).await.unwrap();
    let error = ask(&plugin, json!({"text": [&*text, &*text]}), None).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("request_too_large", Sent::No), "{error}");
}

async fn a_call_that_is_dropped_ends_its_hook(kind: Kind) {
    let guards = Guards::start().await;
    let Some(balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    let call = {
        let plugin = plugin.clone();
        tokio::spawn(async move { ask(&plugin, json!({"marker": "a", "held": true}), None).await })
    };
    eventually("the hook runs", || guards.register.of("a").begun == 1).await;
    call.abort();
    eventually("the hook is dropped", || guards.register.of("a") == DROPPED).await;
    ask(&plugin, json!({"marker": "b"}), None).await.unwrap();
}

async fn a_call_whose_time_is_over_ends_its_hook(kind: Kind) {
    let guards = Guards::start().await;
    let Some(balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    let time = Some(Duration::from_millis(500));
    let error = ask(&plugin, json!({"marker": "a", "held": true}), time).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::Maybe), "{error}");
    eventually("the hook is dropped", || guards.register.of("a") == DROPPED).await;
    ask(&plugin, json!({"marker": "b"}), None).await.unwrap();
}

/// As `docs/remote.md` has it: first at the balancer, then, when no call comes any more, the
/// server.
async fn servers_that_are_taken_out_and_then_stopped_lose_no_call(kind: Kind) {
    let mut guards = Guards::start().await;
    let all = guards.addresses();
    let Some(mut balancer) = Balancer::start(kind, &all) else { return };
    let plugin = balancer.plugin().await;
    let load = Load::start(&plugin, CALLERS, MS);
    for out in 0..all.len() {
        load.go_on(100).await;
        match kind {
            Kind::Haproxy => balancer.order(&format!("set server servers/s{out} state drain")),
            Kind::Nginx => {
                let rest: Vec<_> = all.iter().filter(|at| **at != all[out]).cloned().collect();
                balancer.reload(&rest).await;
            }
        }
        guards.all[out].stop().await;
        load.go_on(100).await;
        guards.all[out].start_again().await;
        match kind {
            Kind::Haproxy => balancer.order(&format!("set server servers/s{out} state ready")),
            Kind::Nginx => balancer.reload(&all).await,
        }
    }
    load.go_on(100).await;
    let outcomes = load.stop().await;
    assert_eq!(outcomes.told(), [].into());
    outcomes.are_true_to(&guards.register.begun());
}

async fn a_balancer_that_takes_its_configuration_anew_loses_no_call(kind: Kind) {
    let guards = Guards::start().await;
    let Some(mut balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    let load = Load::start(&plugin, CALLERS, MS);
    for _ in 0..5 {
        load.go_on(200).await;
        balancer.reload(&guards.addresses()).await;
    }
    load.go_on(200).await;
    let outcomes = load.stop().await;
    assert_eq!(outcomes.told(), [].into());
    outcomes.are_true_to(&guards.register.begun());
    let connects: u64 = plugin.stats().connections.iter().map(|one| one.connects).sum();
    assert!(connects > 1, "the old one has sent us away");
}

async fn of_a_server_that_is_killed_only_calls_under_way_fail_and_no_hook_runs_twice(kind: Kind) {
    const KILLS: usize = 3;
    // HAProxy refuses a stream whose request it has passed on to a server that is lost: neither
    // rule may believe it.
    for retry in [RetryPolicy::Unsent, RetryPolicy::Unstarted] {
        let mut guards = Guards::start().await;
        let Some(balancer) = Balancer::start(kind, &guards.addresses()) else { return };
        let plugin = balancer.plugin_with(retry).await;
        let load = Load::start(&plugin, CALLERS, MS);
        for _ in 0..KILLS {
            load.go_on(200).await;
            guards.all[1].kill().await;
            load.go_on(200).await;
            guards.all[1].start_again().await;
        }
        load.go_on(200).await;
        let outcomes = load.stop().await;
        outcomes.are_true_to(&guards.register.begun());
        assert_eq!(outcomes.sent(Sent::Maybe), outcomes.failed.len(), "{:?}", outcomes.told());
        let failed = outcomes.failed.len();
        assert!((1..=KILLS * CALLERS).contains(&failed), "{:?}", outcomes.told());
    }
}

async fn of_a_balancer_that_is_killed_only_calls_under_way_fail_and_it_is_used_again(kind: Kind) {
    let guards = Guards::start().await;
    let Some(mut balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    let load = Load::start(&plugin, CALLERS, MS);
    load.go_on(200).await;
    tokio::task::block_in_place(|| {
        balancer.kill();
        balancer.start_again();
    });
    let ok = plugin.stats().ok;
    eventually("it is used again", || plugin.stats().ok > ok + 200).await;
    let outcomes = load.stop().await;
    outcomes.are_true_to(&guards.register.begun());
    let lost = outcomes.sent(Sent::Maybe);
    assert!((1..=CALLERS).contains(&lost), "{:?}", outcomes.told());
}

async fn a_balancer_without_a_server_is_a_plugin_that_is_not_available(kind: Kind) {
    let mut guards = Guards::start().await;
    let Some(balancer) = Balancer::start(kind, &guards.addresses()) else { return };
    let plugin = balancer.plugin().await;
    for guard in &mut guards.all {
        guard.stop().await;
    }
    // Its own error page.
    let error = ask(&plugin, json!({"marker": "a"}), None).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
    let told = match kind {
        Kind::Nginx => "HTTP 502 Bad Gateway",
        Kind::Haproxy => "HTTP 503 Service Unavailable",
    };
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!(guards.register.of("a"), Runs::default());

    let error = balancer.try_plugin(RetryPolicy::Unsent).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
    assert!(error.to_string().contains(told), "{error}");

    for guard in &mut guards.all {
        guard.start_again().await;
    }
    eventually_called(&plugin).await;
}

async fn eventually_called(plugin: &hookwire::PluginHandle) {
    let called = async {
        while ask(plugin, json!({"marker": "back"}), None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    common::calls::in_time("a call is answered", called).await;
}

async fn a_hook_that_takes_longer_than_the_balancer_waits_is_no_allow_and_is_ended(kind: Kind) {
    let guards = Guards::start().await;
    let lines = match kind {
        Kind::Nginx => Lines { front: "grpc_read_timeout 500ms;", ..Lines::default() },
        Kind::Haproxy => Lines { back: "timeout server 500ms", ..Lines::default() },
    };
    let Some(balancer) = Balancer::start_with(kind, &guards.addresses(), lines) else { return };
    let plugin = balancer.plugin().await;
    let error = ask(&plugin, json!({"marker": "a", "held": true}), None).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe), "{error}");
    assert!(error.to_string().contains("HTTP 504 Gateway Timeout"), "{error}");
    eventually("the hook is dropped", || guards.register.of("a") == DROPPED).await;
    ask(&plugin, json!({"marker": "b"}), None).await.unwrap();
}

async fn connections_that_are_closed_for_being_idle_lose_no_call(kind: Kind) {
    let guards = Guards::start().await;
    let lines = match kind {
        Kind::Nginx => Lines { front: "keepalive_timeout 100ms;", ..Lines::default() },
        Kind::Haproxy => Lines { front: "timeout client 100ms", ..Lines::default() },
    };
    let Some(balancer) = Balancer::start_with(kind, &guards.addresses(), lines) else { return };
    let plugin = balancer.plugin().await;
    let connects = || plugin.stats().connections.iter().map(|one| one.connects).sum::<u64>();
    for n in 0..5 {
        let before = connects();
        ask(&plugin, json!({"marker": n.to_string()}), None).await.unwrap();
        eventually("it is closed, and there is another", || connects() > before).await;
    }
    assert!(guards.register.begun().values().all(|times| *times == 1));
}

/// A certificate that signs itself, in files: alone, and with its key in one file.
fn certificate(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let signed = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let (alone, both) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.pem")));
    fs::write(&alone, signed.pem()).unwrap();
    fs::write(&both, signed.pem() + &key.serialize_pem()).unwrap();
    (alone, both)
}

async fn tls_ends_at_the_balancer_which_lets_in_only_those_it_knows(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let (ca, own) = certificate(dir.path(), "127.0.0.1");
    let (known, gateway) = certificate(dir.path(), "gateway");
    let (other_ca, stranger) = certificate(dir.path(), "stranger");
    let (own, known) = (own.display(), known.display());
    let (listen, front) = match kind {
        Kind::Nginx => {
            let front = format!(
                "ssl_certificate {own}; ssl_certificate_key {own};
                ssl_client_certificate {known}; ssl_verify_client on;"
            );
            ("ssl".to_owned(), front)
        }
        Kind::Haproxy => {
            let tls = format!("ssl crt {own} alpn h2 ca-file {known} verify required");
            (tls, String::new())
        }
    };
    let lines = Lines { listen: listen.leak(), front: front.leak(), ..Lines::default() };
    let guards = Guards::start().await;
    let Some(balancer) = Balancer::start_with(kind, &guards.addresses(), lines) else { return };
    let connect = |ca: &Path, certificate: Option<&Path>| {
        let tls = TlsConfig::new().with_ca_bundle(ca);
        let tls = match certificate {
            Some(file) => tls.with_client_certificate(file, file),
            None => tls,
        };
        let grpc = GrpcConfig::builder().target(balancer.target()).tls(tls);
        balancer.plugin_over(PLUGIN, grpc, RetryPolicy::Unsent)
    };
    let plugin = connect(&ca, Some(&gateway)).await.unwrap();
    ask(&plugin, json!({"marker": "a"}), None).await.unwrap();
    for (ca, certificate) in [(&ca, None), (&ca, Some(&*stranger)), (&other_ca, Some(&*gateway))] {
        let error = connect(ca, certificate).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
    }
    assert_eq!(guards.register.begun().len(), 1);
}

async fn the_references_server_is_called_and_left(kind: Kind) {
    let Some(server) = GrpcReference::over_tcp() else { return };
    let Some(balancer) = Balancer::start(kind, &[server.target()]) else { return };
    let echo = balancer.plugin_named("Echo", RetryPolicy::Unsent).await.unwrap();
    let result = call(&echo, json!({"marker": "a"})).await.unwrap();
    assert_eq!(common::modified(result).unwrap().args.unwrap()["marker"], "a");
    let deny = balancer.plugin_named("Deny", RetryPolicy::Unsent).await.unwrap();
    assert!(!call(&deny, json!({})).await.unwrap().is_allowed());

    let counter = balancer.plugin_named("Counter", RetryPolicy::Unsent).await.unwrap();
    let dropped = {
        let (counter, args) =
            (counter.clone(), json!({"marker": "b", "delay_ms": 2000, "exit": true}));
        tokio::spawn(async move { call(&counter, args).await.map(drop) })
    };
    eventually("the hook runs", || server.executions("b") == 1).await;
    dropped.abort();
    // Longer than the hook would have run, which would have ended the server.
    let result = call(&counter, json!({"marker": "c", "delay_ms": 2500})).await.unwrap();
    assert_eq!(result.metadata()["marker"], "c");
    assert_eq!((server.executions("b"), server.executions("c")), (1, 1));
}
