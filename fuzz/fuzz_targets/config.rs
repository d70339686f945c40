//! Any JSON as a plugin's entry, over a socket or gRPC, and as what its server reports: no
//! panic; what is accepted keeps its bounds and is written as it was read.
#![no_main]

use std::path::Path;
use std::time::Duration;

use hookwire::config::Target;
use hookwire::fuzz_bridge::grpc::is_local;
use hookwire::fuzz_bridge::merge_remote;
use hookwire::{CallPolicy, GrpcConfig, PluginConfig, Transport, UnixSocketConfig};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

// The bounds of docs/configuration.md.

fn check_durations<const N: usize>(durations: [Duration; N]) {
    for duration in durations {
        assert!(!duration.is_zero() && duration <= YEAR, "{duration:?}");
    }
}

fn check_path(path: &Path) {
    let path = path.to_str().expect("UTF-8");
    assert!(
        path.starts_with('/') && path.len() <= 107 && !path.contains(char::is_control),
        "{path}"
    );
}

fn check_policy(policy: &CallPolicy) {
    check_durations([policy.timeout(), policy.breaker_max_open()]);
    assert!(policy.retry_budget() <= 100);
    assert!(policy.queue_capacity() <= 1_048_576);
}

fn check_socket(socket: &UnixSocketConfig) {
    check_path(socket.path());
    check_durations([
        socket.connect_timeout(),
        socket.reconnect_delay(),
        socket.max_backoff(),
        socket.stall_limit(),
        socket.idle_timeout(),
    ]);
    assert!(socket.idle_timeout() <= Duration::from_secs(299));
    assert!(socket.max_backoff() >= socket.reconnect_delay());
    assert!(socket.keep_alive().is_none_or(|every| every < socket.idle_timeout()));
    assert!(socket.max_connection_age().is_none_or(|age| !age.is_zero() && age <= YEAR));
    assert!((1..=1024).contains(&socket.max_connections()));
    assert!((1..=65_536).contains(&socket.max_in_flight()));
    assert!((1024..=u32::MAX as usize).contains(&socket.max_frame_len()));
}

/// Nor does plaintext leave this machine where nobody has said so.
fn check_grpc(grpc: &GrpcConfig) {
    check_durations([grpc.connect_timeout(), grpc.reconnect_delay(), grpc.max_backoff()]);
    assert!(grpc.max_backoff() >= grpc.reconnect_delay());
    assert!(grpc.keep_alive().is_none_or(|every| !every.is_zero() && every <= YEAR));
    assert!((1..=65_536).contains(&grpc.max_in_flight()));
    for length in [grpc.max_message_len(), grpc.max_reply_len()] {
        assert!((1024..=u32::MAX as usize).contains(&length));
    }
    let targets = grpc.targets();
    assert!(!targets.is_empty());
    if let Some(Target::Unix(path)) = targets.iter().find(|at| matches!(at, Target::Unix(_))) {
        check_path(path);
        assert!(targets.len() == 1 && grpc.tls().is_none());
    }
    if grpc.tls().is_none() && grpc.plaintext() != Some(true) {
        assert!(targets.iter().all(is_local), "{targets:?}");
    }
    if let Some(tls) = grpc.tls() {
        assert_ne!(grpc.plaintext(), Some(true));
        assert_eq!(tls.certfile().is_some(), tls.keyfile().is_some());
    }
}

fn check(entry: &Value, remote: Option<&Value>) {
    let read = PluginConfig::from_value(entry.clone());
    let parsed = serde_json::from_str::<PluginConfig>(&entry.to_string());
    let config = match (read, parsed) {
        (Ok(read), Ok(parsed)) => {
            assert_eq!(read, parsed, "the same, whichever way it came");
            read
        }
        (Err(error), Err(_)) => {
            assert!(!error.problems().is_empty() && !error.to_string().is_empty());
            return;
        }
        (read, parsed) => panic!("{read:?} as a value, {parsed:?} as text"),
    };
    assert!(!config.name().is_empty());
    check_policy(config.policy());
    match config.transport() {
        Transport::Unix(socket) => check_socket(socket),
        Transport::Grpc(grpc) => check_grpc(grpc),
        other => panic!("{other:?} is not known here"),
    }
    let written = serde_json::to_value(&config).expect("what is valid can be written");
    assert_eq!(PluginConfig::from_value(written).as_ref(), Ok(&config));

    let Some(Value::Object(remote)) = remote else { return };
    let merged = merge_remote(&config, remote);
    assert_eq!((merged.name(), merged.kind()), (config.name(), config.kind()));
    assert_eq!(merged.transport(), config.transport());
    assert_eq!(merged.policy(), config.policy());
    assert_eq!(merge_remote(&merged, remote), merged, "twice the same changes nothing");
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    match value.as_array().map(Vec::as_slice) {
        Some([entry, remote]) => check(entry, Some(remote)),
        _ => check(&value, Some(&value)),
    }
});
