use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::grpc as section;
use super::super::{
    CallPolicy, GrpcBuilder, GrpcConfig, GrpcSection, PluginConfig, PluginConfigBuilder,
    RetryPolicy, Target, TlsConfig, Transport,
};
use super::problems;

pub(super) const LOCAL: &str = "127.0.0.1:50051";

/// An entry whose section has these keys, and a target unless they say where the server is.
pub(super) fn with_grpc(mut keys: Value) -> Value {
    if ["target", "targets", "uds"].iter().all(|key| keys.get(key).is_none()) {
        keys["target"] = LOCAL.into();
    }
    json!({"name": "P", "grpc": keys})
}

pub(super) fn told(keys: Value) -> Vec<String> {
    problems(with_grpc(keys))
}

fn read(keys: Value) -> PluginConfig {
    PluginConfig::from_value(with_grpc(keys)).unwrap()
}

pub(super) fn grpc(keys: Value) -> GrpcConfig {
    let Transport::Grpc(grpc) = read(keys).transport().clone() else { panic!() };
    grpc
}

fn targets(grpc: &GrpcConfig) -> Vec<String> {
    grpc.targets().iter().map(Target::to_string).collect()
}

#[test]
fn a_target_is_enough_and_the_rest_has_the_documented_defaults() {
    let (grpc, policy) = (grpc(json!({})), read(json!({})).policy().clone());
    assert_eq!(targets(&grpc), [LOCAL]);
    assert_eq!((grpc.tls(), grpc.plaintext()), (None, None));
    assert_eq!(grpc.reconnect_attempts(), 3);
    assert_eq!(grpc.reconnect_delay(), Duration::from_millis(100));
    assert_eq!(grpc.max_backoff(), Duration::from_secs(1));
    assert_eq!(grpc.connect_timeout(), Duration::from_secs(5));
    assert_eq!(grpc.max_in_flight(), 128);
    assert_eq!(grpc.keep_alive(), Some(Duration::from_secs(10)));
    assert_eq!(grpc.max_message_len(), 4_194_304);
    assert_eq!(grpc.max_reply_len(), 16_777_216);
    assert!(!grpc.trust_path() && grpc.peer_uids().is_empty() && grpc.peer_gids().is_empty());
    assert_eq!(policy, CallPolicy::builder().build().unwrap());
}

#[test]
fn every_knob_can_be_set_in_a_file() {
    let keys = json!({
        "targets": ["guard-a.example:50051", "10.0.0.7:50051"],
        "tls": {"ca_bundle": "/ca.pem", "certfile": "/c.pem", "keyfile": "/c.key", "verify": true},
        "server_name": "guard.internal", "plaintext": false,
        "reconnect_attempts": 0, "reconnect_delay": 0.25, "max_backoff": 3,
        "connect_timeout": 0.5, "max_in_flight": 1, "keep_alive": 600,
        "max_message_len": 1024, "max_reply_len": 2048,
        "timeout": 2, "queue_capacity": 0, "retry": "resend", "retry_budget": 100,
        "breaker_threshold": 0, "breaker_max_open": 0.5, "verify": "off", "stamp": "on",
        "big_integers": "round", "deep_nesting": "text",
    });
    let tls = TlsConfig::new()
        .with_ca_bundle("/ca.pem")
        .with_client_certificate("/c.pem", "/c.key")
        .with_server_name("guard.internal");
    let grpc = GrpcConfig::builder()
        .targets(["guard-a.example:50051", "10.0.0.7:50051"])
        .tls(tls)
        .plaintext(false)
        .reconnect_attempts(0)
        .reconnect_delay(Duration::from_millis(250))
        .max_backoff(Duration::from_secs(3))
        .connect_timeout(Duration::from_millis(500))
        .max_in_flight(1)
        .keep_alive(Some(Duration::from_secs(600)))
        .max_message_len(1024)
        .max_reply_len(2048);
    let policy = CallPolicy::builder()
        .timeout(Duration::from_secs(2))
        .queue_capacity(0)
        .retry(RetryPolicy::Resend)
        .retry_budget(100)
        .breaker_threshold(0)
        .breaker_max_open(Duration::from_millis(500))
        .verify(false)
        .stamp(true)
        .big_integers(super::super::BigIntegers::Round)
        .deep_nesting(super::super::DeepNesting::Text);
    let built = PluginConfig::builder("P").grpc(grpc).policy(policy).build().unwrap();
    assert_eq!(read(keys), built);
}

