use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    BigIntegers, CallPolicy, CallPolicyBuilder, DeepNesting, PluginConfig, RetryPolicy, Transport,
    UnixSocketBuilder, UnixSocketConfig, UnixSocketSection, Verify,
};
use super::super::{entry, transport};
use super::problems;

fn with_socket(mut socket: Value) -> Value {
    if socket.get("path").is_none() {
        socket["path"] = "/run/p.sock".into();
    }
    json!({"name": "P", "unix_socket": socket})
}

fn read(keys: Value) -> PluginConfig {
    PluginConfig::from_value(with_socket(keys)).unwrap()
}

fn socket(keys: Value) -> UnixSocketConfig {
    match read(keys).transport().clone() {
        Transport::Unix(socket) => socket,
        #[cfg(feature = "grpc")]
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_path_is_enough_and_the_rest_has_the_documented_defaults() {
    let policy = read(json!({})).policy().clone();
    let socket = socket(json!({}));
    assert_eq!(socket.path().to_str(), Some("/run/p.sock"));
    assert_eq!(socket.reconnect_attempts(), 3);
    assert_eq!(socket.reconnect_delay(), Duration::from_millis(100));
    assert_eq!(policy.timeout(), Duration::from_secs(35));
    assert_eq!(socket.max_connections(), 8);
    assert_eq!(socket.max_in_flight(), 16);
    assert_eq!(policy.queue_capacity(), 1024);
    assert_eq!(socket.connect_timeout(), Duration::from_secs(5));
    assert_eq!(socket.max_backoff(), Duration::from_secs(1));
    assert_eq!(socket.idle_timeout(), Duration::from_secs(8));
    assert_eq!(socket.stall_limit(), Duration::from_secs(2));
    assert_eq!(policy.breaker_threshold(), 5);
    assert_eq!(policy.breaker_max_open(), Duration::from_secs(30));
    assert_eq!(socket.keep_alive(), None);
    assert_eq!(socket.max_connection_age(), None);
    assert_eq!(policy.retry(), RetryPolicy::Unsent);
    assert_eq!(policy.retry_budget(), 20);
    assert_eq!(policy.verify(), Verify::On);
    assert!(!policy.stamp());
    assert!(!socket.trust_path());
    assert!(socket.peer_uids().is_empty() && socket.peer_gids().is_empty());
    assert_eq!(socket.max_frame_len(), 16_777_216);
    assert_eq!(policy.big_integers(), BigIntegers::Refuse);
    assert_eq!(policy.deep_nesting(), DeepNesting::Refuse);
}

#[test]
fn every_knob_can_be_set_in_a_file() {
    let keys = json!({
        "path": "/p", "reconnect_attempts": 0, "reconnect_delay": 0.25, "timeout": 2,
        "max_connections": 2, "max_in_flight": 1, "queue_capacity": 0, "connect_timeout": 0.5,
        "max_backoff": 3, "idle_timeout": 299, "stall_limit": 4, "retry": "resend",
        "verify": "off", "stamp": "on", "max_frame_len": 1024,
        "trust_path": true, "peer_uids": [0, 1000], "peer_gids": [7], "big_integers": "round",
        "deep_nesting": "text",
        "breaker_threshold": 0, "breaker_max_open": 0.5, "keep_alive": 60, "retry_budget": 100,
        "max_connection_age": 600,
    });
    let policy = CallPolicy::builder()
        .timeout(Duration::from_secs(2))
        .queue_capacity(0)
        .breaker_threshold(0)
        .breaker_max_open(Duration::from_millis(500))
        .retry(RetryPolicy::Resend)
        .retry_budget(100)
        .verify(false)
        .stamp(true)
        .big_integers(BigIntegers::Round)
        .deep_nesting(DeepNesting::Text);
    let socket = UnixSocketConfig::builder("/p")
        .reconnect_attempts(0)
        .reconnect_delay(Duration::from_millis(250))
        .max_connections(2)
        .max_in_flight(1)
        .connect_timeout(Duration::from_millis(500))
        .max_backoff(Duration::from_secs(3))
        .idle_timeout(Duration::from_secs(299))
        .stall_limit(Duration::from_secs(4))
        .keep_alive(Some(Duration::from_secs(60)))
        .max_connection_age(Some(Duration::from_secs(600)))
        .trust_path(true)
        .peer_uids([0, 1000])
        .peer_gids([7])
        .max_frame_len(1024);
    let built = PluginConfig::builder("P").unix_socket(socket).policy(policy).build().unwrap();
    assert_eq!(read(keys), built);
}

#[test]
fn a_path_must_be_there_absolute_and_without_control_characters() {
    for (socket, told) in [
        (
            json!({}),
            "unix_socket.path: missing; it must be the absolute path of the plugin's socket",
        ),
        (json!({"path": ""}), "unix_socket.path = \"\": must not be empty"),
        (json!({"path": "run/p.sock"}), "unix_socket.path = \"run/p.sock\": must be absolute"),
        (
            json!({"path": "/p\0"}),
            "unix_socket.path = \"/p\\u0000\": must not contain control characters",
        ),
        (json!({"path": 5}), "unix_socket.path = 5: must be a string, in UTF-8"),
    ] {
        assert_eq!(problems(json!({"name": "P", "unix_socket": socket})), [told]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_must_fit_sun_path() {
    let path = |len: usize| format!("/{}", "x".repeat(len - 1));
    assert!(UnixSocketConfig::builder(path(107)).build().is_ok());
    let error = UnixSocketConfig::builder(path(108)).build().unwrap_err();
    let reason = error.problems()[0].reason();
    assert_eq!(reason, "must be at most 107 bytes long (a limit of the system), not 108");
}

#[test]
fn a_path_that_is_not_utf_8_is_refused_and_never_changed() {
    let error = UnixSocketConfig::builder(OsStr::from_bytes(b"/run/\xff")).build().unwrap_err();
    assert!(
        error.to_string().contains("unix_socket.path = a list: must be a string, in UTF-8"),
        "{error}"
    );
}

#[test]
fn an_endless_path_does_not_fill_the_log() {
    let told = problems(with_socket(json!({"path": "/x".repeat(10_000)})));
    assert!(told[0].len() < 400);
}

#[test]
fn durations_must_be_finite_positive_and_at_most_a_year() {
    let knobs = ["reconnect_delay", "timeout", "connect_timeout", "max_backoff", "stall_limit"];
    for knob in knobs.into_iter().chain(["breaker_max_open"]) {
        for value in [json!(0), json!(-1), json!(1e300), json!(31_536_001), json!(1e-12)] {
            let told = problems(with_socket(json!({knob: value})));
            let rule = "must be a number of seconds above 0 and at most 31536000";
            assert_eq!(told, [format!("unix_socket.{knob} = {value}: {rule}")]);
        }
    }
}

#[test]
fn a_year_from_now_is_a_point_in_time() {
    let year = Duration::from_secs(31_536_000);
    let policy = CallPolicy::builder().timeout(year).build().unwrap();
    assert!(std::time::Instant::now().checked_add(policy.timeout()).is_some());
}

/// JSON values have no infinity: read as one, it would be null and mean the default.
#[test]
fn infinite_and_undefined_numbers_are_not_taken_for_not_set() {
    for (yaml, shown) in [(".inf", "inf"), ("-.inf", "-inf"), (".nan", "NaN")] {
        let yaml = format!("{{name: P, unix_socket: {{path: /p, timeout: {yaml}}}}}");
        let error = serde_norway::from_str::<PluginConfig>(&yaml).unwrap_err().to_string();
        assert!(error.contains(&format!("unix_socket.timeout = \"{shown}\": must be")), "{error}");
    }
}

#[test]
fn counts_out_of_bounds_are_refused() {
    for (knob, value, rule) in [
        ("reconnect_attempts", json!(-1), "from 0 to 4294967295"),
        ("reconnect_attempts", json!(1.5), "from 0 to 4294967295"),
        ("reconnect_attempts", json!("3"), "from 0 to 4294967295"),
        ("max_connections", json!(0), "from 1 to 1024"),
        ("max_connections", json!(1025), "from 1 to 1024"),
        ("max_in_flight", json!(0), "from 1 to 65536"),
        ("max_in_flight", json!(65_537), "from 1 to 65536"),
        ("queue_capacity", json!(-1), "from 0 to 1048576"),
        ("queue_capacity", json!(1_048_577), "from 0 to 1048576"),
        ("breaker_threshold", json!(-1), "from 0 to 4294967295"),
        ("retry_budget", json!(101), "from 0 to 100"),
        ("max_frame_len", json!(1023), "from 1024 to 4294967295"),
        ("max_frame_len", json!(4_294_967_296_u64), "from 1024 to 4294967295"),
    ] {
        let told = problems(with_socket(json!({knob: value})));
        assert_eq!(told, [format!("unix_socket.{knob} = {value}: must be a whole number {rule}")]);
    }
}

#[test]
fn idle_connections_are_closed_before_the_server_closes_them() {
    let told = problems(with_socket(json!({"idle_timeout": 300})));
    let rule = "must be a number of seconds above 0 and at most 299";
    assert_eq!(told, [format!("unix_socket.idle_timeout = 300: {rule}")]);
}

#[test]
fn keep_alive_is_a_time_or_off() {
    for (value, every) in [(json!("off"), None), (json!(false), None), (json!(null), None)] {
        assert_eq!(socket(json!({"keep_alive": value})).keep_alive(), every);
    }
    for value in [json!(0), json!(300), json!("on"), json!(true), json!("10")] {
        let told = problems(with_socket(json!({"keep_alive": value})));
        let rule = "must be a number of seconds above 0 and at most 299, or `off`";
        assert_eq!(told, [format!("unix_socket.keep_alive = {value}: {rule}")]);
    }
}

#[test]
fn a_probe_that_would_never_be_sent_is_refused() {
    let told = problems(with_socket(json!({"keep_alive": 240})));
    assert_eq!(told, ["unix_socket.keep_alive = 240: must be below idle_timeout (8)"]);
    let told = problems(with_socket(json!({"keep_alive": 5, "idle_timeout": 4})));
    assert_eq!(told, ["unix_socket.keep_alive = 5: must be below idle_timeout (4)"]);
}

#[test]
fn a_long_reconnect_delay_lifts_the_default_cap() {
    let socket = socket(json!({"reconnect_delay": 5}));
    assert_eq!(socket.max_backoff(), Duration::from_secs(5));
}

#[test]
fn a_cap_below_the_reconnect_delay_is_refused() {
    let told = problems(with_socket(json!({"reconnect_delay": 5, "max_backoff": 2})));
    assert_eq!(told, ["unix_socket.max_backoff = 2: must not be below reconnect_delay (5)"]);
}

#[test]
fn verify_is_on_off_or_strict() {
    for (value, verify) in [
        (json!(true), Verify::On),
        (json!(false), Verify::Off),
        (json!("on"), Verify::On),
        (json!("off"), Verify::Off),
        (json!("strict"), Verify::Strict),
    ] {
        assert_eq!(read(json!({"verify": value})).policy().verify(), verify);
    }
    let told = problems(with_socket(json!({"verify": "yes"})));
    assert_eq!(
        told,
        ["unix_socket.verify = \"yes\": must be true, false or one of `off`, `on`, `strict`"]
    );
}

#[test]
fn ids_are_whole_numbers_in_a_list() {
    for value in [json!(0), json!([-1]), json!(["root"]), json!([4_294_967_295_u64]), json!([1.5])]
    {
        let told = problems(with_socket(json!({"peer_uids": value})));
        let rule = "must be a list of ids, whole numbers from 0 to 4294967294";
        assert!(told[0].ends_with(rule), "{told:?}");
    }
}

#[test]
fn unknown_words_are_refused_with_the_known_ones() {
    let told = problems(with_socket(json!({"retry": "always", "big_integers": "keep"})));
    assert_eq!(
        told,
        [
            "unix_socket.retry = \"always\": must be one of `unsent`, `unstarted`, `resend`",
            "unix_socket.big_integers = \"keep\": must be one of `refuse`, `round`",
        ]
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (key, nearest) in [
        ("pth", "path"),
        ("Path", "path"),
        ("tiemout", "timeout"),
        ("conect_timeout", "connect_timeout"),
        ("backoff", "max_backoff"),
        ("delay", "reconnect_delay"),
        ("max_conns", "max_connections"),
    ] {
        let told = problems(with_socket(json!({key: null})));
        let expected = format!("unix_socket.{key}: unknown key, did you mean `{nearest}`?");
        assert_eq!(told, [expected]);
    }
}

#[test]
fn a_builder_is_held_to_the_same_bounds() {
    let socket =
        UnixSocketConfig::builder("p.sock").idle_timeout(Duration::MAX).max_connections(usize::MAX);
    let error = PluginConfig::builder("P")
        .unix_socket(socket)
        .policy(CallPolicy::builder().timeout(Duration::ZERO))
        .build()
        .unwrap_err();
    let fields: Vec<_> = error.problems().iter().map(|problem| problem.field()).collect();
    let expected = ["path", "max_connections", "idle_timeout", "timeout"];
    assert_eq!(fields, expected.map(|key| format!("unix_socket.{key}")));
}

#[test]
fn a_configuration_can_be_changed_through_a_builder() {
    let changed =
        UnixSocketBuilder::from(socket(json!({"stall_limit": 5}))).max_in_flight(1).build();
    assert_eq!(changed.unwrap(), socket(json!({"stall_limit": 5, "max_in_flight": 1})));
    let policy = read(json!({"timeout": 5})).policy().clone();
    let changed = CallPolicyBuilder::from(policy).retry_budget(1).build();
    assert_eq!(&changed.unwrap(), read(json!({"timeout": 5, "retry_budget": 1})).policy());
}

#[test]
fn a_socket_section_alone_can_be_read() {
    let error = serde_json::from_value::<UnixSocketSection>(json!({"path": "p"})).unwrap_err();
    let told = "configuration has 1 problem: unix_socket.path = \"p\": must be absolute";
    assert_eq!(error.to_string(), told);
}

/// An empty line once ended a table before its last keys, and they were shown as text.
#[test]
fn every_key_is_documented_in_a_row_of_a_table() {
    let page = include_str!("../../../docs/configuration.md");
    let tables = page
        .split("\n\n")
        .filter(|text| text.lines().nth(1).is_some_and(|l| l.starts_with("|---")));
    let rows = tables.flat_map(|table| table.lines().skip(2));
    let keys: Vec<_> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    for key in [entry::KEYS, transport::KEYS].concat().concat() {
        assert!(keys.iter().any(|cell| cell.contains(&format!("`{key}`"))), "{key}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(
        attempts in any::<u32>(),
        [delay, timeout, connect, stall] in std::array::from_fn(|_| 1..=86_400_000_u64),
        idle in 1..=299_000_u64,
        connections in 1..=1024_usize,
        in_flight in 1..=65_536_usize,
        capacity in 0..=1_048_576_usize,
        frame in 1024..=u32::MAX as usize,
        (threshold, rest, budget) in (any::<u32>(), 1..=86_400_000_u64, 0..=100_u32),
        alive in proptest::option::of(0.01..0.99),
        uids in proptest::collection::vec(0..u32::MAX, 0..3),
        [resend, verify, stamp, round, trust_path] in any::<[bool; 5]>(),
    ) {
        let socket = UnixSocketConfig::builder("/run/p.sock")
            .reconnect_attempts(attempts)
            .reconnect_delay(Duration::from_millis(delay))
            .connect_timeout(Duration::from_millis(connect))
            .stall_limit(Duration::from_millis(stall))
            .idle_timeout(Duration::from_millis(idle))
            .max_connections(connections)
            .max_in_flight(in_flight)
            .max_frame_len(frame)
            .keep_alive(alive.map(|part| Duration::from_millis(idle).mul_f64(part)))
            .trust_path(trust_path)
            .peer_gids(uids.iter().copied().rev())
            .peer_uids(uids);
        let policy = CallPolicy::builder()
            .timeout(Duration::from_millis(timeout))
            .queue_capacity(capacity)
            .breaker_threshold(threshold)
            .breaker_max_open(Duration::from_millis(rest))
            .retry_budget(budget)
            .retry(if resend { RetryPolicy::Resend } else { RetryPolicy::Unsent })
            .verify(verify)
            .stamp(stamp)
            .big_integers(if round { BigIntegers::Round } else { BigIntegers::Refuse });
        let built = PluginConfig::builder("P").unix_socket(socket).policy(policy).build().unwrap();
        let json = serde_json::to_string(&built).unwrap();
        prop_assert_eq!(serde_json::from_str::<PluginConfig>(&json).unwrap(), built);
    }
}
