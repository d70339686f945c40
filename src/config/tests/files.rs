use serde_json::json;

use super::super::{PluginConfig, PluginMode, UnixSocketSection};
use super::{entry, logged, plugin, problems};

const TEMPLATE: &str = "a template that was not rendered; render the file before it is read here";

#[derive(Debug, serde::Deserialize)]
struct File {
    plugins: Vec<PluginConfig>,
}

/// An entry with these keys, in YAML.
fn read(keys: &str) -> Result<PluginConfig, String> {
    let yaml = format!("{{name: P, unix_socket: {{path: /run/p.sock}}, {keys}}}");
    serde_norway::from_str(&yaml).map_err(|error| error.to_string())
}

/// An entry with these keys in its section, in YAML.
fn refused(keys: &str) -> String {
    let yaml = format!("{{name: P, unix_socket: {{{keys}}}}}");
    serde_norway::from_str::<PluginConfig>(&yaml).unwrap_err().to_string()
}

/// A plugin that its base disables was called all the same.
#[test]
fn yaml_merge_keys_are_refused_with_what_to_do() {
    let yaml = "
        base: &base {mode: disabled}
        plugins: [{name: P, unix_socket: {path: /p}, <<: *base}]
    ";
    let error = serde_norway::from_str::<File>(yaml).unwrap_err().to_string();
    assert!(
        error.contains("<<: a YAML merge key that was not resolved; write its keys"),
        "{error}"
    );
    let told = problems(json!({"name": "P", "unix_socket": {"path": "/p", "<<": {"timeout": 1}}}));
    assert!(told.len() == 1 && told[0].starts_with("unix_socket.<<: a YAML merge key"), "{told:?}");
}

#[test]
fn merge_keys_that_were_resolved_before_are_read() {
    let yaml =
        "{base: &base {mode: disabled}, plugins: [{name: P, unix_socket: {path: /p}, <<: *base}]}";
    let mut value: serde_norway::Value = serde_norway::from_str(yaml).unwrap();
    value.apply_merge().unwrap();
    let file: File = serde_norway::from_value(value).unwrap();
    assert_eq!(file.plugins[0].mode(), PluginMode::Disabled);
}

/// What decides where a hook applies is carried for the gateway, which would not find it.
#[test]
fn h36_merge_keys_in_conditions_are_refused_too() {
    let error = read("conditions: [{<<: {tools: [a]}}]").unwrap_err();
    assert!(
        error.contains("conditions = a list: a YAML merge key that was not resolved"),
        "{error}"
    );
    assert!(read("of_a_newer_gateway: {<<: {tools: [a]}}").is_ok());
}

#[test]
fn yaml_that_json_cannot_say_is_ignored_or_refused_like_any_other_value() {
    let read = |key| {
        let yaml = format!("{{name: P, unix_socket: {{path: /p}}, {key}: {{1: one}}}}");
        serde_norway::from_str::<PluginConfig>(&yaml).map_err(|error| error.to_string())
    };
    assert!(read("of_a_newer_gateway").is_ok());
    let error = read("tags").unwrap_err();
    assert!(error.contains("tags = an object: must be a list of non-empty strings"), "{error}");
}

#[test]
fn a_template_is_told_from_other_wrong_values_with_what_to_do() {
    for (keys, told) in [
        ("path: '{{ env.DIR }}/p.sock'", "path = \"{{ env.DIR }}/p.sock\""),
        ("path: '/run/{{ env.DIR }}/p.sock'", "path = \"/run/{{ env.DIR }}/p.sock\""),
        ("path: /p, timeout: '{{ env.T }}'", "timeout = \"{{ env.T }}\""),
        (
            "path: /p, retry: '{% if dev %}resend{% endif %}'",
            "retry = \"{% if dev %}resend{% endif %}\"",
        ),
        ("path: /p, verify: '{{ v }}'", "verify = \"{{ v }}\""),
        ("path: /p, keep_alive: '{{ v }}'", "keep_alive = \"{{ v }}\""),
        ("path: /p, peer_uids: ['{{ uid }}']", "peer_uids = a list"),
    ] {
        let error = refused(keys);
        let expected = format!("plugin `P` has 1 problem: unix_socket.{told}: {TEMPLATE}");
        assert!(error.contains(&expected), "{error}");
    }
}

