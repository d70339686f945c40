use std::time::Duration;

use serde_json::{Value, json};

use super::super::{
    ConfigError, OnError, PluginConfig, PluginConfigBuilder, PluginMode, UnixSocketConfig,
    UnixSocketSection,
};
use super::{entry, logged, plugin, problems};

const YAML: &str = r#"
plugins:
  - name: "MyPlugin"            # required
    kind: "external"            # selects a transport section; exactly one of mcp, grpc, unix_socket
    hooks: ["tool_pre_invoke"]
    mode: "sequential"          # sequential | transform | audit | concurrent | fire_and_forget | disabled
    on_error: "fail"            # fail | ignore | disable
    priority: 100               # lower runs first
    unix_socket:
      path: "/run/plugins/my.sock"   # non-empty, absolute
      reconnect_attempts: 3
      reconnect_delay: 0.1           # seconds
      timeout: 30.0                  # seconds
"#;

#[derive(Debug, serde::Deserialize)]
struct File {
    plugins: Vec<PluginConfig>,
}

#[test]
fn the_gateways_yaml_is_read_as_it_is() {
    let file: File = serde_norway::from_str(YAML).unwrap();
    let built = PluginConfig::builder("MyPlugin")
        .hook("tool_pre_invoke")
        .mode(PluginMode::Sequential)
        .on_error(OnError::Fail)
        .priority(100)
        .unix_socket(
            UnixSocketConfig::builder("/run/plugins/my.sock")
                .reconnect_attempts(3)
                .reconnect_delay(Duration::from_millis(100)),
        )
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    assert_eq!(file.plugins, [built]);
}

#[test]
fn a_name_and_a_socket_are_enough_and_the_rest_has_the_references_defaults() {
    let plugin = plugin(json!({}));
    assert_eq!((plugin.name(), plugin.kind()), ("P", "external"));
    assert_eq!((plugin.mode(), plugin.on_error()), (PluginMode::Sequential, OnError::Fail));
    assert_eq!((plugin.priority(), plugin.max_content_size()), (100, 10_000_000));
    assert!(plugin.hooks().is_empty() && plugin.tags().is_empty());
    assert!(plugin.conditions().is_empty() && plugin.capabilities().is_empty());
    assert_eq!((plugin.description(), plugin.version()), (None, None));
    assert_eq!((plugin.applied_to(), plugin.plugin_settings()), (None, None));
}

#[test]
fn all_problems_are_reported_together_in_one_line() {
    let error = PluginConfig::from_value(json!({
        "name": "MyPlugin",
        "mode": "sequental",
        "unix_socket": {"path": "my.sock", "timeout": -1, "pth": "/run/my.sock"},
    }))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration of plugin `MyPlugin` has 4 problems: \
         mode = \"sequental\": must be one of `sequential`, `transform`, `audit`, `concurrent`, `fire_and_forget`, `disabled`; \
         unix_socket.path = \"my.sock\": must be absolute; \
         unix_socket.timeout = -1: must be a number of seconds above 0 and at most 31536000; \
         unix_socket.pth: unknown key, did you mean `path`?"
    );
}

#[test]
fn a_problem_tells_field_value_and_reason_apart() {
    let error = PluginConfig::from_value(entry(json!({"priority": 1.5}))).unwrap_err();
    let problem = &error.problems()[0];
    assert_eq!((problem.field(), problem.value()), ("priority", Some("1.5")));
    assert_eq!(problem.reason(), "must be a whole number from -2147483648 to 2147483647");
}

#[test]
fn an_error_in_a_list_names_its_plugin() {
    let list = json!([
        {"name": "Good", "unix_socket": {"path": "/run/good.sock"}},
        {"name": "Bad", "unix_socket": {"path": ""}},
    ]);
    let error = serde_json::from_value::<Vec<PluginConfig>>(list).unwrap_err();
    let told = "configuration of plugin `Bad` has 1 problem: \
                unix_socket.path = \"\": must not be empty";
    assert!(error.to_string().starts_with(told), "{error}");
}

