use super::{config, env, problems, problems_with};
use crate::GatewayConfig;

/// The socket's path in a file with this template for it.
fn path<const N: usize>(template: &str, variables: [(&str, &str); N]) -> String {
    let text = format!("plugins:\n- name: P\n  unix_socket:\n    path: \"{template}\"\n");
    let config = GatewayConfig::from_str_with(&text, env(variables)).unwrap();
    config.plugins()[0].endpoint().to_string()
}

#[test]
fn a_variable_is_read_in_every_way_that_the_reference_knows() {
    for template in [
        "{{ env.DIR }}/p",
        "{{env.DIR}}/p",
        "{{ env['DIR'] }}/p",
        "{{ env.get('DIR') }}/p",
        "{{ env.get('DIR', '/no') }}/p",
        "{{ env.DIR | default('/no') }}/p",
        "{{ env.NO | default(env.NEITHER | default(env.DIR)) }}/p",
        "{% if env.DIR %}{{ env.DIR }}{% else %}/no{% endif %}/p",
        "{% if 'DIR' in env %}/run{% endif %}/p",
        "{% if env.DIR is defined %}/run{% endif %}/p",
        "{% set dir = env.DIR %}{{ dir }}/p",
        "{{ env.DIR | lower }}/p",
        "{# {{ env.NO }} #}/run/p",
        "{{ env.get('NO', default='/run') }}/p",
        "{{ env.NO | default('/run', boolean=true) }}/p",
        "{{ env.DIR.lower() }}/p",
        "{% if env.DIR.startswith('/') %}/run{% endif %}/p",
        "{% if env.get('NO', '') == 'a' %}/no{% else %}/run{% endif %}/p",
    ] {
        assert_eq!(path(template, [("DIR", "/run")]), "/run/p", "{template}");
    }
}

#[test]
fn a_default_holds_where_a_variable_is_not_set() {
    for template in [
        "{{ env.NO | default('/run') }}/p",
        "{{ env['NO'] | default('/run') }}/p",
        "{{ env.get('NO', '/run') }}/p",
        "{{ env.NO or '/run' }}/p",
        "{% if env.NO %}{{ env.NO }}{% else %}/run{% endif %}/p",
        "{{ env.EMPTY | default('/run', true) }}/p",
    ] {
        assert_eq!(path(template, [("EMPTY", "")]), "/run/p", "{template}");
    }
}

#[test]
fn a_template_without_quotes_may_be_a_number() {
    let text = "plugins: [{name: P, unix_socket: {path: /p, timeout: {{ env.T | default(5) }}}}]";
    assert_eq!(config(text).plugins()[0].policy().timeout().as_secs(), 5);
}

/// A quote in a variable ended the text that it stood in, and brought keys of its own.
#[test]
fn a_value_that_changes_what_the_file_says_is_refused_with_its_line_and_what_to_write() {
    for (template, value) in [
        ("path: '{{ env.X }}'", "/p', timeout: 1}, mode: 'disabled', x: {y: 'z"),
        ("path: \"{{ env.X }}\"", "/p\", timeout: \"1"),
        ("path: {{ env.X }}", "/p, timeout: 1"),
        ("path: {{ env.X }}", "/p\n  , timeout: 1"),
        ("path: {{ env.X }}", "[/p]"),
        ("path: {{ env.X }}", "&a /p"),
        ("path: {{ env.X | trim }}", "/p, timeout: 1"),
        ("path: {{ env.X.lower() }}", "/p, timeout: 1"),
        ("path: {{ env.get('X') ~ '' }}", "/p, timeout: 1"),
        ("path: {{ env.NO | default(env.X) }}", "/p, timeout: 1"),
        ("{% set x %}path: {{ env.X }}{% endset %}{{ x }}", "/p, timeout: 1"),
        ("path: /p\n  # {{ env.X }}\n", "a\n  , timeout: 1"),
        ("path: /p\n  # {{ env.X }}\n", "a\n  , timeout: 1\n  # b"),
        ("path: {{ env.X }}\n", "/p # cut off"),
    ] {
        let text = format!("plugins:\n- {{name: P,\n  unix_socket: {{ {template}}}}}\n");
        let problems = problems_with(&text, [("X", value)]);
        let line = 3 + template.matches("\n  #").count();
        let start = format!("line {line}: what `{{{{ ");
        assert!(problems.len() == 1 && problems[0].starts_with(&start), "{template}: {problems:?}");
        assert!(problems[0].contains("| tojson }}` without quotes"), "{problems:?}");
        assert!(!problems[0].contains("timeout"), "{problems:?}");
    }
}

