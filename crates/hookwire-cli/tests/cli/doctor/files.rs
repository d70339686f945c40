//! What a gateway's file decides.

use serde_json::json;

use super::{GUARD, Site};
use crate::harness::text;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_in_order_is_a_row_without_a_finding() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let diagnosis = site.guard(GUARD).await;
    let socket = site.socket();
    assert_eq!(diagnosis.plain.code, Some(0), "{:?}", diagnosis.plain);
    let row = diagnosis.plain.stdout.lines().nth(1).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells, ["ok", "Guard", "2", "sequential", "fail", "1", text(&socket)]);
    assert!(diagnosis.plain.stdout.ends_with("\nevery guard would guard\n"));

    let plugin = &diagnosis.json.result()["plugins"][0];
    assert_eq!([&plugin["plugin"], &plugin["state"]], ["Guard", "ok"]);
    assert_eq!((&plugin["line"], &plugin["hooks"]), (&json!(2), &json!(["tool_pre_invoke"])));
    assert_eq!((&plugin["owner"]["mode"], &plugin["findings"]), (&json!("0600"), &json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h35_a_timeout_that_ends_a_call_before_the_server_does_is_noted() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let diagnosis = site.guard_with(GUARD, "timeout: 30").await;
    diagnosis.tells("note", &["`timeout` is 30 s", "leave it at 35 s"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

/// A plugin that its base disables was called all the same, by a reader that leaves `<<` alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h36_a_mode_that_a_merge_key_brings_is_seen_and_a_wrong_merge_key_is_told() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let socket = site.socket();
    let yaml = format!(
        "off: &off {{mode: disabled}}\nplugins: [{{<<: *off, name: Guard, unix_socket: {{path: '{}'}}}}]",
        text(&socket)
    );
    site.file(&yaml).await.fails(&[
        "`mode` is `disabled` here, so it is never asked, and `sequential` on the server",
        "look for a merge key `<<`",
    ]);
    let wrong = "plugins:\n- name: Guard\n  <<: off\n  unix_socket: {path: /p}";
    let diagnosis = site.file(wrong).await;
    let told = diagnosis.plain.failure(2);
    assert!(told.contains("gateway.yaml:3: plugin `Guard`: the merge key `<<` must be"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_deny_is_warned_of_and_does_not_fail() {
    let site = Site::new();
    let diagnosis = site.guard("mode: audit").await;
    diagnosis.tells("WARN", &["there is no /"]);
    assert_eq!(diagnosis.plain.code, Some(0));
    // Without a mode it is a guard, for as long as its server does not say something else.
    site.guard("tags: []").await.fails(&["there is no /"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_whose_errors_let_pass_by_its_own_entry_is_warned_of() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let diagnosis = site.guard("mode: sequential, on_error: ignore, prioritty: 3").await;
    diagnosis.tells("WARN", &["requests pass when it fails", "set `on_error: fail`"]);
    diagnosis.tells("WARN", &["line 2: `prioritty`: unknown key", "did you mean `priority`?"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_whose_server_is_not_asked_by_the_gateway_is_warned_of() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let diagnosis = site.guard_with(GUARD, "verify: off").await;
    diagnosis.tells("WARN", &["`verify` is off", "set `verify: strict`"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_plugins_of_a_file_are_looked_at_and_others_are_named() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let socket = site.socket();
    let yaml = format!(
        "
plugins:
- {{name: Gone, unix_socket: {{path: /nowhere/p.sock}}}}
- {{name: Filter, kind: my.Filter, mode: audit}}
- {{name: Guard, unix_socket: {{path: '{}'}}}}
",
        text(&socket)
    );
    let diagnosis = site.file(&yaml).await;
    diagnosis.fails(&["there is no directory /nowhere"]);
    let findings = diagnosis.findings();
    let starts: Vec<_> =
        findings.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(starts[..5], ["PLUGIN", "Gone", "there", "Guard", "not"]);
    let other = "plugin `Filter` (kind `my.Filter`, line 4) runs in the gateway's process";
    assert!(findings.join(" ").contains(other), "{findings:#?}");
    let report = diagnosis.json.json();
    assert_eq!(
        report["left_out"],
        json!([{"name": "Filter", "kind": "my.Filter", "line": 4, "mode": "audit", "state": "note"}])
    );
    assert_eq!(report["plugins"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_used_ends_with_2_and_a_line_for_each_problem() {
    let yaml = "
plugins:
- {name: P, unix_socket: {path: p}}
- {name: P, mode: no, unix_socket: {path: /p}}
";
    let diagnosis = Site::new().file(yaml).await;
    let (plain, json) = (&diagnosis.plain, &diagnosis.json);
    assert_eq!((plain.code, plain.stderr.lines().count()), (Some(2), 4), "{plain:?}");
    let first = "gateway.yaml:3: plugin `P`: unix_socket.path = \"p\": must be absolute\n";
    assert!(plain.stderr.contains(first), "{plain:?}");
    assert_eq!(json.json_failure(2), ["config", "no"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_plugins_behind_sockets_has_no_table() {
    let diagnosis = Site::new().file("plugins: []").await;
    assert_eq!(diagnosis.plain.code, Some(0));
    assert_eq!(diagnosis.plain.stdout, "no plugin of this file is behind a Unix socket\n");
}

/// It was an exit code of 0 for a file whose guard nobody runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_is_not_behind_a_socket_fails_unless_the_gateway_is_said_to_run_it() {
    let yaml = "plugins:\n- {name: Filter, kind: my.Filter}\n- {name: Off, kind: my.Off, mode: disabled}\n";
    let site = Site::new();
    let diagnosis = site.file(yaml).await;
    diagnosis.tells_of_others("FAIL", "this gateway must run it in another way");
    assert_eq!(diagnosis.plain.code, Some(1), "{:?}", diagnosis.plain);
    assert!(diagnosis.plain.stdout.ends_with("\n1 guard would not guard\n"));
    let report = diagnosis.json.json();
    let states: Vec<_> =
        report["left_out"].as_array().unwrap().iter().map(|other| &other["state"]).collect();
    assert_eq!(json!([states, report["guards"]]), json!([["fail", "note"], false]));

    let diagnosis = site.file_with(yaml, &["--runs-others"]).await;
    diagnosis.tells_of_others("note", "not looked at: plugin `Filter`");
    assert_eq!(diagnosis.plain.code, Some(0), "{:?}", diagnosis.plain);
}

/// With its server down, nothing told it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misspelt_hook_fails_with_the_server_down_too() {
    let diagnosis = Site::new().guard("hooks: [tool_pre_invok]").await;
    let told = "`hooks` = \"tool_pre_invok\": no built-in hook has this name, did you mean `tool_pre_invoke`?";
    diagnosis.fails(&["line 2: ", told, "correct the name"]);
}