#[test]
fn a_missing_or_empty_name_is_refused() {
    let socket = json!({"path": "/run/p.sock"});
    let missing = problems(json!({"unix_socket": socket}));
    assert_eq!(missing, ["name: missing; it must be the plugin's name on its server"]);
    let empty = problems(json!({"name": "", "unix_socket": socket}));
    assert_eq!(empty, ["name = \"\": must not be empty"]);
    let number = problems(json!({"name": 7, "unix_socket": socket}));
    assert_eq!(number, ["name = 7: must be a string (in quotes if it looks like a number)"]);
}

#[test]
fn an_error_without_a_name_still_reads_well() {
    let error = PluginConfig::from_value(json!({"unix_socket": {"path": "/p"}})).unwrap_err();
    assert_eq!(error.plugin(), None);
    assert!(error.to_string().starts_with("configuration has 1 problem: name: missing"));
}

#[test]
fn an_entry_that_is_no_object_is_refused() {
    assert_eq!(problems(json!("P")), ["entry = \"P\": must be an object"]);
}

#[test]
fn a_plugin_without_a_unix_socket_section_is_refused() {
    let told =
        "unix_socket: missing; hookwire needs this section, with the `path` of the plugin's socket";
    assert_eq!(problems(json!({"name": "P"})), [told]);
    assert_eq!(problems(json!({"name": "P", "unix_socket": null, "grpc": null})), [told]);
    assert_eq!(problems(json!({"name": "P", "mcp": {"url": "http://host"}})), [told]);
    let built = PluginConfig::builder("P").build().unwrap_err();
    let told = "unix_socket.path: missing; it must be the absolute path of the plugin's socket";
    assert_eq!(built.problems()[0].to_string(), told);
}

#[cfg(not(feature = "grpc"))]
#[test]
fn without_the_feature_a_plugin_over_grpc_is_refused_with_its_name() {
    let told = "grpc: this program was built without gRPC; build it with the feature `grpc` of the package `hookwire`, or reach the plugin over a `unix_socket`";
    assert_eq!(problems(json!({"name": "P", "grpc": {"target": "127.0.0.1:1"}})), [told]);
    assert_eq!(problems(json!({"name": "P", "grpc": {"what": {"ever": 1}}})), [told]);
}

#[test]
fn a_unix_socket_that_is_no_section_is_refused() {
    let entry = json!({"name": "P", "unix_socket": "/run/p.sock"});
    assert_eq!(problems(entry), ["unix_socket = \"/run/p.sock\": must be an object"]);
}

#[test]
fn an_external_plugin_has_exactly_one_transport() {
    let told = problems(entry(json!({"mcp": {"url": "http://host"}, "grpc": {}})));
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("mcp: an external plugin has exactly one transport"), "{told:?}");
    assert!(told[1].starts_with("grpc: "), "{told:?}");
    plugin(json!({"mcp": null, "grpc": null}));
}

#[test]
fn the_config_of_an_external_plugin_is_refused_and_not_shown() {
    let told = problems(entry(json!({"config": {"api_key": "s3cret"}})));
    assert_eq!(
        told,
        [
            "config = an object: refused for an external plugin; set it in the configuration of the plugin's server"
        ]
    );
    assert_eq!(problems(entry(json!({"config": "s3cret"}))), ["config: must be an object"]);
}

#[test]
fn an_empty_config_is_as_good_as_none() {
    assert_eq!(plugin(json!({"config": {}})).plugin_settings(), None);
}

#[test]
fn another_kind_keeps_its_config() {
    let plugin = plugin(json!({"kind": "my.Plugin", "config": {"a": 1}}));
    assert_eq!(plugin.plugin_settings().unwrap()["a"], 1);
}

