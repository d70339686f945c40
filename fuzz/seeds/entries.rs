//! Entries of a gateway's file, as JSON.

use serde_json::{Value, json};

use super::Seeds;

pub(super) fn configs() -> Seeds {
    let socket = json!({"path": "/run/plugins/my.sock"});
    let with = |key: &str, value: Value| {
        let mut socket = socket.clone();
        socket[key] = value;
        json!({"name": "Guard", "unix_socket": socket})
    };
    let full = json!({
        "name": "Guard", "kind": "external", "description": "d", "author": "a",
        "namespace": "n", "version": "1", "hooks": ["tool_pre_invoke"], "tags": ["t"],
        "mode": "enforce_ignore_error", "on_error": "disable", "priority": 100.0,
        "max_content_size": 10_000_000, "conditions": [{"server_ids": ["s"]}],
        "applied_to": {"tools": []}, "capabilities": ["c"], "mcp": null,
        "unix_socket": {
            "path": "/run/plugins/my.sock", "reconnect_attempts": 3, "reconnect_delay": 0.1,
            "timeout": 30.0, "max_connections": 8, "max_in_flight": 16, "queue_capacity": 1024,
            "connect_timeout": 5, "max_backoff": 1, "idle_timeout": 240, "stall_limit": 2,
            "retry": "resend", "verify": "on", "max_frame_len": 16_777_216,
            "big_integers": "round", "breaker_threshold": 5, "breaker_max_open": 30,
            "keep_alive": 30, "max_connection_age": 600, "retry_budget": 20, "stamp": true, "trust_path": true,
            "peer_uids": [0], "peer_gids": [0],
        },
    });
    let over_grpc = |grpc: Value| json!({"name": "Guard", "grpc": grpc});
    let full_over_grpc = over_grpc(json!({
        "target": "guard.internal:50051", "server_name": "guard.example",
        "tls": {
            "ca_bundle": "/etc/ca.pem", "certfile": "/etc/a.pem", "keyfile": "/etc/a.key",
            "verify": true,
        },
        "reconnect_attempts": 3, "reconnect_delay": 0.1, "max_backoff": 1, "connect_timeout": 5,
        "max_in_flight": 128, "keep_alive": 10, "max_message_len": 4_194_304,
        "max_reply_len": 16_777_216, "timeout": 30, "queue_capacity": 1024, "retry": "unsent",
        "retry_budget": 20, "breaker_threshold": 5, "breaker_max_open": 30, "stamp": true,
    }));
    let remote = json!({
        "name": "Guard", "hooks": ["evaluate"], "mode": "permissive", "priority": 5.0,
        "config": {"secret": 1}, "tags": null, "on_error": "maybe",
    });
    let entries = [
        ("minimal", with("retry", "unsent".into())),
        ("full", full),
        ("local_and_remote", json!([with("verify", false.into()), remote])),
        (
            "its_own_config",
            json!({"name": "G", "kind": "x", "config": {"a": 1}, "unix_socket": {"path": "/a"}}),
        ),
        ("a_misspelt_key", with("timout", 1.into())),
        ("a_long_delay", with("reconnect_delay", 3600.into())),
        ("bounds", with("max_connections", 1025.into())),
        ("a_tiny_duration", with("timeout", 1e-300.into())),
        ("probed_too_late", with("keep_alive", 240.into())),
        ("a_relative_path", with("path", "my.sock".into())),
        ("a_nul_in_the_path", with("path", "/a\0b".into())),
        ("a_merge_key", with("<<", json!({"timeout": 1}))),
        ("a_control_character_in_the_path", with("path", "/a\u{9b}31m".into())),
        ("what_had_not_begun_again", with("retry", "unstarted".into())),
        ("a_template", with("timeout", "{{ env.T }}".into())),
        (
            "a_merge_key_and_braces_within",
            json!({
                "name": "G", "unix_socket": {"path": "/a"}, "applied_to": {"{x": null},
                "conditions": [{"<<": {}}],
            }),
        ),
        ("a_server", over_grpc(json!({"target": "127.0.0.1:50051"}))),
        ("a_server_with_all", full_over_grpc),
        (
            "servers",
            over_grpc(
                json!({"targets": ["a.example:1", "ipv6:[::1]:1,[fd00::2]:1"], "plaintext": true}),
            ),
        ),
        (
            "a_server_on_a_socket",
            over_grpc(json!({"uds": "/run/a.sock", "trust_path": true, "peer_uids": [0]})),
        ),
        ("plaintext_that_leaves", over_grpc(json!({"target": "10.0.0.1:50051"}))),
        ("no_object", json!([1])),
        ("two_transports", json!({"name": "G", "grpc": {}, "unix_socket": {"path": "/a"}})),
    ];
    entries.map(|(name, entry)| (format!("{name}.json"), entry.to_string().into())).into()
}
