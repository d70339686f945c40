//! What is of HAProxy alone, between our client and three servers.
#![cfg(all(feature = "grpc", feature = "server"))]
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::balancer::{Balancer, Kind, Lines};
use common::calls::eventually;
use common::guards::Guards;
use common::load::Load;

/// A `grpc.health.v1.Health/Check`, byte for byte: the preface of HTTP/2 and no settings, the
/// headers, an empty message; and a reply that is SERVING. HAProxy 2.6 has no check for gRPC, and
/// its own for HTTP cannot send a zero.
const CHECK: &str = "option tcp-check
    tcp-check send-binary 505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000
    tcp-check send-binary 00004b0104000000018386041c2f677270632e6865616c74682e76312e4865616c74682f436865636b01096c6f63616c686f73740f10106170706c69636174696f6e2f677270630002746508747261696c657273
    tcp-check send-binary 0000050001000000010000000000
    tcp-check expect binary 00000000020801";

/// The states of the servers, by HAProxy's own word.
fn states(balancer: &Balancer) -> Vec<String> {
    let all = balancer.ask("show stat servers -1 -1");
    let server = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        let is_server = fields.first() == Some(&"servers") && fields[1].starts_with('s');
        is_server.then(|| fields[17].to_owned())
    };
    all.lines().filter_map(server).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_it_is_not_serving_gets_no_more_calls_and_is_stopped_without_a_loss() {
    let mut guards = Guards::start().await;
    let lines = Lines { back: CHECK, ..Lines::default() };
    let Some(balancer) = Balancer::start_with(Kind::Haproxy, &guards.addresses(), lines) else {
        return;
    };
    let plugin = balancer.plugin().await;
    let load = Load::start(&plugin, 64, 50);
    load.go_on(200).await;
    guards.all[1].server().set_serving(false);
    eventually("it is out", || states(&balancer)[1].starts_with("DOWN")).await;
    guards.all[1].stop().await;
    load.go_on(200).await;
    guards.all[1].start_again().await;
    eventually("it is back", || states(&balancer)[1].starts_with("UP")).await;
    load.go_on(200).await;
    let outcomes = load.stop().await;
    assert_eq!(outcomes.told(), [].into());
    outcomes.are_true_to(&guards.register.begun());
}
