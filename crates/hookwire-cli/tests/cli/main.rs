//! The command line, as a script sees it: exit codes, stdout, stderr.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

// What it has for others is not all used here.
#[allow(dead_code)]
#[path = "../../../../src/grpc/test_certificates.rs"]
mod certificates;
mod doctor;
mod grpc;
mod harness;
mod server_entries;
mod top;
mod top_screen;
mod wrong_input;

use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use hookwire::PluginResult;
use hookwire::server::{Handlers, PluginServer};
use serde_json::{Value, json};

use harness::{Server, hookwire, text};

const TEXT: &str = r#"{"name": "t", "args": {"text": "what the crap"}}"#;

#[test]
fn invoke_prints_result_and_context_on_one_line() {
    let server = Server::start();
    let context = r#"{"global_context": {"request_id": "r-1"}, "state": {"seen": 1}}"#;
    let run = server.invoke("Replace", &["--payload", TEXT, "--context", context]);
    let output = run.result();
    assert_eq!(run.stdout.lines().count(), 1);
    assert_eq!(output["result"]["continue_processing"], true);
    assert_eq!(output["result"]["modified_payload"]["args"]["text"], "what the yikes");
    assert_eq!(output["context"]["global_context"]["request_id"], "r-1");
    assert_eq!(output["context"]["state"], json!({"seen": 1}));
}

#[test]
fn a_violation_is_a_result() {
    let server = Server::start();
    let payload = r#"{"name": "t", "args": {"nested": ["my password"]}}"#;
    let result = &server.invoke("Deny", &["--payload", payload]).result()["result"];
    assert_eq!(result["continue_processing"], false);
    assert_eq!(result["violation"]["code"], "FORBIDDEN_WORD");
    assert_eq!(result["violation"]["plugin_name"], "Deny");
}

#[test]
fn payloads_come_from_files_and_stdin_as_well() {
    let server = Server::start();
    let file = server.dir.path().join("payload.json");
    std::fs::write(&file, TEXT).unwrap();
    let from_file = server.invoke("Echo", &["--payload", &format!("@{}", text(&file))]);

    let socket = server.socket();
    let call = ["invoke", "--socket", text(&socket), "--plugin", "Echo", "--hook"];
    let from_stdin = hookwire(&[&call[..], &["tool_pre_invoke", "--payload", "-"]].concat(), TEXT);
    for run in [from_file, from_stdin] {
        let payload = &run.result()["result"]["modified_payload"];
        assert_eq!(*payload, serde_json::from_str::<Value>(TEXT).unwrap());
    }
}

#[test]
fn a_context_without_a_request_id_gets_one() {
    let server = Server::start();
    for more in [&["--payload", TEXT][..], &["--payload", TEXT, "--context", "{}"]] {
        let output = server.invoke("Echo", more).result();
        assert_ne!(output["context"]["global_context"]["request_id"], "");
    }
}

#[test]
fn an_unregistered_hook_is_refused_unless_any_hook_is_allowed() {
    let server = Server::start();
    let call = ["--plugin", "Echo", "--hook", "my_hook", "--payload", "{}"];
    let refused = server.run("invoke", &call, &["--json"]).json_failure(1);
    assert_eq!(refused, ["unregistered_hook", "no"]);
    let allowed = server.run("invoke", &call, &["--any-hook"]).result();
    assert_eq!(allowed["result"]["modified_payload"], json!({}));
}

#[test]
fn failed_calls_say_their_kind_and_whether_they_were_sent() {
    let server = Server::start();
    let slow = r#"{"name": "t", "args": {"delay_ms": 60000}}"#;
    let unknown = server.invoke("Nobody", &["--json", "--payload", "{}"]).json_failure(1);
    assert_eq!(unknown, ["plugin_error", "maybe"]);
    let late = server.invoke("Echo", &["--json", "--payload", slow, "--timeout", "0.2"]);
    let late = late.json_failure(1);
    assert_eq!(late, ["timeout", "maybe"]);

    let run = server.invoke("Nobody", &["--payload", "{}"]);
    assert!(run.failure(1).starts_with("hookwire: plugin `Nobody` at /"), "{run:?}");
}

#[test]
fn a_server_that_is_not_there_is_a_failed_connection() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock");
    let run = hookwire(&["configs", "--json", "--socket", text(&socket)], "").json_failure(1);
    assert_eq!(run, ["unavailable", "no"]);
}