/// Without quotes, YAML reads it as a map whose key is a map.
#[test]
fn a_template_without_quotes_is_shown_as_it_was_written() {
    for (keys, told) in [
        ("path: /p, timeout: {{ env.T | default(5) }}", "timeout = \"{{ env.T | default(5) }}\""),
        ("path: {{ env.PATH }}", "path = \"{{ env.PATH }}\""),
        ("path: /p, peer_uids: [{{ uid }}]", "peer_uids = a list"),
        ("path: /p, max_connections: {{ max(1, 2) }}", "max_connections = \"{{ … }}\""),
    ] {
        let error = refused(keys);
        let expected = format!("plugin `P` has 1 problem: unix_socket.{told}: {TEMPLATE}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_template_without_quotes_that_has_text_beside_it_is_no_yaml() {
    let yaml = "name: P\nunix_socket:\n  path: {{ env.DIR }}/p.sock\n";
    let error = serde_norway::from_str::<PluginConfig>(yaml).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
}

/// A guard with such a hook or condition would never be asked.
#[test]
fn templates_in_what_decides_about_a_call_are_refused() {
    for (keys, field) in [
        ("kind: '{{ env.KIND }}'", "kind"),
        ("hooks: ['{{ env.HOOK }}']", "hooks"),
        ("hooks: [tool_pre_invoke, {{ env.HOOK }}]", "hooks"),
        ("mode: {{ env.MODE }}", "mode"),
        ("conditions: [{tools: ['{{ env.TOOL }}']}]", "conditions"),
        ("applied_to: {tools: [{tool_name: {{ env.TOOL }}}]}", "applied_to"),
    ] {
        let error = read(keys).unwrap_err();
        assert!(error.contains(&format!(" {field} = ")) && error.contains(TEMPLATE), "{error}");
    }
    let name = problems(json!({"name": "{{ env.NAME }}", "unix_socket": {"path": "/p"}}));
    assert_eq!(name, [format!("name = \"{{{{ env.NAME }}}}\": {TEMPLATE}")]);
}

#[test]
fn braces_in_what_people_read_are_no_template() {
    let about = "replaces {{name}} in prompts";
    assert_eq!(plugin(json!({"description": about})).description(), Some(about));
    plugin(json!({"hooks": ["a{{b", "c}}d"], "of_a_newer_gateway": "{{ x }}"}));
    let entry = entry(json!({"conditions": [{"{x": null}, {"{x}": null}]}));
    let read: PluginConfig = serde_json::from_str(&entry.to_string()).unwrap();
    assert_eq!(read, PluginConfig::from_value(entry).unwrap());
}

#[test]
fn a_key_that_is_no_string_is_refused_with_the_plugins_name() {
    for (yaml, told) in [
        ("1: one", "1: a key must be a string; put it in quotes"),
        ("true: one", "true: a key must be a string; put it in quotes"),
        ("1.5: one", "1.5: a key must be a string; put it in quotes"),
        ("{{ env.KEY }}: one", "{{ env.KEY }}: a key must be a string; put it in quotes"),
        ("conditions: [{1: one}]", "conditions.1: a key must be a string; put it in quotes"),
    ] {
        let error = read(yaml).unwrap_err();
        let expected = format!("configuration of plugin `P` has 1 problem: {told}");
        assert!(error.starts_with(&expected), "{error}");
    }
    let error = refused("path: /p, 1: one");
    let told = "of plugin `P` has 1 problem: unix_socket.1: a key must be a string";
    assert!(error.contains(told), "{error}");
    let error = serde_norway::from_str::<UnixSocketSection>("{path: /p, 1: one}").unwrap_err();
    assert!(error.to_string().contains("unix_socket.1: a key must be a string"), "{error}");
}

#[test]
fn a_section_that_contradicts_the_kind_is_warned_of() {
    let read = |kind: &'static str| {
        let entry = entry(json!({"kind": kind}));
        move || drop(PluginConfig::from_value(entry).unwrap())
    };
    for kind in ["my.module.Plugin", "External"] {
        let log = logged(read(kind));
        assert_eq!(log.lines().count(), 1, "{log}");
        let names_both = log.contains(&format!("kind=\"{kind}\"")) && log.contains("`unix_socket`");
        assert!(log.contains("WARN") && log.contains("plugin=\"P\"") && names_both, "{log}");
    }
    assert_eq!(logged(read("external")), "");
}

#[test]
fn a_key_that_is_like_none_is_refused_without_a_guess() {
    for key in ["tls", "uds", "port", "host", "ssl", "url", "env"] {
        let socket = json!({"path": "/p", key: 1});
        let told = problems(json!({"name": "P", "unix_socket": socket}));
        assert_eq!(told, [format!("unix_socket.{key}: unknown key")]);
    }
}
