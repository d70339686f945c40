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
        "plugins: [{name: P, 'unix_socket/{{ env.S }}': 1}]",
        "plugins: [{name: P, conditions: [{'{{ env.S }}': [a]}], unix_socket: {path: /p}}]",
        "plugins: [{name: P, conditions: [{tools: '{{ env.S }}'}], unix_socket: {path: /p}}]",
        "x: &x '{{ env.S }}'\nplugins: [{name: P, unix_socket: {path: *x}}]",
        "x: &x {path: '{{ env.S }}'}\nplugins: [{name: P, unix_socket: {<<: *x}}]",
        "plugins: [{name: P, unix_socket: {path: >-\n  a\n  {{ env.S }}\n}}]",
        "plugins: [{name: P, unix_socket: {path: '{{\nenv.S }}'}}]",
        "plugins:\n- name: P\n  conditions:\n  - '{{ env.S }}':\n    - a\n  unix_socket: {path: /p}",
        "plugins:\n- name: P\n  conditions:\n  - tools:\n      '{{ env.S }}'\n  unix_socket: {path: /p}",
        "plugins:\n- name: P\n  unix_socket:\n    path: x\n{{- env.S }}",
        "plugins:\n- name: P\n  unix_socket:\n    path: x\n{%- set y = 1 -%}\n{{ env.S }}",
        "{% filter replace('z', env.S) %}\nplugins: [{name: P, unix_socket: {path: z}}]\n{% endfilter %}",
        "{% set x %}\nplugins: [{name: P, unix_socket: {path: z}}]\n{% endset %}{{ x | replace('z', env.S) }}",
        "{% set x %}\nplugins: [{name: P, conditions: [{z: [a]}], unix_socket: {path: /z}}]\n{% endset %}{{ x | replace('z', env.S) }}",
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

#[test]
fn a_character_of_a_value_is_not_told_either() {
    for text in ["plugins: {{ env.S }}", "plugins: []\nother: [\n{{- env.S }}\n]"] {
        let problems = problems_with(text, [("S", "@x")]);
        assert!(problems.len() == 1 && problems[0].contains("no valid YAML"), "{problems:?}");
        assert!(!problems[0].contains('@'), "{problems:?}");
    }
    let problems = problems_with("plugins: {{ env.S }}", [("S", "@x")]);
    assert!(problems[0].ends_with("`{{ … | tojson }}`, without quotes, is one value"));
    let problems = problems_with("plugins: @x", []);
    assert!(problems[0].contains('@'), "what stands in the file is told: {problems:?}");
    assert!(!problems[0].contains("a template"), "{problems:?}");
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
fn what_is_left_out_is_shown_without_a_name_or_a_kind_that_a_template_makes() {
    let text =
        "plugins: [{name: '{{ env.S }}', kind: 'my.{{ env.S }}', config: {a: '{{ env.S }}'}}]";
    let config = GatewayConfig::from_str_with(text, env([("S", SECRET)])).unwrap();
    let shown = format!("{} {config:?}", config.left_out()[0]);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.starts_with("entry 1 of `plugins` (kind `(from a template)`, line 1)"),
        "{shown}"
    );
    assert_eq!(config.left_out()[0].name(), SECRET);
}

#[test]
fn a_control_character_does_not_reach_the_terminal() {
    let problems = problems_with("plugins: [{name: \"P\\e[31m\", unix_socket: {path: p}}]", []);
    assert!(problems[0].contains("plugin `P\\u{1b}[31m`"), "{problems:?}");
}

/// Whatever is cut out of a file or put in, it is read or refused.
#[test]
fn a_file_that_was_damaged_anywhere_is_read_or_refused_and_tells_no_secret() {
    let whole = "# {{ env.S }}\nbase: &b {mode: audit, tags: [\"{{ env.S }}\"]}\nplugins:\n{% if env.S %}\n- <<: *b\n  name: P\n  unix_socket: {path: '/{{ env.S }}', timeout: 5}\n{%- endif %}\n- {name: Q, kind: my.Q, config: {{ env.S }}}\n";
    let marks = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "- ",
        ": ",
        "'",
        "\"",
        "\n",
        "&b ",
        "*b",
        "[",
        "{",
        "!x ",
        "\t",
        "\u{f8fe}0\u{f8fe}",
        "\u{f8ff}1\u{f8ff}",
        "env.S",
    ];
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let mut text = whole.to_owned();
        for _ in 0..rng.usize(1..4) {
            let mut characters: Vec<char> = text.chars().collect();
            let from = rng.usize(..=characters.len());
            let to = (from + rng.usize(..6)).min(characters.len());
            let put_in = if rng.bool() { marks[rng.usize(..marks.len())] } else { "" };
            characters.splice(from..to, put_in.chars());
            text = characters.into_iter().collect();
        }
        match GatewayConfig::from_str_with(&text, env([("S", SECRET)])) {
            Ok(config) => {
                read += 1;
                assert!(!format!("{:?}", config.warnings()).contains("hunter2"), "{text}");
            }
            Err(error) => {
                refused += 1;
                let told = format!("{error}\n{error:?}");
                assert!(!told.contains("hunter2"), "{text}\n{told}");
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}