#[test]
fn a_unix_socket_has_the_trust_of_one() {
    let keys =
        json!({"uds": "/run/p.sock", "trust_path": true, "peer_uids": [0], "peer_gids": [7]});
    let builder = GrpcConfig::builder().uds("/run/p.sock").trust_path(true);
    let built = builder.peer_uids([0]).peer_gids([7]).build().unwrap();
    assert_eq!(grpc(keys), built);
    assert_eq!(targets(&built), ["unix:/run/p.sock"]);
}

#[test]
fn what_is_about_a_unix_socket_is_refused_without_one() {
    for (key, value) in
        [("trust_path", json!(true)), ("peer_uids", json!([0])), ("peer_gids", json!([0]))]
    {
        let expected = format!("grpc.{key}: is about a Unix socket, and `uds` is not set");
        assert_eq!(told(json!({key: value})), [expected]);
    }
}

// Promise: R1
#[test]
fn counts_and_times_out_of_bounds_are_refused() {
    for (key, value, rule) in [
        ("max_in_flight", json!(0), "a whole number from 1 to 65536"),
        ("max_in_flight", json!(65_537), "a whole number from 1 to 65536"),
        ("max_message_len", json!(1023), "a whole number from 1024 to 2147483642"),
        ("max_message_len", json!(2_147_483_643_u64), "a whole number from 1024 to 2147483642"),
        ("max_reply_len", json!(1023), "a whole number from 1024 to 4294967295"),
        ("reconnect_attempts", json!(-1), "a whole number from 0 to 4294967295"),
        ("connect_timeout", json!(0), "a number of seconds above 0 and at most 31536000"),
        ("reconnect_delay", json!(-1), "a number of seconds above 0 and at most 31536000"),
        ("timeout", json!(0), "a number of seconds above 0 and at most 31536000"),
        ("keep_alive", json!(0), "a number of seconds above 0 and at most 31536000, or `off`"),
        ("queue_capacity", json!(1_048_577), "a whole number from 0 to 1048576"),
    ] {
        assert_eq!(told(json!({key: value})), [format!("grpc.{key} = {value}: must be {rule}")]);
    }
}

#[test]
fn keep_alive_is_on_unless_it_is_off() {
    for off in [json!("off"), json!(false)] {
        assert_eq!(grpc(json!({"keep_alive": off})).keep_alive(), None);
    }
    assert!(grpc(json!({"keep_alive": null})).keep_alive().is_some());
}

#[test]
fn a_cap_below_the_reconnect_delay_is_refused() {
    assert_eq!(
        told(json!({"reconnect_delay": 5, "max_backoff": 2})),
        ["grpc.max_backoff = 2: must not be below reconnect_delay (5)"]
    );
    assert_eq!(grpc(json!({"reconnect_delay": 5})).max_backoff(), Duration::from_secs(5));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (key, nearest) in [
        ("tagret", "target"),
        ("sever_name", "server_name"),
        ("max_mesage_len", "max_message_len"),
        ("tiemout", "timeout"),
        ("domain_name", "server_name"),
    ] {
        let expected = format!("grpc.{key}: unknown key, did you mean `{nearest}`?");
        assert_eq!(told(json!({key: null})), [expected]);
    }
}

