//! What is of nginx alone, between our client and three servers.
#![cfg(all(feature = "grpc", feature = "server"))]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::balancer::{Balancer, Kind, Lines};
use common::guards::{Guards, Runs};
use common::load::{Failed, Load, ask};
use hookwire::{ErrorKind, Sent};
use serde_json::json;

async fn balancer(guards: &Guards, front: &'static str) -> Option<Balancer> {
    let lines = Lines { front, ..Lines::default() };
    Balancer::start_with(Kind::Nginx, &guards.addresses(), lines)
}

/// Its default is 1000: after so many requests on a connection it sends GOAWAY, and passes over
/// what has come behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_has_had_its_number_of_requests_loses_no_call() {
    let guards = Guards::start().await;
    let Some(balancer) = balancer(&guards, "keepalive_requests 100;").await else { return };
    let plugin = balancer.plugin().await;
    let load = Load::start(&plugin, 64, 5);
    for _ in 0..30 {
        load.go_on(100).await;
    }
    let outcomes = load.stop().await;
    let ran = |failed: &Failed| (failed.marker.clone(), guards.register.of(&failed.marker));
    let ran = Vec::from_iter(outcomes.failed.iter().map(ran));
    assert_eq!(outcomes.told(), [].into(), "{ran:?}: {}", balancer.log());
    outcomes.are_true_to(&guards.register.begun());
    let connects: u64 = plugin.stats().connections.iter().map(|one| one.connects).sum();
    assert!(connects > 20, "{connects} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_it_finds_too_large_is_told_as_that() {
    let guards = Guards::start().await;
    // Its default.
    let Some(balancer) = balancer(&guards, "client_max_body_size 1m;").await else { return };
    let plugin = balancer.plugin().await;
    let text = "x".repeat(1 << 20);
    let error = ask(&plugin, json!({"marker": "large", "text": text}), None).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("request_too_large", Sent::Maybe), "{error}");
    assert!(error.to_string().contains("raise the proxy's limit"), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(guards.register.of("large"), Runs::default());

    ask(&plugin, json!({"marker": "small"}), None).await.unwrap();
    let connects: u64 = plugin.stats().connections.iter().map(|one| one.connects).sum();
    assert_eq!(connects, 1, "no other call had to suffer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_place_of_a_reply_is_no_allow() {
    const HOOK: &str = "location = /cpex.PluginService/InvokeHook";
    let pages = [
        ("default_type text/html; return 200 '<html>welcome</html>';", ErrorKind::BadReply),
        (
            "default_type text/html; add_header grpc-status 0; return 200 '<html></html>';",
            ErrorKind::BadReply,
        ),
        (
            "default_type application/grpc; add_header grpc-status 0; return 200 '';",
            ErrorKind::BadReply,
        ),
        (
            "default_type application/grpc; add_header grpc-status 0; return 200 'welcome';",
            ErrorKind::BadReply,
        ),
        ("return 204;", ErrorKind::Disconnected),
        ("return 302 https://login.example/;", ErrorKind::Disconnected),
        ("return 401;", ErrorKind::Unavailable),
        ("deny all;", ErrorKind::Unavailable),
        ("return 404;", ErrorKind::Config),
        ("return 500;", ErrorKind::Disconnected),
    ];
    let guards = Guards::start().await;
    for (page, kind) in pages {
        let front = Box::leak(format!("{HOOK} {{ {page} }}").into_boxed_str());
        let Some(balancer) = balancer(&guards, front).await else { return };
        let plugin = balancer.plugin().await;
        let error = ask(&plugin, json!({"marker": "a"}), None).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (kind, Sent::Maybe), "{page}: {error}");
    }
    assert_eq!(guards.register.of("a"), Runs::default());
}
