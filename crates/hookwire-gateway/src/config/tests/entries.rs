use hookwire::config::PluginMode;

use super::super::ReachedBy;
use super::{config, problems};
use crate::GatewayConfig;

/// So many of the entries of `MIXED` are the gateway's own.
const OURS: usize = if cfg!(feature = "grpc") { 2 } else { 1 };

/// A file of the kind that a gateway has: ours, classes, MCP and gRPC side by side.
const MIXED: &str = r#"
plugin_dirs:
  - "plugins/native"
  - "plugins/custom"

plugins:
  # A class of the gateway's own process.
  - name: "Normalizer"
    kind: "gateway_plugins.normalizer.NormalizerPlugin"
    hooks: ["prompt_pre_fetch", "tool_pre_invoke"]
    mode: "disabled"
    priority: 40
    conditions: []
    config: {unicode_form: "NFC", max_len: 10.5, limits: {1: one}, redis: '{{ env.R | default("redis://r") }}'}

  - name: "Words"
    kind: "external"
    hooks: ["prompt_pre_fetch", "prompt_post_fetch"]
    mode: "enforce_ignore_error"
    priority: 100
    unix_socket:
      path: "/run/plugins/words.sock"
      timeout: 30.0
      reconnect_attempts: 3
      reconnect_delay: 0.1

  - {name: Policy, kind: external, priority: 10, mcp: {proto: STREAMABLEHTTP, url: "http://127.0.0.1:8000/mcp"}}
  - {name: Script, kind: external, mcp: {proto: STDIO, script: plugins/run.py}}
  - {name: Remote, kind: external, grpc: {target: "127.0.0.1:50051"}}
  - {name: Venv, kind: isolated_venv}

plugin_settings:
  parallel_execution_within_band: true
  plugin_timeout: 30
unix_socket_server_settings: {path: /run/plugins/own.sock}
"#;

#[test]
fn a_mixed_list_is_read_as_it_is_and_what_is_not_ours_is_told_by_name_and_kind() {
    let config = config(MIXED);
    let words = &config.plugins()[0];
    assert_eq!((words.name(), words.hooks().len()), ("Words", 2));
    assert_eq!(words.on_error(), hookwire::config::OnError::Ignore);
    let (remote, others): (Vec<_>, Vec<_>) =
        config.left_out().iter().partition(|left_out| left_out.reached_by() == ReachedBy::Grpc);
    let remote = remote.first().map(|remote| remote.to_string());
    if let Some(remote) = &remote {
        let told = "plugin `Remote` (kind `external`, line 29) is reached over gRPC";
        assert_eq!(remote, told);
    }
    let told: Vec<_> = others.iter().map(|left_out| left_out.to_string()).collect();
    assert_eq!(
        told,
        [
            "plugin `Normalizer` (kind `gateway_plugins.normalizer.NormalizerPlugin`, line 8) is for the gateway's own process",
            "plugin `Policy` (kind `external`, line 27) is reached over MCP",
            "plugin `Script` (kind `external`, line 28) is reached over MCP",
            "plugin `Venv` (kind `isolated_venv`, line 30) is for the gateway's own process",
        ]
    );
    assert_eq!(remote.is_some(), cfg!(not(feature = "grpc")));
    assert_eq!((config.line_of("Words"), config.line_of("Policy")), (Some(16), None));
    assert_eq!(config.line_of("Remote"), cfg!(feature = "grpc").then_some(29));
    assert_eq!(config.into_plugins().len(), OURS);
}