#[test]
fn a_key_of_the_socket_is_refused_with_what_there_is_instead() {
    for key in [
        "path",
        "max_frame_len",
        "max_connections",
        "idle_timeout",
        "max_connection_age",
        "stall_limit",
    ] {
        let told = told(json!({key: 1}));
        let expected = format!("grpc.{key}: is a key of `unix_socket`; here ");
        assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");
    }
}

#[test]
fn a_plugin_has_one_transport_of_whatever_kind_it_is() {
    for kind in ["external", "my.Plugin"] {
        let entry = json!({
            "name": "P", "kind": kind, "unix_socket": {"path": "/p"}, "grpc": {"target": LOCAL},
        });
        let told = problems(entry);
        assert!(told.len() == 1 && told[0].starts_with("grpc: "), "{told:?}");
        assert!(told[0].ends_with("this one also has `unix_socket`; remove one of them"));
    }
    let told = problems(json!({"name": "P", "mcp": {"url": "x"}, "grpc": {"target": LOCAL}}));
    assert!(told.len() == 1 && told[0].starts_with("mcp: "), "{told:?}");
    assert!(told[0].ends_with("this one also has `grpc`; remove one of them"), "{told:?}");
    let nulls = json!({"name": "P", "unix_socket": null, "mcp": null, "grpc": {"target": LOCAL}});
    assert!(PluginConfig::from_value(nulls).is_ok());
}

#[test]
fn the_problems_of_all_sections_are_reported_together() {
    let error = PluginConfig::from_value(json!({
        "name": "P", "priority": "high",
        "grpc": {"target": "a", "tls": {"certfle": "/c"}, "timeout": -1, "retry": 1, "x": 2},
    }));
    let error = error.unwrap_err();
    let fields = Vec::from_iter(error.problems().iter().map(|problem| problem.field()));
    let expected = ["priority", "grpc.target", "grpc.tls.certfle", "grpc.timeout", "grpc.retry"];
    assert_eq!(fields, [&expected[..], &["grpc.x"]].concat());
}

#[test]
fn a_section_of_an_applications_own_file_makes_a_plugin() {
    let keys = json!({"target": LOCAL, "timeout": 2, "stamp": true});
    let section: GrpcSection = serde_json::from_value(keys.clone()).unwrap();
    let built = PluginConfig::builder("P").grpc_section(section).build().unwrap();
    assert_eq!(built, read(keys));
    let error = serde_json::from_value::<GrpcSection>(json!({"target": "p"})).unwrap_err();
    assert!(error.to_string().starts_with("configuration has 1 problem: grpc.target = \"p\""));
}

#[test]
fn a_configuration_can_be_changed_through_a_builder() {
    let before = grpc(json!({"max_in_flight": 7}));
    let changed = GrpcBuilder::from(before).target("[::1]:1").build().unwrap();
    assert_eq!(changed, grpc(json!({"max_in_flight": 7, "target": "[::1]:1"})));
    let plugin =
        PluginConfigBuilder::from(read(json!({"timeout": 2}))).priority(7).build().unwrap();
    assert_eq!((plugin.priority(), plugin.policy().timeout()), (7, Duration::from_secs(2)));
}

#[test]
fn a_socket_in_code_takes_the_place_of_grpc_and_the_other_way_round() {
    let policy = CallPolicy::builder().stamp(true);
    let builder = PluginConfig::builder("P").policy(policy).grpc(grpc(json!({})));
    assert_eq!(builder.clone().build().unwrap(), read(json!({"stamp": true})));
    let socket = builder.socket("/run/p.sock").build().unwrap();
    assert!(matches!(socket.transport(), Transport::Unix(_)) && socket.policy().stamp());
}