#[test]
fn a_value_that_is_a_part_of_one_value_is_taken_whatever_it_holds() {
    for (template, value, path) in [
        ("{{ env.X | tojson }}", "/it's \"p\", {a: b}\n#", "/it's \"p\", {a: b}\n#"),
        ("{{ ('/run' ~ env.X) | tojson }}", "/p' #", "/run/p' #"),
        ("'{{ env.X }}'", "/a: b, {c} [d] # \"e\"", "/a: b, {c} [d] # \"e\""),
        ("\"{{ env.X }}\"", "/it's", "/it's"),
        ("{{ env.X }}", "/p ", "/p"),
        ("{{ env.X }}", "'/p'", "/p"),
        ("{{ env.X | safe }}", "/p, timeout: 1", "/p"),
        ("{% if env.X == '/a: b' %}/p, timeout: 1{% endif %}", "/a: b", "/p"),
        ("{{ env.NO | default('/p, timeout: 1') }}", "", "/p"),
        ("{% for x in env.X.split(',') %}{{ x }}{% endfor %}", "/a,/b", "/a/b"),
    ] {
        let text = format!("plugins: [{{name: P, unix_socket: {{path: {template}}}}}]");
        let read = GatewayConfig::from_str_with(&text, env([("X", value)]));
        let read = read.map_err(|error| format!("{template}: {error}"));
        // A path may have no control character, so that one is told by its problem.
        match read {
            Ok(config) => assert_eq!(config.plugins()[0].endpoint().to_string(), path),
            Err(error) => assert!(path.contains('\n') && error.contains("control"), "{error}"),
        }
    }
}

/// The reference escapes for HTML, and the path would be another.
#[test]
fn a_value_is_not_escaped() {
    assert_eq!(path("{{ env.P }}", [("P", "/run/a&b<c>'d")]), "/run/a&b<c>'d");
}

#[test]
fn all_variables_that_are_not_set_are_told_at_once_with_their_lines() {
    let text = "plugins:\n- name: '{{ env.NAME }}'\n  unix_socket:\n    path: '{{ env[\"DIR\"] }}/{{ env.FILE }}'\n    {{ env.KEY }}: 1";
    let problems = problems(text);
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, line, names) in [
        (&problems[0], 2, &["NAME"][..]),
        (&problems[1], 4, &["DIR", "FILE"]),
        (&problems[2], 5, &["KEY"]),
    ] {
        let begin = format!("line {line}: entry 1 of `plugins`: the environment variable `");
        assert!(problem.starts_with(&begin), "{problem}");
        for name in names {
            assert!(problem.contains(&format!("variable `{name}` is not set")), "{problem}");
            let remedy = format!("`{{{{ env.{name} | default('…') }}}}`");
            assert!(problem.contains(&remedy), "{problem}");
        }
    }
}

