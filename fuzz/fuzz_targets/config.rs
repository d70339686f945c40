//! Any JSON as a plugin's entry, and as what its server reports: no panic; what is
//! accepted keeps its bounds and is written as it was read.
#![no_main]

use std::time::Duration;

use hookwire::fuzz_bridge::merge_remote;
use hookwire::{CallPolicy, PluginConfig, Transport, UnixSocketConfig};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The bounds of docs/configuration.md.
fn check_bounds(socket: &UnixSocketConfig, policy: &CallPolicy) {
    let path = socket.path().to_str().expect("UTF-8");
    assert!(
        path.starts_with('/') && path.len() <= 107 && !path.contains(char::is_control),
        "{path}"
    );
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    for duration in [
        policy.timeout(),
        socket.connect_timeout(),
        socket.reconnect_delay(),
        socket.max_backoff(),
        socket.stall_limit(),
        socket.idle_timeout(),
        policy.breaker_max_open(),
    ] {
        assert!(!duration.is_zero() && duration <= year, "{duration:?}");
    }
    assert!(socket.idle_timeout() <= Duration::from_secs(299));
    assert!(socket.max_backoff() >= socket.reconnect_delay());
    assert!(socket.keep_alive().is_none_or(|every| every < socket.idle_timeout()));
    assert!(socket.max_connection_age().is_none_or(|age| !age.is_zero() && age <= year));
    assert!(policy.retry_budget() <= 100);
    assert!((1..=1024).contains(&socket.max_connections()));
    assert!((1..=65_536).contains(&socket.max_in_flight()));
    assert!(policy.queue_capacity() <= 1_048_576);
    assert!((1024..=u32::MAX as usize).contains(&socket.max_frame_len()));
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
    let Transport::Unix(socket) = config.transport() else { return };
    check_bounds(socket, config.policy());
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