#[test]
fn all_problems_of_all_entries_are_told_at_once_in_the_order_of_the_lines() {
    let text = "
plugins:
- name: Guard
  mode: sequentiel
  unix_socket:
    path: guard.sock
    timeuot: 5
- name: 5
  unix_socket: {max_connections: 0}
- just a text
- name: Guard
  kind: my.Plugin
- {kind: my.Plugin}
- {name: Lost, kind: external, unix_sokcet: {path: /p}}
- {name: Both, mcp: {}, grpc: {}, unix_socket: {path: /p}}
- {name: Own, config: {a: 1}, unix_socket: {path: /p}}
- {name: Asked, conditions: [{tool: [a]}], unix_socket: {path: /p}}
- {name: Section, unix_socket: /run/p.sock}
- {name: '', unix_socket: {path: /p}}
- {name: '', unix_socket: {path: ~}}
";
    let modes = "must be one of `sequential`, `transform`, `audit`, `concurrent`, `fire_and_forget`, `disabled`";
    assert_eq!(
        problems(text),
        [
            &format!("line 4: plugin `Guard`: mode = \"sequentiel\": {modes}"),
            "line 6: plugin `Guard`: unix_socket.path = \"guard.sock\": must be absolute",
            "line 7: plugin `Guard`: unix_socket.timeuot: unknown key, did you mean `timeout`?",
            "line 8: entry 2 of `plugins`: name = 5: must be a string (in quotes if it looks like a number)",
            "line 9: entry 2 of `plugins`: unix_socket.max_connections = 0: must be a whole number from 1 to 1024",
            "line 9: entry 2 of `plugins`: unix_socket.path: missing; it must be the absolute path of the plugin's socket",
            "line 10: entry 3 of `plugins`: must be an object",
            "line 11: plugin `Guard`: name: an entry before has it, in line 3; a name stands for one plugin",
            "line 13: entry 5 of `plugins`: name: missing, empty, or no text",
            "line 14: plugin `Lost`: unix_socket: missing; hookwire needs this section, with the `path` of the plugin's socket; did you mean it by `unix_sokcet`?",
            "line 15: plugin `Both`: mcp: an external plugin has exactly one transport, this one also has `unix_socket`; remove one of them",
            "line 15: plugin `Both`: grpc: an external plugin has exactly one transport, this one also has `unix_socket`; remove one of them",
            "line 16: plugin `Own`: config = an object: refused for an external plugin; set it in the configuration of the plugin's server",
            "line 17: plugin `Asked`: conditions: condition 1: unknown field `tool`, expected one of `server_ids`, `tenant_ids`, `tools`, `prompts`, `resources`, `agents`, `user_patterns`, `content_types`",
            "line 18: plugin `Section`: unix_socket = \"/run/p.sock\": must be an object",
            "line 19: entry 11 of `plugins`: name = \"\": must not be empty",
            "line 20: entry 12 of `plugins`: name = \"\": must not be empty",
            "line 20: entry 12 of `plugins`: unix_socket.path: missing; it must be the absolute path of the plugin's socket",
        ]
    );
}

#[test]
fn a_misspelt_key_of_an_entry_is_told_with_the_one_that_was_meant_and_its_line() {
    let config =
        config("plugins:\n- name: P\n  on_eror: fail\n  xyz: 1\n  unix_socket: {path: /p}");
    let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "line 3: plugin `P`: on_eror: unknown key, which is ignored, did you mean `on_error`?",
            "line 4: plugin `P`: xyz: unknown key, which is ignored",
        ]
    );
}

/// With its server down nothing told it, and requests passed without the guard.
#[test]
fn a_hook_that_nobody_knows_is_warned_of_with_the_one_that_was_meant_and_its_line() {
    let text = "
plugins:
- name: P
  hooks:
  - tool_pre_invoke
  - tool_pre_invok
  - invoice_check
  unix_socket: {path: /p}
- {name: Q, hooks: ['{{ env.H }}'], kind: my.Q}
";
    let config =
        GatewayConfig::from_str_with(text, super::env([("H", "tool_post_invok")])).unwrap();
    let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    let unknown = "no built-in hook has this name";
    assert_eq!(
        warnings,
        [
            format!(
                "line 6: plugin `P`: hooks = \"tool_pre_invok\": {unknown}, did you mean `tool_pre_invoke`?"
            ),
            format!(
                "line 7: plugin `P`: hooks = \"invoice_check\": {unknown}; it is asked only where the gateway has it as a hook of its own"
            ),
            format!("line 9: plugin `Q`: hooks: {unknown}, did you mean `tool_post_invoke`?"),
        ]
    );
}

/// `plugin:` for `plugins:` would leave the gateway without its guards.
#[test]
fn a_file_without_the_list_is_refused() {
    for text in [
        "",
        "# nothing",
        "plugin: [{name: P}]",
        "plugin_dirs: []",
        "[]",
        "text",
        "---",
        // Cut off where the list begins.
        "plugins:",
        "plugin_dirs: [a]\nplugins:\n",
        "plugins: ~",
        "plugins: null",
    ] {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].contains("plugins: missing; "), "{problems:?}");
    }
    assert!(problems("plugins: {name: P}")[0].ends_with("plugins: must be a list"));
}

#[test]
fn an_empty_list_is_what_it_says() {
    assert_eq!(config("plugins: []").plugins(), []);
}

#[test]
fn an_entry_that_names_no_transport_is_no_plugin_of_the_process() {
    for entry in ["{name: P}", "{name: P, kind: external}", "{name: P, kind: external, mcp: null}"]
    {
        let problems = problems(&format!("plugins: [{entry}]"));
        assert!(
            problems.len() == 1 && problems[0].contains("unix_socket: missing"),
            "{problems:?}"
        );
    }
}

#[test]
fn a_file_is_named_in_each_of_its_problems_and_one_that_cannot_be_read_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    let shown = path.display();
    let read = || GatewayConfig::from_path_with(&path, |_| None);

    let error = read().unwrap_err().to_string();
    assert!(error.contains(&format!("{shown}: cannot be read: No such file")), "{error}");
    std::fs::write(&path, b"plugins: [] # \xff").unwrap();
    let error = read().unwrap_err().to_string();
    assert!(
        error.contains(&format!("{shown}: cannot be read")) && error.contains("UTF-8"),
        "{error}"
    );
    std::fs::write(&path, "plugins:\n- {name: P, unix_socket: {path: p}}\n- 5").unwrap();
    let error = read().unwrap_err();
    assert!(error.to_string().starts_with("the gateway's configuration has 2 problems:\n  "));
    assert_eq!(error.problems()[0].file(), Some(&*path));
    assert!(error.problems()[0].to_string().starts_with(&format!("{shown}:2: plugin `P`: ")));
    std::fs::write(&path, MIXED).unwrap();
    assert_eq!(read().unwrap().plugins().len(), OURS);
}

