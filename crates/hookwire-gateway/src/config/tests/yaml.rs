use hookwire::config::{OnError, PluginMode};

use super::{config, problems};

#[test]
fn merge_keys_are_resolved_and_an_entrys_own_values_win() {
    let config = config(
        "
guard: &guard {mode: audit, priority: 5, hooks: [tool_pre_invoke]}
socket: &socket {timeout: 7, max_connections: 3}
plugins:
  - <<: *guard
    name: P
    priority: 9
    unix_socket: {<<: *socket, path: /p, timeout: 1}
",
    );
    let plugin = &config.plugins()[0];
    assert_eq!((plugin.mode(), plugin.priority()), (PluginMode::Audit, 9));
    assert_eq!(plugin.hooks(), ["tool_pre_invoke"]);
    assert_eq!(plugin.policy().timeout().as_secs(), 1);
}

#[test]
fn of_several_bases_the_first_one_wins_and_a_base_may_have_a_base() {
    let config = config(
        "
a: &a {mode: audit, tags: [a]}
b: &b {<<: *a, mode: transform, on_error: ignore}
c: &c {on_error: disable, priority: 1}
plugins: [{<<: [*b, *c], name: P, unix_socket: {path: /p}}]
",
    );
    let plugin = &config.plugins()[0];
    assert_eq!((plugin.mode(), plugin.on_error()), (PluginMode::Transform, OnError::Ignore));
    assert_eq!((plugin.priority(), plugin.tags()), (1, &["a".to_owned()][..]));
}

/// A plugin that its base disables was called all the same.
#[test]
fn h36_a_mode_that_comes_from_a_base_holds() {
    let config = config(
        "{off: &off {mode: disabled}, plugins: [{<<: *off, name: P, unix_socket: {path: /p}}]}",
    );
    assert_eq!(config.plugins()[0].mode(), PluginMode::Disabled);
}

#[test]
fn h36_merge_keys_in_conditions_are_resolved_too() {
    let config = config(
        "{who: &who {tools: [a]}, plugins: [{name: P, conditions: [{<<: *who, prompts: [b]}], unix_socket: {path: /p}}]}",
    );
    let conditions = serde_json::to_value(config.plugins()[0].conditions()).unwrap();
    assert_eq!(conditions, serde_json::json!([{"tools": ["a"], "prompts": ["b"]}]));
}

#[test]
fn a_merge_key_without_a_map_is_refused() {
    let text = "plugins:\n- name: P\n  <<: [audit]\n  unix_socket: {path: /p}";
    assert_eq!(
        problems(text),
        ["line 3: plugin `P`: the merge key `<<` must be followed by a map, or by a list of maps"]
    );
}

#[test]
fn an_entry_may_be_an_alias_and_so_may_a_section() {
    let config = config(
        "{s: &s {path: /p}, e: &e {name: P, unix_socket: *s}, plugins: [*e, {name: Q, unix_socket: *s}]}",
    );
    assert_eq!(config.plugins().len(), 2);
}

/// The reference takes the last one, and nobody sees that there were two.
#[test]
fn a_key_that_a_map_has_twice_is_refused_where_it_counts() {
    let text = "
plugins:
- name: P
  mode: sequential
  unix_socket:
    path: /p
    path: /q
  'mode': disabled
- name: Q
  kind: my.Plugin
  config: {a: 1, a: 2}
";
    assert_eq!(
        problems(text),
        [
            "line 7: plugin `P`: `path` is in this map already, in line 6",
            "line 8: plugin `P`: `mode` is in this map already, in line 4",
        ]
    );
    assert_eq!(
        problems("plugins: []\nplugins: []"),
        ["line 2: `plugins` is in this map already, in line 1"]
    );
    let text =
        "plugins:\n- name: P\n  '{{ env.K }}': 1\n  '{{ env.K }}': 2\n  unix_socket: {path: /p}";
    assert_eq!(
        super::problems_with(text, [("K", "hunter2")])[0],
        "line 4: plugin `P`: a key is in this map already, in line 3"
    );
}

