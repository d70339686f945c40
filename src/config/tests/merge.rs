use serde_json::{Map, Value, json};

use super::super::{OnError, PluginConfig, PluginMode};
use super::plugin;

fn merged(local: Value, remote: Value) -> (PluginConfig, Vec<String>) {
    plugin(local).merged_with_remote(remote.as_object().unwrap())
}

/// What the reference server sends: every key, unset ones as null, numbers as doubles.
fn reported() -> Value {
    json!({
        "name": "P", "kind": "fixture.P", "description": null, "author": "them",
        "namespace": null, "version": "2.0", "hooks": ["tool_pre_invoke"], "tags": ["t"],
        "mode": "audit", "on_error": "ignore", "priority": 7.0, "max_content_size": 5.0,
        "conditions": [{"tools": null}], "applied_to": {"tools": null},
        "capabilities": ["read_headers"], "config": {"key": "value"},
        "mcp": null, "grpc": null, "unix_socket": null,
    })
}

#[test]
fn the_server_fills_what_the_entry_does_not_set() {
    let (merged, notes) = merged(json!({}), reported());
    assert_eq!(notes, [] as [&str; 0]);
    assert_eq!((merged.author(), merged.version()), (Some("them"), Some("2.0")));
    assert_eq!(merged.hooks(), ["tool_pre_invoke"]);
    assert_eq!(merged.tags(), ["t"]);
    assert_eq!((merged.mode(), merged.on_error()), (PluginMode::Audit, OnError::Ignore));
    assert_eq!((merged.priority(), merged.max_content_size()), (7, 5));
    assert_eq!((merged.conditions().len(), merged.applied_to().unwrap().len()), (1, 1));
    assert_eq!(merged.capabilities(), ["read_headers"]);
}

#[test]
fn local_values_win_even_where_they_equal_the_default() {
    let local = json!({
        "author": "us", "hooks": ["tool_post_invoke"], "mode": "sequential",
        "on_error": "fail", "priority": 100, "tags": [],
    });
    let (merged, _) = merged(local, reported());
    assert_eq!(merged.author(), Some("us"));
    assert_eq!(merged.hooks(), ["tool_post_invoke"]);
    assert_eq!((merged.mode(), merged.on_error()), (PluginMode::Sequential, OnError::Fail));
    assert_eq!(merged.priority(), 100);
    assert!(merged.tags().is_empty());
    assert_eq!(merged.version(), Some("2.0"));
}

#[test]
fn an_older_local_mode_also_sets_on_error() {
    let remote = json!({"on_error": "disable"});
    let (merged, _) = merged(json!({"mode": "enforce_ignore_error"}), remote);
    assert_eq!(merged.on_error(), OnError::Ignore);
}

#[test]
fn the_config_is_the_servers() {
    assert_eq!(merged(json!({}), reported()).0.plugin_settings().unwrap()["key"], "value");
    let local = json!({"kind": "my.Plugin", "config": {"key": "local"}});
    assert_eq!(merged(local, reported()).0.plugin_settings().unwrap()["key"], "value");
}

#[test]
fn the_servers_config_is_not_written_with_the_entry() {
    let (merged, _) = merged(json!({}), reported());
    let written = serde_json::to_value(&merged).unwrap();
    assert_eq!(written.get("config"), None);
    assert!(PluginConfig::from_value(written).is_ok());
}

#[test]
fn identity_and_transport_never_come_from_the_server() {
    let remote = json!({
        "name": "Other", "kind": "fixture.P", "mcp": {"url": "x"}, "grpc": {"target": "x"},
        "unix_socket": {"path": "/elsewhere"},
    });
    let (merged, notes) = merged(json!({}), remote);
    assert_eq!((merged, notes), (plugin(json!({})), vec![]));
}

#[test]
fn what_the_server_reports_wrongly_is_left_out_with_a_note() {
    let remote = json!({"priority": "high", "mode": "new_mode", "tags": ["t"], "new_key": 1});
    let (merged, notes) = merged(json!({"priority": 3}), remote);
    assert_eq!((merged.priority(), merged.mode()), (3, PluginMode::Sequential));
    assert_eq!(merged.tags(), ["t"]);
    assert_eq!(notes.len(), 2);
    assert!(notes[0].starts_with("ignored what the server reported for mode = \"new_mode\""));
    assert!(notes[1].contains("priority = \"high\": must be a whole number"));
}

#[test]
fn an_empty_answer_changes_nothing() {
    let local = plugin(json!({"hooks": ["tool_pre_invoke"]}));
    assert_eq!(local.merged_with_remote(&Map::new()), (local.clone(), vec![]));
}