#[test]
fn wrong_usage_ends_with_2() {
    let call = |more: &[&str]| {
        let call = ["invoke", "--json", "--plugin", "P", "--hook", "tool_pre_invoke"];
        hookwire(&[&call[..], more].concat(), "")
    };
    let socket = ["--socket", "/tmp/none.sock", "--payload"];
    for (kind, more) in [
        ("usage", &[][..]),
        ("usage", &["--nonsense"]),
        ("usage", &[&socket[..], &["{"]].concat()),
        ("usage", &[&socket[..], &["[]"]].concat()),
        ("usage", &[&socket[..], &["@/no/such/file"]].concat()),
        ("usage", &[&socket[..], &["-"]].concat()),
        ("usage", &[&socket[..], &["{}", "--timeout", "0"]].concat()),
        ("usage", &[&socket[..], &["{}", "--context", r#"{"globalcontext": {}}"#]].concat()),
        ("config", &["--payload", "{}", "--socket", "relative.sock"]),
    ] {
        let failure = call(more).json_failure(2);
        assert_eq!(failure, [kind, "no"], "{more:?}");
    }
    assert_eq!(hookwire(&["invoke", "--nonsense"], "").code, Some(2));
    assert_eq!(hookwire(&["--help"], "").code, Some(0));
}

#[test]
fn configs_prints_one_or_all() {
    let server = Server::start();
    let all = server.run("configs", &[], &[]).result();
    let mut names: Vec<_> = all.as_array().unwrap().iter().map(|one| &one["name"]).collect();
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["Deny", "Echo", "Replace"]);
    assert_eq!(server.run("configs", &["--plugin", "Deny"], &[]).result()["name"], "Deny");

    let unknown = server.run("configs", &["--plugin", "Nobody"], &["--json"]).json_failure(1);
    assert_eq!(unknown, ["not_found", "maybe"]);
}

#[test]
fn bench_prints_one_object_with_its_figures() {
    let server = Server::start();
    let run = server.bench("Echo", &["--payload", TEXT, "--calls", "500", "--connections", "2"]);
    let report = run.result();
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "calls",
        "ok",
        "failed",
        "mismatched",
        "calls_per_s",
        "p50_us",
        "p90_us",
        "p99_us",
        "p999_us",
        "max_us",
        "errors",
    ];
    assert_eq!(keys.len(), expected.len());
    assert!(expected.iter().all(|key| keys.contains(key)), "{keys:?}");
    let counts = ["calls", "ok", "failed", "mismatched"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts, [500, 500, 0, 0]);
    assert_eq!(report["errors"], json!({}));
    assert!(report["p50_us"].as_f64() <= report["max_us"].as_f64());
    assert!(run.stderr.contains('#'), "no histogram: {run:?}");
}

#[test]
fn bench_verifies_replies_whether_they_come_with_a_payload_or_not() {
    let server = Server::start();
    for plugin in ["Echo", "Replace", "Deny"] {
        let report = server
            .bench(plugin, &["--verify", "--payload", r#"{"name": "t"}"#, "--calls", "300"])
            .result();
        assert_eq!([&report["ok"], &report["mismatched"]], [300, 0], "{plugin}");
    }
}

/// What the library cannot see is the reply of a plugin that mixes up its own calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_counts_replies_with_a_foreign_marker_and_fails() {
    let plugin = Handlers::new().any(|_, mut payload, _| async move {
        payload["args"]["marker"] = "another call's".into();
        Ok(PluginResult::modify(payload))
    });
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("p.sock");
    let server = PluginServer::builder().plugin("Mixed", plugin).bind(&socket).await.unwrap();
    let run = tokio::task::spawn_blocking(move || {
        let call = ["bench", "--plugin", "Mixed", "--hook", "tool_pre_invoke", "--payload", "{}"];
        let load = ["--callers", "4", "--calls", "50", "--verify", "--json", "--socket"];
        hookwire(&[&call[..], &load, &[text(&socket)]].concat(), "")
    });
    let run = run.await.unwrap();
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!([&run.json()["ok"], &run.json()["mismatched"]], [50, 50]);
    server.shutdown(Duration::from_secs(5)).await;
}

#[test]
fn bench_counts_failures_by_kind_and_ends_even_if_nobody_answers() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("silent.sock");
    let _silent = UnixListener::bind(&socket).unwrap();
    let call = ["bench", "--plugin", "P", "--hook", "tool_pre_invoke", "--payload", "{}", "--json"];
    let load = ["--callers", "4", "--calls", "8", "--timeout", "0.2", "--socket", text(&socket)];
    let run = hookwire(&[&call[..], &load].concat(), "");
    assert_eq!(run.code, Some(1), "no call succeeded");
    let report = run.json();
    assert_eq!([&report["calls"], &report["failed"], &report["ok"]], [8, 8, 0]);
    assert_eq!(report["errors"], json!({"timeout": 8}));
}

/// One task makes the calls one after the other, 20 ms each, while one is due in every
/// millisecond: the last of 50 ends a second after the start, when it was due long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_at_a_rate_counts_latencies_from_when_calls_were_due() {
    let plugin = Handlers::new().any(|_, _, _| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(PluginResult::allow())
    });
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("p.sock");
    let server = PluginServer::builder().plugin("Slow", plugin).bind(&socket).await.unwrap();
    for poisson in [&[][..], &["--poisson"]] {
        let socket = socket.clone();
        let run = tokio::task::spawn_blocking(move || {
            let call = ["bench", "--plugin", "Slow", "--hook", "tool_pre_invoke"];
            let load = ["--payload", "{}", "--callers", "1", "--calls", "50", "--warmup", "0"];
            let rate = ["--rate", "1000", "--json", "--socket", text(&socket)];
            hookwire(&[&call[..], &load, &rate, poisson].concat(), "")
        });
        let report = run.await.unwrap().result();
        assert_eq!([&report["calls"], &report["ok"]], [50, 50]);
        assert!(report["max_us"].as_f64().unwrap() > 500_000.0, "{report}");
        assert!(report["p50_us"].as_f64().unwrap() > 200_000.0, "{report}");
    }
    server.shutdown(Duration::from_secs(5)).await;
}