/// The reference lets the second one win.
#[test]
fn a_second_merge_key_is_refused_and_one_in_quotes_too() {
    let entry = "name: P\n  unix_socket: {path: /p}";
    let text = format!("plugins:\n- <<: {{mode: disabled}}\n  <<: {{mode: audit}}\n  {entry}");
    assert_eq!(
        problems(&text),
        [
            "line 3: plugin `P`: `<<` is in this map already, in line 2; of several bases, make a list: `<<: [*a, *b]`"
        ]
    );
    let text = format!("plugins:\n- \"<<\": {{mode: disabled}}\n  {entry}");
    assert_eq!(
        problems(&text),
        ["line 2: plugin `P`: the merge key `<<` is one without quotes only"]
    );
    let plugins = config(&format!("plugins:\n- description: '<<'\n  {entry}")).into_plugins();
    assert_eq!(plugins[0].description(), Some("<<"));
}

#[test]
fn what_stands_beside_the_plugins_is_read_when_it_is_asked_for_and_tells_no_value() {
    let text = "
base: &base {timeout: 5}
server: {<<: *base, token: '{{ env.T }}'}
open: {a: '{{ env.NO }}'}
odd: {1: one}
empty:
plugins: []
";
    let config = crate::GatewayConfig::from_str_with(text, super::env([("T", "hunter2")])).unwrap();
    let server: serde_json::Value = config.section("server").unwrap().unwrap();
    assert_eq!(server, serde_json::json!({"timeout": 5, "token": "hunter2"}));
    assert_eq!(config.section::<u64>("empty"), Ok(None));
    assert_eq!(config.section::<u64>("nothing"), Ok(None));
    for (key, told) in [
        ("open", "line 4: the environment variable `NO` is not set"),
        ("odd", "line 5: a key must be a string; put it in quotes"),
    ] {
        let error = config.section::<serde_json::Value>(key).unwrap_err();
        assert!(error.problems()[0].to_string().starts_with(told), "{error}");
    }
    type Numbers = std::collections::BTreeMap<String, u64>;
    let error = config.section::<Numbers>("server").unwrap_err();
    let told = "line 3: server: a value cannot be read, expected u64";
    assert_eq!(error.problems()[0].to_string(), told);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_json_cannot_say_is_refused_with_its_line_and_as_nothing_else() {
    for (value, told) in [
        ("path: !secret /p", "a value with a tag of its own (`!…`) cannot be read"),
        ("path: !!int p", "a value is not what its tag says"),
        ("path: /p\n    timeout: .inf", "a number must be finite"),
        ("path: /p\n    1: one", "a key must be a string; put it in quotes"),
        ("path: /p\n    peer_uids: !x [1]", "a value with a tag of its own (`!…`) cannot be read"),
    ] {
        let text = format!("plugins:\n- name: P\n  unix_socket:\n    {value}\n");
        let line = text.lines().count();
        assert_eq!(problems(&text), [format!("line {line}: plugin `P`: {told}")], "{text}");
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    for (text, line) in [
        ("plugins: [", 2),
        ("plugins:\n- name: 'P", 2),
        ("plugins:\n- a: b: c", 2),
        ("plugins: *nobody", 1),
        ("plugins: []\n---\nplugins: []", 2),
    ] {
        let problems = problems(text);
        let start = format!("line {line}: no valid YAML: ");
        assert!(problems.len() == 1 && problems[0].starts_with(&start), "{text}: {problems:?}");
    }
}

#[test]
fn a_small_file_with_a_huge_tree_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let problems = problems(&format!("{text}plugins: []"));
    assert!(
        problems[0].starts_with("line 5: no valid YAML: more than 100000 values"),
        "{problems:?}"
    );
}

#[test]
fn a_file_that_nests_without_end_is_refused() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        let problems = problems(&text);
        let told = ["nest more than 64 deep", "recursion limit exceeded"];
        assert!(told.iter().any(|told| problems[0].contains(told)), "{problems:?}");
    }
    let mut text = "a0: &a0 [[[[[[[[x]]]]]]]]\n".to_owned();
    for level in 1..10_000 {
        text += &format!("a{level}: &a{level} [[[[[[[[*a{}]]]]]]]]\n", level - 1);
    }
    let problems = problems(&text);
    assert!(problems[0].starts_with("line 8: no valid YAML: lists and maps nest"), "{problems:?}");
}
