//! The reference's loader and `GatewayConfig`, over the same files: random ones come to the same
//! plugins, and where the two differ is what the documentation tells.

use std::collections::BTreeMap;

use fastrand::Rng;
use hookwire_gateway::GatewayConfig;
use serde_json::{Value, json};

use super::{reference, setting};

const DRIVER: &str = "load_files.py";
const FILES: u64 = 500;
const ENV: [(&str, &str); 4] =
    [("DIR", "/run/plugins"), ("NUMBER", "7"), ("EMPTY", ""), ("INJECTED", "a, mode: disabled")];

fn variable(name: &str) -> Option<String> {
    ENV.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn case(text: &str) -> Value {
    json!({"text": text, "env": ENV.into_iter().collect::<BTreeMap<_, _>>()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_the_plugins_that_the_reference_finds_in_it() {
    let Some(venv) = reference::venv().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let first = setting("HOOKWIRE_FIRST_CASE", 0);
    let seeds = first..first + setting("HOOKWIRE_FILES", FILES);
    let texts: Vec<String> = seeds.map(|seed| file(&mut Rng::with_seed(seed))).collect();
    let cases: Vec<Value> = texts.iter().map(|text| case(text)).collect();
    let answers = reference::run(&venv, dir.path(), DRIVER, &cases).await;
    let (mut ours, mut others) = (0, 0);
    for (text, answer) in texts.iter().zip(&answers) {
        let config = GatewayConfig::from_str_with(text, variable);
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}\n{answer}"));
        let plugins = answer["plugins"].as_array().unwrap_or_else(|| panic!("{answer}\n{text}"));
        let (reached, left): (Vec<&Value>, Vec<&Value>) =
            plugins.iter().partition(|plugin| !plugin["unix_socket"].is_null());
        let found: Vec<_> = config.plugins().iter().filter_map(seen).collect();
        let expected: Vec<_> = reached.into_iter().map(seen_there).collect();
        assert_eq!(found, expected, "{text}");
        // With the feature `grpc` those are called here too.
        let over_grpc = |one: &&&Value| cfg!(feature = "grpc") && !one["grpc"].is_null();
        let found: Vec<_> = config.plugins().iter().filter(|one| seen(one).is_none()).collect();
        let expected: Vec<_> = left.iter().filter(over_grpc).collect();
        assert_eq!(found.len(), expected.len(), "{text}");
        for (ours, there) in found.iter().zip(expected) {
            let target = there["grpc"]["target"].as_str().unwrap();
            assert_eq!(
                (ours.name(), ours.endpoint().to_string()),
                (there["name"].as_str().unwrap(), target.to_owned())
            );
        }
        let found: Vec<_> = config.left_out().iter().map(|one| (one.name(), one.kind())).collect();
        let expected: Vec<_> = left
            .iter()
            .filter(|one| !over_grpc(one))
            .map(|one| (one["name"].as_str().unwrap(), one["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(found, expected, "{text}");
        ours += config.plugins().len();
        others += config.left_out().len();
    }
    assert!(ours > texts.len() && others > texts.len() / 2, "{ours} and {others} are too few");
}

/// What both make of an entry that a Unix socket is part of.
fn seen(plugin: &hookwire::PluginConfig) -> Option<Value> {
    let hookwire::config::Transport::Unix(socket) = plugin.transport() else { return None };
    Some(json!({
        "name": plugin.name(), "kind": plugin.kind(), "hooks": plugin.hooks(),
        "mode": plugin.mode(), "on_error": plugin.on_error(), "priority": plugin.priority(),
        "tags": plugin.tags(), "description": plugin.description(), "version": plugin.version(),
        "conditions": plugin.conditions().iter().map(|one| sorted(&json!(one))).collect::<Vec<_>>(),
        "path": socket.path(), "timeout": plugin.policy().timeout().as_secs_f64(),
        "reconnect_attempts": socket.reconnect_attempts(),
        "reconnect_delay": socket.reconnect_delay().as_secs_f64(),
    }))
}

fn seen_there(plugin: &Value) -> Value {
    let mut seen = json!({});
    for key in
        ["name", "kind", "hooks", "mode", "on_error", "priority", "tags", "description", "version"]
    {
        seen[key] = plugin[key].clone();
    }
    for key in ["path", "timeout", "reconnect_attempts", "reconnect_delay"] {
        seen[key] = plugin["unix_socket"][key].clone();
    }
    seen["conditions"] = plugin["conditions"].as_array().unwrap().iter().map(sorted).collect();
    seen
}

/// Sets have no order, and keys that are not set count for nothing.
fn sorted(condition: &Value) -> Value {
    let lists = condition.as_object().unwrap().iter().filter(|(_, list)| !list.is_null());
    let lists = lists.map(|(key, list)| {
        let mut list: Vec<_> = list.as_array().unwrap().iter().map(Value::to_string).collect();
        list.sort();
        (key.clone(), json!(list))
    });
    Value::Object(lists.collect())
}

fn pick<'a>(rng: &mut Rng, words: &[&'a str]) -> &'a str {
    words[rng.usize(..words.len())]
}

/// A file with bases, anchors, templates, comments, and entries of all kinds.
fn file(rng: &mut Rng) -> String {
    let mut text = String::from("# A gateway's file.\n");
    if rng.bool() {
        text += "plugin_dirs: [\"plugins/native\"]\n{# a comment\nof two lines #}\n";
    }
    let bases = rng.usize(..4);
    for base in 0..bases {
        let keys = keys(rng, base);
        text += &format!("base{base}: &base{base} {{{}}}\n", keys.join(", "));
    }
    text += "plugins:\n";
    for entry in 0..rng.usize(1..6) {
        let mut keys = keys(rng, bases);
        keys.push(format!("name: {}", name(rng, entry)));
        keys.extend(transport(rng));
        rng.shuffle(&mut keys);
        match rng.u8(..3) {
            0 => text += &format!("  - {{{}}}\n", keys.join(", ")),
            1 => text += &format!("  # {{{{ env.NOBODY }}}}\n  - {}\n", keys.join("\n    ")),
            _ => {
                let no = "{% if env.NOBODY %}\n  - {name: Nobody}\n{% endif %}\n";
                text += &format!("{no}  - {}\n\n", keys.join("\n    "));
            }
        }
    }
    text + "plugin_settings: {plugin_timeout: 30}\n"
}

/// Keys of an entry, or of a base: with the bases before it for its own.
fn keys(rng: &mut Rng, bases: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut may = |rng: &mut Rng, key: &str, words: &[&str]| {
        if rng.u8(..3) == 0 {
            keys.push(format!("{key}: {}", pick(rng, words)));
        }
    };
    may(rng, "mode", &["sequential", "'audit'", "\"transform\"", "enforce", "disabled"]);
    may(rng, "mode_of_tomorrow", &["1", "{a: [b]}"]);
    may(rng, "on_error", &["fail", "ignore", "{{ env.NOBODY | default('disable') }}"]);
    may(rng, "priority", &["5", "-3", "{{ env.NUMBER }}", "{{ env['NUMBER'] }}", "!!int 8"]);
    may(rng, "hooks", &["[tool_pre_invoke]", "[a, 'b', \"c\"]", "[]"]);
    may(rng, "tags", &["[\"a: b\", 'it''s', \"\\u00e9\\n\"]", "['{{ env.DIR }}']", "[ü]"]);
    may(rng, "description", &["'a # b'", "\"{{ env.EMPTY }}\"", "plain words", "~"]);
    may(rng, "version", &["'1.0'", "\"{{ env.NUMBER }}.0\"", "1.2.3"]);
    may(rng, "conditions", &["[{tools: [a, b]}]", "[{server_ids: ['1']}, {prompts: [p]}]"]);
    if bases > 0 && rng.bool() {
        let some: Vec<_> = (0..rng.usize(1..3)).map(|_| rng.usize(..bases)).collect();
        keys.push(match some[..] {
            [one] => format!("<<: *base{one}"),
            _ => format!("<<: [*base{}, *base{}]", some[0], some[1]),
        });
    }
    keys
}

fn name(rng: &mut Rng, entry: usize) -> String {
    match rng.u8(..4) {
        0 => format!("Plugin{entry}"),
        1 => format!("'plugin {entry}'"),
        2 => format!("\"P{{{{ env.NUMBER }}}}-{entry}\""),
        _ => format!("P{entry}-{{{{ env.NOBODY | default('x') }}}}"),
    }
}

fn transport(rng: &mut Rng) -> Vec<String> {
    let path = pick(rng, &["/run/p.sock", "'{{ env.DIR }}/p.sock'", "{{ env.DIR }}/q.sock"]);
    let timeout = pick(rng, &["30.0", "5", "{{ env.NUMBER }}", "0.25", "1e1"]);
    let section = format!(
        "{{path: {path}, timeout: {timeout}, reconnect_attempts: {}, reconnect_delay: 0.5}}",
        rng.u8(1..9)
    );
    match rng.u8(..5) {
        0 => vec!["kind: my_gateway.Plugin".into(), "config: {t: '{{ event }}', u: [1, ~]}".into()],
        1 => vec!["kind: external".into(), "grpc: {target: '127.0.0.1:50051'}".into()],
        _ => vec!["kind: external".into(), format!("unix_socket: {section}")],
    }
}

/// What the documentation of `GatewayConfig` tells of the reference, and of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_two_differ_is_what_the_documentation_tells() {
    let Some(venv) = reference::venv().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let entry = |keys: &str| {
        format!("plugins: [{{name: P, kind: external, unix_socket: {{path: /p}}, {keys}}}]")
    };
    // What the reference makes of it, and whether ours reads it.
    let files = [
        ("a variable that is not set is empty", entry("description: '{{ env.NO }}'"), "", false),
        ("a key twice", entry("description: a, description: b"), "b", false),
        ("no list", "plugin: []".into(), "no plugins", false),
        (
            "a name twice",
            format!("{}\n", entry("description: a")).replace("[{", "[{name: P, kind: k.K}, {"),
            "a",
            false,
        ),
        ("a list with nothing behind it", "plugins:".into(), "no plugins", false),
        ("two merge keys", entry("<<: {description: a}, <<: {description: b}"), "b", false),
        ("a merge key in quotes", entry("'<<': {description: a}, description: b"), "b", false),
        (
            "a kind that is almost `external`",
            "plugins: [{name: P, kind: External, unix_sockets: {path: /p}, description: a}]".into(),
            "a",
            false,
        ),
        ("a variable that brings a key", entry("description: {{ env.INJECTED }}"), "a", false),
        ("an escaped value", entry("description: \"{{ 'a&b' ~ env.EMPTY }}\""), "a&amp;b", true),
        ("a boolean of YAML 1.1", entry("description: yes"), "refused", true),
    ];
    let cases: Vec<Value> = files.iter().map(|(_, text, ..)| case(text)).collect();
    let answers = reference::run(&venv, dir.path(), DRIVER, &cases).await;
    for ((what, text, there, here), answer) in files.iter().zip(&answers) {
        let found = match answer["plugins"].as_array() {
            None => "refused",
            Some(plugins) => plugins
                .last()
                .map_or("no plugins", |last| last["description"].as_str().unwrap_or_default()),
        };
        assert_eq!(found, *there, "{what}: {answer}");
        let read = GatewayConfig::from_str_with(text, variable);
        assert_eq!(read.is_ok(), *here, "{what}: {read:?}");
    }
}