#[test]
fn a_text_is_read_with_the_environment_of_the_process_too() {
    let text = "plugins: [{name: P, unix_socket: {path: '/{{ env.CARGO_PKG_NAME }}'}}]";
    let config: GatewayConfig = text.parse().unwrap();
    assert_eq!(config.plugins()[0].endpoint().to_string(), "/hookwire-gateway");
    assert_eq!(Ok(config), GatewayConfig::from_str(text));
}

/// It was left out without a word, and its guard was never asked.
#[test]
fn an_entry_that_looks_like_ours_and_is_misspelt_is_refused() {
    for (entry, told) in [
        ("kind: External, unix_sockets: {path: /p}", "kind = \"External\": must be `external`"),
        ("kind: External, unix_sockets: {path: /p}", "did you mean it by `unix_sockets`?"),
        ("kind: ' external', unix_soket: {path: /p}", "kind = \" external\": must be `external`"),
        ("kind: External, unix_socket: ~", "kind = \"External\": must be `external`"),
        ("kind: External, grpc: {target: x}", "kind = \"External\": must be `external`"),
        (
            "kind: my.Class, unix_soket: {path: /p}",
            "unix_soket: unknown key, did you mean `unix_socket`?",
        ),
        ("kind: my.Class, socket: /p", "socket: unknown key, did you mean `unix_socket`?"),
        ("kind: exter", "kind = \"exter\": must be `external`"),
        ("kind: e", "kind = \"e\": must be `external`"),
        ("kind: extrenal", "kind = \"extrenal\": must be `external`"),
        ("kind: my.Class, mode: disabld", "mode = \"disabld\": must be one of "),
    ] {
        let problems = problems(&format!("plugins:\n- {{name: Guard, {entry}}}"));
        let start = "line 2: plugin `Guard`: ";
        assert!(problems.iter().all(|problem| problem.starts_with(start)), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains(told)), "{entry}: {problems:?}");
    }
    for kind in ["my.External", "internal", "isolated_venv", "builtin", "gateway.external.Guard"] {
        let entry = format!("plugins: [{{name: P, kind: {kind}, group: a, config: {{grpcs: 1}}}}]");
        let config = config(&entry);
        assert_eq!((config.left_out().len(), config.warnings().len()), (1, 0), "{kind}");
    }
    let config = config("plugins: [{name: P, kind: my.Class, grcp: {target: x}}]");
    assert!(config.warnings()[0].to_string().ends_with("grcp: unknown key, did you mean `grpc`?"));
}

#[test]
fn an_entry_of_another_kind_that_has_a_socket_is_called_there_with_a_warning() {
    let text = "plugins:\n- {name: P, unix_socket: {path: /p}}\n- name: Q\n  kind: External\n  unix_socket: {path: /q}";
    let config = config(text);
    assert_eq!(config.plugins().len(), 2);
    let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "line 4: plugin `Q`: kind = \"External\": it is called over its `unix_socket`, and no class of this name is loaded; write `kind: external`, or remove the section"
        ]
    );
}

#[test]
fn an_entry_that_is_left_out_tells_what_it_takes_to_run_it() {
    let text = "
base: &base {mode: enforce_ignore_error, hooks: [tool_pre_invoke]}
plugins:
- {<<: *base, name: Filter, kind: my.Filter, config: {token: '{{ env.T }}', words: [a]}}
- {name: Off, kind: my.Off, mode: disabled}
- {name: Open, kind: my.Open, config: {token: '{{ env.NO }}'}}
";
    let config = GatewayConfig::from_str_with(text, super::env([("T", "t-1")])).unwrap();
    let [filter, off, open] = config.left_out() else { panic!("{config:?}") };
    assert_eq!(
        (filter.mode(), filter.hooks()),
        (PluginMode::Sequential, &["tool_pre_invoke".to_owned()][..])
    );
    let entry = filter.entry().unwrap();
    assert_eq!(entry["config"], serde_json::json!({"token": "t-1", "words": ["a"]}));
    assert_eq!((entry.contains_key("<<"), &entry["kind"]), (false, &"my.Filter".into()));
    assert_eq!((off.mode(), off.hooks().len()), (PluginMode::Disabled, 0));
    let error = open.entry().unwrap_err().to_string();
    assert!(
        error.contains("line 6: plugin `Open`: the environment variable `NO` is not set"),
        "{error}"
    );
}