#[test]
fn an_endpoint_names_the_targets_of_many_the_first() {
    let endpoint = |keys| read(keys).endpoint();
    assert_eq!(endpoint(json!({})).to_string(), LOCAL);
    assert_eq!(endpoint(json!({})).path(), None);
    let list = json!({"targets": ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"]});
    let shown = "127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3 and 1 more";
    assert_eq!(endpoint(list).to_string(), shown);
    let socket = endpoint(json!({"uds": "/run/p.sock"}));
    assert_eq!(socket.to_string(), "unix:/run/p.sock");
    assert_eq!(socket.path(), Some(std::path::Path::new("/run/p.sock")));
}

#[test]
fn what_the_server_reports_changes_no_transport() {
    let config = read(json!({}));
    let reported = json!({"unix_socket": {"path": "/x"}, "grpc": {"target": "x:1"}, "priority": 5});
    let (merged, _) = config.merged_with_remote(reported.as_object().unwrap());
    assert_eq!((merged.transport(), merged.priority()), (config.transport(), 5));
}

/// An empty line once ended a table before its last keys, and they were shown as text.
#[test]
fn every_key_is_documented_in_a_row_of_a_table() {
    let page = include_str!("../../../docs/configuration.md");
    let (_, page) = page.split_once("\n## gRPC: `grpc`\n").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let tables = page
        .split("\n\n")
        .filter(|text| text.lines().nth(1).is_some_and(|l| l.starts_with("|---")));
    let rows = tables.flat_map(|table| table.lines().skip(2));
    let keys: Vec<_> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let tls = super::super::tls::KEYS.iter().map(|key| format!("tls.{key}"));
    let own = [&section::KEYS[..3]].concat().concat().into_iter().map(str::to_owned);
    for key in own.chain(tls) {
        assert!(keys.iter().any(|cell| cell.contains(&format!("`{key}`"))), "{key}");
    }
}

fn any_target() -> impl Strategy<Value = String> {
    prop_oneof![
        (any::<[u8; 3]>(), 1..=u16::MAX)
            .prop_map(|([a, b, c], port)| format!("127.{a}.{b}.{c}:{port}")),
        (1..=u16::MAX).prop_map(|port| format!("[::1]:{port}")),
        ("[a-z][a-z0-9]{0,9}(\\.[a-z]{1,5}){0,2}", 1..=u16::MAX)
            .prop_map(|(host, port)| format!("{host}:{port}")),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(
        targets in prop::collection::hash_set(any_target(), 1..4),
        [delay, connect, keep_alive] in std::array::from_fn(|_| 1..=86_400_000_u64),
        probed in any::<bool>(),
        (attempts, in_flight) in (any::<u32>(), 1..=65_536_usize),
        message in 1024..=2_147_483_642_usize,
        reply in 1024..=u32::MAX as usize,
        [tls, authority, client, name, stamp, list] in any::<[bool; 6]>(),
    ) {
        let grpc = GrpcConfig::builder()
            .reconnect_attempts(attempts)
            .reconnect_delay(Duration::from_millis(delay))
            .connect_timeout(Duration::from_millis(connect))
            .keep_alive(probed.then_some(Duration::from_millis(keep_alive)))
            .max_in_flight(in_flight)
            .max_message_len(message)
            .max_reply_len(reply);
        let grpc = match (list, targets.iter().next()) {
            (false, Some(target)) => grpc.target(target),
            _ => grpc.targets(targets),
        };
        let mut secured = TlsConfig::new();
        if authority {
            secured = secured.with_ca_bundle("/ca.pem");
        }
        if client {
            secured = secured.with_client_certificate("/c.pem", "/c.key");
        }
        if name {
            secured = secured.with_server_name("guard.internal");
        }
        let grpc = if tls { grpc.tls(secured) } else { grpc.plaintext(true) };
        let policy = CallPolicy::builder().stamp(stamp);
        let built = PluginConfig::builder("P").grpc(grpc).policy(policy).build().unwrap();
        let json = serde_json::to_string(&built).unwrap();
        prop_assert_eq!(serde_json::from_str::<PluginConfig>(&json).unwrap(), built.clone());
        let yaml = serde_norway::to_string(&built).unwrap();
        prop_assert_eq!(serde_norway::from_str::<PluginConfig>(&yaml).unwrap(), built);
    }
}
