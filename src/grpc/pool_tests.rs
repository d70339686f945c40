use std::net::SocketAddr;

use super::*;
use crate::config::{GrpcConfig, TlsConfig};
use crate::grpc::configured::servers;
use crate::grpc::settings::Servers;
use crate::grpc::way::Way;

fn builder() -> crate::config::GrpcBuilder {
    GrpcConfig::builder().target("127.0.0.1:7")
}

fn tls() -> TlsConfig {
    TlsConfig::new().with_ca_bundle("/ca.pem").with_client_certificate("/c.pem", "/k.pem")
}

/// The only server.
fn way(pool: &Pool, grpc: crate::config::GrpcBuilder) -> Arc<Subchannel> {
    let Servers::Known(remotes) = servers(&grpc.build().unwrap(), None) else { panic!("a name") };
    let [remote] = &remotes[..] else { panic!("{}", remotes.len()) };
    pool.subchannel(remote).unwrap()
}

#[test]
fn what_decides_where_a_connection_leads_and_how_it_is_secured_keeps_plugins_apart() {
    let pool = Pool::default();
    let with = |tls| way(&pool, builder().tls(tls));
    let socket = || GrpcConfig::builder().uds("/s.sock");
    let ways = [
        way(&pool, builder()),
        way(&pool, builder().plaintext(true)),
        way(&pool, GrpcConfig::builder().target("127.0.0.1:8")),
        way(&pool, GrpcConfig::builder().target("127.0.0.2:7")),
        with(tls()),
        with(TlsConfig::new()),
        with(tls().with_ca_bundle("/other.pem")),
        with(tls().with_client_certificate("/other.pem", "/k.pem")),
        with(tls().with_client_certificate("/c.pem", "/other.key")),
        with(tls().with_server_name("guard.example")),
        way(&pool, socket()),
        way(&pool, socket().trust_path(true)),
        way(&pool, socket().peer_uids([1])),
        way(&pool, socket().peer_gids([1])),
        way(&pool, GrpcConfig::builder().uds("/other.sock")),
    ];
    for (index, one) in ways.iter().enumerate() {
        assert!(!ways[..index].iter().any(|other| Arc::ptr_eq(one, other)), "{index}");
    }
}

#[test]
fn what_is_up_to_each_call_does_not() {
    let pool = Pool::default();
    let one = way(&pool, builder().tls(tls()));
    let other = builder()
        .tls(tls())
        .connect_timeout(std::time::Duration::from_secs(1))
        .max_in_flight(1)
        .keep_alive(None)
        .max_reply_len(1024 * 1024);
    assert!(Arc::ptr_eq(&one, &way(&pool, other)));
    // By itself, or as one of several.
    let several = GrpcConfig::builder().targets(["127.0.0.1:8", "127.0.0.1:7"]).tls(tls());
    let Servers::Known(remotes) = servers(&several.build().unwrap(), None) else {
        panic!("a name")
    };
    assert!(Arc::ptr_eq(&one, &pool.subchannel(&remotes[1]).unwrap()));
}

#[test]
fn an_address_that_two_names_lead_to_is_asked_for_by_each_of_them() {
    let pool = Pool::default();
    let grpc = builder().tls(tls()).build().unwrap();
    let address: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let way = |host: Option<&str>| {
        let remote = Way::from(&grpc).to_address(address.to_string(), host, address);
        pool.subchannel(&remote).unwrap()
    };
    let ways = [way(Some("one.example")), way(Some("other.example")), way(None)];
    assert!(!Arc::ptr_eq(&ways[0], &ways[1]) && !Arc::ptr_eq(&ways[0], &ways[2]));
    assert!(Arc::ptr_eq(&ways[0], &way(Some("one.example"))));
}

#[test]
fn ways_that_nobody_has_any_more_are_forgotten() {
    let pool = Pool::default();
    let one = way(&pool, builder());
    drop(way(&pool, GrpcConfig::builder().target("127.0.0.1:8")));
    drop(way(&pool, GrpcConfig::builder().target("127.0.0.1:9")));
    assert_eq!(pool.lock().len(), 2);
    assert!(Arc::ptr_eq(&one, &way(&pool, builder())));
    assert_eq!(pool.open(), 0);
}