#[test]
fn bench_at_a_rate_makes_no_call_before_it_is_due() {
    let server = Server::start();
    let load = ["--payload", TEXT, "--calls", "101", "--rate", "200"];
    let report = server.bench("Echo", &load).result();
    assert_eq!(report["ok"], 101);
    // 100 gaps of 5 ms.
    assert!(report["calls_per_s"].as_f64().unwrap() <= 202.0, "{report}");
}

#[test]
fn bench_refuses_a_rate_that_is_none() {
    for arguments in [&["--rate", "0"][..], &["--rate=-1"], &["--rate", "NaN"], &["--poisson"]] {
        let call = ["bench", "--socket", "/nowhere", "--plugin", "P", "--hook", "tool_pre_invoke"];
        let load = ["--payload", "{}", "--callers", "1", "--calls", "1"];
        let run = hookwire(&[&call[..], &load, arguments].concat(), "");
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("rate"), "{run:?}");
    }
}

#[test]
fn bench_compares_two_servers() {
    let (a, b) = (Server::start(), Server::start());
    let other = b.socket();
    let run = a.bench("Echo", &["--payload", TEXT, "--calls", "205", "--compare", text(&other)]);
    let report = run.result();
    assert_eq!([&report["a"]["ok"], &report["b"]["ok"]], [205, 205]);
    assert!(report["ratio"].as_f64().unwrap() > 0.0);
}

#[test]
fn serve_stops_on_sigterm_and_takes_its_socket_along() {
    let mut server = Server::start();
    let kill = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(!server.socket().exists());
}

#[test]
fn serve_leaves_a_socket_alone_that_is_in_use() {
    let server = Server::start();
    let second = server.run("serve", &[], &["--json"]).json_failure(1);
    assert_eq!(second, ["io", "no"]);
    assert_eq!(server.invoke("Echo", &["--payload", TEXT]).code, Some(0));
}

#[test]
fn the_demo_ends_with_its_table_and_without_a_mismatch() {
    let run = hookwire(&["demo"], "");
    assert_eq!(run.code, Some(0), "{run:?}");
    let row = |name: &str| -> Vec<String> {
        let line = run.stdout.lines().rfind(|line| line.starts_with(name));
        let values = line.unwrap_or_else(|| panic!("no row {name}: {}", run.stdout));
        values.trim_start_matches(name).split("  ").map(str::trim).map(str::to_owned).collect()
    };
    for name in ["calls", "ok", "failed (sent / unsent)", "calls/s", "p50", "p99"] {
        assert!(row(name).len() > 1, "{name}");
    }
    let last = |name| row(name).pop().unwrap();
    assert_eq!([last("violations"), last("mismatched")], ["1", "0"]);
    assert_ne!(last("reconnects"), "0", "the server was killed");
    assert_eq!(run.stderr, "");

    // The path of its socket may be long, and is not ours to break.
    for line in run.stdout.lines().filter(|line| !line.starts_with("A plugin server listens")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // The first of three servers is killed: the others answer in its place, and then it does.
    let answered = |stage: &str| -> Vec<String> {
        let line = run.stdout.lines().find_map(|line| line.trim().strip_prefix(stage));
        let line = line.unwrap_or_else(|| panic!("no stage {stage}: {}", run.stdout));
        line.split_whitespace().map(str::to_owned).collect()
    };
    let killed = answered("the first is killed");
    assert_eq!(killed[0], "-");
    assert!(killed[1..].iter().all(|count| count != "0"), "{killed:?}");
    assert_ne!(answered("and there again")[0], "0");
    assert!(run.stdout.contains("the first came back by itself"), "{}", run.stdout);
}