#[test]
fn older_modes_are_read_as_their_successors() {
    for (word, mode, on_error) in [
        ("enforce", PluginMode::Sequential, OnError::Fail),
        ("enforce_ignore_error", PluginMode::Sequential, OnError::Ignore),
        ("permissive", PluginMode::Transform, OnError::Fail),
    ] {
        let plugin = plugin(json!({"mode": word}));
        assert_eq!((plugin.mode(), plugin.on_error()), (mode, on_error), "{word}");
    }
}

#[test]
fn enforce_ignore_error_does_not_override_on_error() {
    let plugin = plugin(json!({"mode": "enforce_ignore_error", "on_error": "disable"}));
    assert_eq!(plugin.on_error(), OnError::Disable);
}

#[test]
fn conditions_and_applied_to_are_carried_uninterpreted() {
    let plugin = plugin(json!({
        "conditions": [{"server_ids": ["s1"], "of_a_newer_gateway": 1}],
        "applied_to": {"tools": [{"tool_name": "t"}]},
        "capabilities": ["read_headers", "of_a_newer_gateway"],
    }));
    assert_eq!(plugin.conditions()[0]["of_a_newer_gateway"], 1);
    assert_eq!(plugin.applied_to().unwrap()["tools"][0]["tool_name"], "t");
    assert_eq!(plugin.capabilities().len(), 2);
}

#[test]
fn values_of_another_type_are_refused() {
    for (key, value, told) in [
        ("version", json!(1.0), "version = 1.0: must be a string"),
        ("hooks", json!("tool_pre_invoke"), "hooks = \"tool_pre_invoke\": must be a list"),
        ("hooks", json!([""]), "hooks = a list: must be a list of non-empty strings"),
        ("on_error", json!("stop"), "on_error = \"stop\": must be one of `fail`, `ignore`"),
        ("priority", json!(true), "priority = true: must be a whole number"),
        ("max_content_size", json!(-1), "max_content_size = -1: must be a whole number from 0"),
        ("conditions", json!({}), "conditions = an object: must be a list of objects"),
        ("applied_to", json!([]), "applied_to = a list: must be an object"),
    ] {
        let found = problems(entry(json!({key: value})));
        assert!(found.len() == 1 && found[0].starts_with(told), "{found:?}");
    }
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    assert_eq!(plugin(json!({"priority": 50.0})).priority(), 50);
}

#[test]
fn null_is_as_good_as_not_set() {
    let nulls = json!({"description": null, "hooks": null, "mode": null, "priority": null});
    assert_eq!(plugin(nulls), plugin(json!({})));
}

#[test]
fn unknown_keys_beside_the_socket_are_ignored_with_one_warning() {
    let log = logged(|| drop(plugin(json!({"hoks": [], "x_owner": "me"}))));
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("WARN") && log.contains("plugin=\"P\""), "{log}");
    assert!(log.contains("ignored: `hoks` (did you mean `hooks`?), `x_owner`"), "{log}");
}

#[test]
fn debug_output_leaves_the_config_out() {
    let plugin = plugin(json!({"kind": "my.Plugin", "config": {"key": "s3cret"}}));
    assert!(!format!("{plugin:?}").contains("s3cret"));
}

#[test]
fn a_full_entry_survives_writing_and_reading() {
    let built = PluginConfig::builder("P")
        .timeout(Duration::from_millis(1500))
        .socket("/run/p.sock")
        .hooks(["tool_pre_invoke", "tool_post_invoke"])
        .mode(PluginMode::FireAndForget)
        .on_error(OnError::Disable)
        .priority(-5)
        .max_content_size(u64::MAX)
        .description("d")
        .author("a")
        .namespace("n")
        .version("1.0")
        .tag("t")
        .capability("read_headers")
        .condition(serde_json::Map::from_iter([("tools".to_owned(), json!(["t"]))]))
        .applied_to(serde_json::Map::from_iter([("tools".to_owned(), Value::Null)]))
        .build()
        .unwrap();
    assert_eq!(built.policy().timeout(), Duration::from_millis(1500));
    let json = serde_json::to_string(&built).unwrap();
    assert_eq!(serde_json::from_str::<PluginConfig>(&json).unwrap(), built);
    let yaml = serde_norway::to_string(&built).unwrap();
    assert_eq!(serde_norway::from_str::<PluginConfig>(&yaml).unwrap(), built);
}

