use serde_json::json;

use super::*;

fn read(config: Value) -> Result<Settings, String> {
    let entry = json!({
        "name": "Guard", "kind": "external", "hooks": ["cmf.tool_pre_invoke"], "config": config,
    });
    read_entry(entry)
}

fn read_entry(entry: Value) -> Result<Settings, String> {
    Settings::read(&entry_of(entry)).map_err(|problems| problems.join("; "))
}

fn entry_of(entry: Value) -> Entry {
    serde_json::from_value(entry).unwrap()
}

fn socket() -> Value {
    json!({"path": "/run/plugins/guard.sock"})
}

#[test]
fn d2_an_entry_needs_its_socket_below_config_and_no_more() {
    let settings = read(json!({"unix_socket": socket()})).unwrap();
    assert_eq!(settings.plugin.name(), "Guard");
    assert_eq!(settings.hooks, [Hook::ToolPre]);
    assert_eq!(settings.payload, Payload::Auto);
    assert_eq!(settings.namespace, Namespace::Refuse);
    assert_eq!(settings.start, Start::Eager);
}

#[test]
fn d2_a_socket_beside_config_is_told_of() {
    // What the engine makes of it: a key that it does not know is gone.
    let problem = read_entry(json!({
        "name": "Guard", "kind": "external", "hooks": ["cmf.tool_pre_invoke"], "unix_socket": socket(),
    }))
    .unwrap_err();
    assert!(problem.contains("a `unix_socket` beside `config` never arrives here"), "{problem}");
}

#[test]
fn d2_every_other_key_is_refused_with_the_nearest_known_one() {
    let refused = |key: &str| read(json!({"unix_socket": socket(), key: 1})).unwrap_err();
    assert_eq!(refused("payloads"), "`config.payloads` is unknown, did you mean `payload`?");
    assert_eq!(
        refused("UnixSocket"),
        "`config.UnixSocket` is unknown, did you mean `unix_socket`?"
    );
    let far = refused("retries");
    assert!(far.contains("`config.retries` is unknown; there are `unix_socket`, `grpc`"), "{far}");
}

#[test]
fn d2_what_is_wrong_inside_the_socket_is_told_as_hookwire_tells_it() {
    let socket = json!({"path": "/run/guard.sock", "retires": 3});
    let problem = read(json!({"unix_socket": socket})).unwrap_err();
    assert!(problem.contains("did you mean `retry`?"), "{problem}");
}

#[test]
fn d2_empty_hooks_are_refused() {
    let problem = read_entry(json!({
        "name": "Guard", "kind": "external", "config": {"unix_socket": socket()},
    }))
    .unwrap_err();
    assert_eq!(problem, "`hooks` is empty: the plugin would never be called");
}

#[test]
fn d2_all_problems_are_told_together() {
    let problems = read_entry(json!({
        "name": "Guard", "kind": "external", "hooks": ["elicit", "http.request"],
        "config": {"unix_socket": socket(), "payload": "json", "strat": "lazy"},
    }))
    .unwrap_err();
    for part in ["`elicit`", "`http.request`", "`config.payload` must be one of", "`start`?"] {
        assert!(problems.contains(part), "{part} in {problems}");
    }
}

#[test]
fn the_name_on_the_server_may_be_another() {
    let settings = read(json!({"unix_socket": socket(), "name": "PIIFilter"})).unwrap();
    assert_eq!(settings.plugin.name(), "PIIFilter");
    assert!(read(json!({"unix_socket": socket(), "name": ""})).is_err());
}

#[test]
fn d7_a_model_has_no_legacy_payload() {
    let problem = read_entry(json!({
        "name": "Guard", "kind": "external", "hooks": ["cmf.llm_input"],
        "config": {"unix_socket": socket(), "payload": "legacy"},
    }))
    .unwrap_err();
    assert!(problem.contains("`cmf.llm_input` has no legacy payload"), "{problem}");
}

#[test]
fn d15_a_call_has_10_s_unless_its_socket_says_otherwise() {
    let timeout = |socket| read(json!({"unix_socket": socket})).unwrap().plugin.policy().timeout();
    assert_eq!(timeout(socket()), Duration::from_secs(10));
    assert_eq!(timeout(json!({"path": "/run/guard.sock", "timeout": 2})), Duration::from_secs(2));
}

/// What the log is told of an entry with these keys.
fn doubts(keys: Value) -> Vec<String> {
    let mut entry = json!({
        "name": "Guard", "kind": "external", "hooks": ["cmf.tool_pre_invoke"],
        "config": {"unix_socket": socket()},
    });
    let (Value::Object(entry_keys), Value::Object(keys)) = (&mut entry, keys) else { panic!() };
    entry_keys.extend(keys);
    let entry = entry_of(entry);
    Settings::read(&entry).unwrap().doubts(&entry)
}

#[test]
fn an_entry_as_it_should_be_is_not_doubted() {
    assert!(doubts(json!({})).is_empty());
    assert!(doubts(json!({"mode": "concurrent", "on_error": "ignore"})).is_empty());
}

#[test]
fn d13_a_mode_that_lets_requests_pass_is_warned_of() {
    for mode in ["transform", "audit", "fire_and_forget"] {
        let doubts = doubts(json!({"mode": mode}));
        assert!(doubts[0].contains("the engine ignores a denial"), "{doubts:?}");
        assert!(doubts[0].contains(mode), "{doubts:?}");
    }
}

#[test]
fn d14_disable_is_warned_of() {
    let doubts = doubts(json!({"on_error": "disable"}));
    assert!(doubts[0].contains("until the engine is made anew"), "{doubts:?}");
}

#[test]
fn d15_a_time_limit_like_the_engines_own_is_warned_of() {
    let socket = json!({"path": "/run/guard.sock", "timeout": 30});
    let doubts = doubts(json!({"config": {"unix_socket": socket}}));
    assert!(doubts[0].contains("below the engine's `plugin_timeout`"), "{doubts:?}");
}

#[test]
fn d20_hooks_that_cannot_go_over_a_socket_are_refused_with_the_reason() {
    let refused = |hook: &str| {
        read_entry(json!({
            "name": "Guard", "kind": "external", "hooks": [hook], "config": {"unix_socket": socket()},
        }))
        .unwrap_err()
    };
    assert!(
        refused("identity.resolve")
            .contains("a plugin behind a socket would be asked about an empty one")
    );
    assert!(refused("token.delegate").contains("is not given bearer tokens"));
    assert!(refused("http.request").contains("the headers are in the extensions"));
    assert!(refused("http.response").contains("the headers are in the extensions"));
    assert!(refused("elicit").contains("plugin servers have no such hook"));
    assert!(refused("my.own").contains("only the hooks of tools, prompts, resources and models"));
}

#[cfg(feature = "grpc")]
#[test]
fn with_the_feature_an_entry_may_name_servers_elsewhere() {
    let grpc = json!({"target": "guard.example:50051", "tls": {}});
    let settings = read(json!({"grpc": grpc})).unwrap();
    assert_eq!(settings.plugin.policy().timeout(), Duration::from_secs(10));
    let both = read(json!({"grpc": grpc, "unix_socket": socket()})).unwrap_err();
    assert!(both.contains("exclude each other"), "{both}");
}

#[cfg(not(feature = "grpc"))]
#[test]
fn without_the_feature_grpc_is_refused_by_its_name() {
    let problem = read(json!({"grpc": {"target": "guard.example:50051"}})).unwrap_err();
    assert!(problem.contains("needs the feature `grpc`"), "{problem}");
}
