use super::{config, env, problems_with};
use crate::GatewayConfig;

const SECRET: &str = "hunter2-9f8e7d";

/// A file in which a variable has come to every place that a message is made of.
#[test]
fn what_a_template_brings_in_is_in_no_message() {
    for text in [
        "plugins: [{name: P, unix_socket: {path: '{{ env.S }}'}}]",
        "plugins: [{name: P, unix_socket: {path: /p, timeout: '{{ env.S }}'}}]",
        "plugins: [{name: P, mode: {{ env.S }}, unix_socket: {path: /p}}]",
        "plugins: [{name: P, unix_socket: {path: /p, '{{ env.S }}': 1}}]",
        "plugins: [{name: '{{ env.S }}', unix_socket: {path: p}}]",
        "plugins: [{name: P, conditions: [{'{{ env.S }}': [a]}], unix_socket: {path: /p}}]",
        "plugins: [{name: P, conditions: [{tools: '{{ env.S }}'}], unix_socket: {path: /p}}]",
        "x: &x '{{ env.S }}'\nplugins: [{name: P, unix_socket: {path: *x}}]",
        "x: &x {path: '{{ env.S }}'}\nplugins: [{name: P, unix_socket: {<<: *x}}]",
        "plugins: [{name: P, unix_socket: {path: >-\n  a\n  {{ env.S }}\n}}]",
        "plugins: [{name: P, unix_socket: {path: '{{\nenv.S }}'}}]",
        "plugins: '{{ env.S }}'",
        "plugins: [{{ env.S }}]",
        "plugins: {{ env.S }}: {{ env.S }}: {{ env.S }}",
        "plugins: {{ env[env.S] }}",
        "plugins: {{ env.S | int }}",
        "plugins: {{ env.S + 1 }}",
        "plugins: {{ env.S.no }}",
        "plugins: {{ env.S | join(1) }}",
        "plugins: {{ env[env.S] | default(env) }}",
        "{% set s = env.S %}\nplugins: [{name: P, unix_socket: {path: {{ s }}}}]",
        "{%- set s = env.S -%}\nplugins: [{name: P, unix_socket: {path: {{ s }}}}]",
        "{% filter replace('z', env.S) %}plugins: [{name: P, unix_socket: {path: z}}]{% endfilter %}",
    ] {
        let text = format!("# {{{{ env.S }}}}\n{text}");
        let error = GatewayConfig::from_str_with(&text, env([("S", SECRET)])).unwrap_err();
        let told = format!("{error}\n{error:?}");
        assert!(!told.contains("hunter2"), "{text}\n{told}");
    }
}

/// Some reasons name the value of another key.
#[test]
fn the_value_of_another_key_is_not_told_if_a_template_brought_it_in() {
    let text = "plugins: [{name: P, unix_socket: {path: /p, max_backoff: 1,\n  reconnect_delay: {{ env.S }}}}]";
    assert_eq!(
        problems_with(text, [("S", "31337")]),
        ["line 1: plugin `P`: unix_socket.max_backoff = 1: must not be below reconnect_delay"]
    );
}

#[test]
fn the_content_of_the_file_is_in_no_message_beyond_refused_values() {
    let text = format!(
        "token: {SECRET}\nplugins:\n- {{name: P, config: {{token: {SECRET}}}, unix_socket: {{path: p, x: [{SECRET}]}}}}\n"
    );
    let error = GatewayConfig::from_str(&text).unwrap_err();
    assert!(error.problems().len() == 3 && !error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn debug_output_has_no_plugins_settings() {
    let text = format!(
        "plugins: [{{name: P, kind: k, config: {{t: {SECRET}}}, unix_socket: {{path: /p}}}}]"
    );
    assert!(!format!("{:?}", config(&text)).contains("hunter2"));
}

#[test]
fn a_control_character_does_not_reach_the_terminal() {
    let problems = problems_with("plugins: [{name: \"P\\e[31m\", unix_socket: {path: p}}]", []);
    assert!(problems[0].contains("plugin `P\\u{1b}[31m`"), "{problems:?}");
}