#[test]
fn a_configuration_from_a_file_can_be_changed_through_a_builder() {
    let read = plugin(json!({
        "hooks": ["tool_pre_invoke"], "mode": "permissive", "conditions": [{"tools": ["a"]}],
        "unix_socket": {"path": "/run/p.sock", "timeout": 2, "stamp": true},
    }));
    let unchanged = PluginConfigBuilder::from(read.clone()).build().unwrap();
    assert_eq!(unchanged, read);

    let changed = PluginConfigBuilder::from(read).hook("tool_post_invoke").priority(7);
    let changed = changed.timeout(Duration::from_secs(1)).build().unwrap();
    assert_eq!(changed.hooks(), ["tool_pre_invoke", "tool_post_invoke"]);
    assert_eq!((changed.priority(), changed.mode()), (7, PluginMode::Transform));
    assert_eq!(changed.policy().timeout(), Duration::from_secs(1));
    assert!(changed.policy().stamp());
}

#[test]
fn a_config_error_is_a_plain_error_that_can_be_passed_on() {
    fn passes<E: std::error::Error + Clone + Send + Sync + 'static>() {}
    passes::<ConfigError>();
}

#[test]
fn every_value_of_a_wrong_type_is_a_problem_of_its_own() {
    let error = PluginConfig::from_value(json!({
        "name": "P", "hooks": 1, "priority": "high",
        "unix_socket": {"path": "/p", "max_connections": "4", "retry": 1, "verify": [], "bakoff": 2},
    }));
    let error = error.unwrap_err();
    let fields: Vec<_> = error.problems().iter().map(|problem| problem.field()).collect();
    let socket = ["max_connections", "retry", "verify", "bakoff"];
    let expected = ["hooks", "priority"].into_iter().map(String::from);
    let expected = expected.chain(socket.map(|key| format!("unix_socket.{key}")));
    assert_eq!(fields, Vec::from_iter(expected));
}

#[test]
fn control_characters_never_reach_the_terminal_that_shows_an_error() {
    let error = PluginConfig::from_value(json!({
        "name": "P\u{1b}[2J",
        "unix_socket": {"path": "/run/\u{9b}31m\n.sock", "\u{7f}": 1},
    }))
    .unwrap_err();
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.contains(r"plugin `P\u{1b}[2J`"), "{text}");
    let path = r#"unix_socket.path = "/run/\u{9b}31m\n.sock": must not contain control characters"#;
    assert!(text.contains(path), "{text}");
}

#[test]
fn an_endpoint_is_the_path_of_the_socket() {
    let endpoint = plugin(json!({})).endpoint();
    assert_eq!(endpoint.to_string(), "/run/p.sock");
    assert_eq!(endpoint.path(), Some(std::path::Path::new("/run/p.sock")));
}

#[test]
fn a_section_of_an_applications_own_file_makes_a_plugin() {
    let keys = json!({"path": "/run/p.sock", "timeout": 2, "stamp": true, "max_connections": 2});
    let section: UnixSocketSection = serde_json::from_value(keys.clone()).unwrap();
    let built = PluginConfig::builder("P").unix_socket_section(section).build().unwrap();
    assert_eq!(built, plugin(json!({"unix_socket": keys})));
}

#[test]
fn debug_output_of_a_builder_leaves_the_config_out() {
    let plugin = plugin(json!({"kind": "my.Plugin", "config": {"key": "s3cret"}}));
    assert!(!format!("{:?}", PluginConfigBuilder::from(plugin)).contains("s3cret"));
}