#[test]
fn a_variable_that_is_not_set_is_no_empty_text_inside_an_expression() {
    for template in [
        "{{ env.NO ~ '/p' }}",
        "{{ env.NO | upper }}",
        "/{{ env.NO | default(env.NO) }}",
        "{% set x = env.NO %}{{ x }}",
        "{% for i in range(2) %}{{ env.NO }}{% endfor %}",
    ] {
        let problems =
            problems(&format!("plugins:\n- {{name: P, unix_socket: {{path: \"{template}\"}}}}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        let start = "line 2: plugin `P`: the environment variable `NO` is not set";
        assert!(problems[0].starts_with(start), "{template}: {problems:?}");
    }
    let problems = problems("plugins: [{name: P, unix_socket: {path: \"{{ env.get('NO') }}\"}}]");
    assert!(problems[0].ends_with("asks for a variable of the environment that is not set"));
}

/// Other plugins have templates of their own in their settings.
#[test]
fn a_template_that_is_no_part_of_an_entry_that_is_read_may_ask_for_anything() {
    let text = r#"
# {{ env.NO }}
plugins:
- name: Hook
  kind: my.Webhook
  config:
    payload_templates:
      violation: |
        {"event": "{{ event }}", "user": "{{ violation.user | upper }}", "{{ a.b() }}": 1}
- {name: P, unix_socket: {path: "{{ env.DIR }}/p"}}
other: {{ env.NEITHER }}
"#;
    let config = GatewayConfig::from_str_with(text, env([("DIR", "/run")])).unwrap();
    assert_eq!(config.plugins()[0].endpoint().to_string(), "/run/p");
    assert_eq!(config.left_out()[0].name(), "Hook");
}

#[test]
fn a_base_that_asks_for_what_is_not_set_is_refused_where_it_is_used() {
    let text = "base: &base {mode: '{{ env.MODE }}'}\nplugins:\n- <<: *base\n  name: P\n  unix_socket: {path: /p}";
    let problems = problems(text);
    let start = "line 1: plugin `P`: the environment variable `MODE` is not set";
    assert!(problems.len() == 1 && problems[0].starts_with(start), "{problems:?}");
}

#[test]
fn a_list_a_name_and_a_kind_that_a_template_leaves_open_are_refused() {
    for text in [
        "plugins: {{ env.NO }}",
        "plugins: ['{{ env.NO }}']",
        "plugins: [{name: '{{ env.NO }}', kind: my.Plugin}]",
        "plugins: [{name: P, kind: '{{ env.NO }}', unix_socket: {path: /p}}]",
        "plugins: [{name: P, unix_socket: '{{ env.NO }}'}]",
        "plugins: [{name: P, {{ env.NO }}: {path: /p}}]",
        "{{ env.NO }}",
        "plugins:\n{{ env.NO }}\n- {name: P",
    ] {
        let problems = problems(text);
        assert!(problems[0].contains("variable `NO` is not set"), "{text}: {problems:?}");
    }
}

#[test]
fn what_templates_do_not_know_is_told_with_its_name() {
    for (template, told) in [
        ("{{ enviroment.X }}", "asks for `enviroment`"),
        ("{{ env.X.y }}", "asks for `env.X.y`"),
        ("{{ env.X | uper }}", "filter uper is unknown"),
        ("{{ env.X", "cannot be read"),
        ("{% if env.X %}", "cannot be read"),
        ("{% if env.NO.y %}{% endif %}", "variable `NO` is not set"),
        ("{{ env.items() }}", "cannot be rendered"),
        ("{% for name in env %}{{ name }}{% endfor %}", "cannot be rendered"),
        ("{% include 'other.yaml' %}", "cannot be"),
    ] {
        let text = format!("plugins:\n- {{name: P, unix_socket: {{path: \"{template}\"}}}}");
        let problems = problems_with(&text, [("X", "hidden")]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("line 2: "), "{problems:?}");
        assert!(problems[0].contains(told), "{template}: {problems:?}");
    }
}

/// A template may take lines away, or bring some in: what is told is the line of the file.
#[test]
fn lines_are_those_of_the_file_whatever_its_templates_do() {
    let wrong = "plugins:\n- name: P\n  unix_socket: {path: relative}\n";
    for before in [
        "{# a\ncomment #}\n",
        "{% if env.NO %}\na: 1\nb: 2\n{% endif %}\n",
        "{%- if env.YES -%}\n\n\na: 1\n{%- endif %}\n",
        "{% for i in range(3) %}\na{{ i }}: 1\n{% endfor %}\n",
        "a: \"{{ env.LINES }}\"\n",
        "a: {{\n  env.YES\n}}\n",
        "{% raw %}\na: '{{ b'\n{% endraw %}\n",
        "{% set x %}\na: 1\n{% endset %}{{ x }}\n",
        "a: '{{ \"}}\" ~\n env.YES }}'\n",
        "a: {{\n  env.NO\n}}\n",
        "a: 1 {# \n -#}\n\n{#- b #}\n",
        "{% for i in range(2) -%}\n# {{ i }}\n\n{%- endfor %}\n\n",
        "a: 1\r\nb: {{ env.YES }}\r\n",
        "\u{feff}# {{ env.YES }}\n",
    ] {
        let text = format!("{before}{wrong}");
        let line = text.lines().count();
        let problems = problems_with(&text, [("YES", "yes"), ("LINES", "1\n  2\n  3")]);
        let start = format!("line {line}: plugin `P`: unix_socket.path");
        assert!(problems.len() == 1 && problems[0].starts_with(&start), "{before:?}: {problems:?}");
    }
}

/// What begins in one line of the file and ends in another is told where it begins.
#[test]
fn a_line_that_a_template_has_joined_with_another_is_the_first_of_them() {
    for (text, line) in [
        ("{# a\nb #}plugins: [{name: P, unix_socket: {path: p}}]", 2),
        ("plugins: [{name: P, {# a\nb #} unix_socket: {path: p}}]", 1),
        ("plugins: [{name: P,\n\n{#- a -#}\n\n unix_socket: {path: p}}]", 1),
        ("plugins:\n- {# a\n -#}\n\n  {name: P, unix_socket: {path: p}}", 2),
    ] {
        let problems = problems(text);
        let start = format!("line {line}: plugin `P`: unix_socket.path");
        assert!(problems.len() == 1 && problems[0].starts_with(&start), "{text}: {problems:?}");
    }
}

#[test]
fn a_template_that_is_no_jinja_is_refused_wherever_it_is() {
    let problems = problems("plugins: []\nother: '{{ 1 + }}'");
    assert!(problems.len() == 1, "{problems:?}");
    assert!(problems[0].starts_with("line 2: a template cannot be read: "), "{problems:?}");
}

#[test]
fn no_line_is_told_rather_than_a_wrong_one() {
    let text = "# {% set x %}\nab\n{% endset %}{{ x | length }}\nplugins:\n- name: P\n  unix_socket: {path: relative}";
    assert_eq!(problems(text), ["plugin `P`: unix_socket.path: must be absolute"]);
    let text = "# {% filter replace('a', '\u{F8FF}1') %}a{% endfilter %}\nplugins:\n- name: P\n  unix_socket: {path: relative}";
    assert_eq!(
        problems(text),
        ["plugin `P`: unix_socket.path: must be absolute"],
        "nor a value, since it may be one of a template"
    );
}

#[test]
fn what_renders_to_a_template_is_refused_where_it_decides_something() {
    let text = "plugins: [{name: P, unix_socket: {path: '/{% raw %}{{ env.X }}{% endraw %}'}}]";
    let problems = problems(text);
    assert!(problems[0].contains("a template that was not rendered"), "{problems:?}");
}

#[test]
fn a_text_without_templates_is_read_as_it_is() {
    assert_eq!(path("/run/a}}b%}c#}", []), "/run/a}}b%}c#}");
}
