//! What people get wrong at first, and what the command line makes of it.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use fault_server::{FaultServer, Reply};
use serde_json::json;

use crate::harness::{Run, Server, hookwire, text};

/// A payload that every demo plugin lets pass.
const FINE: &str = r#"{"name": "t", "args": {}}"#;
const DENIED: &str = r#"{"name": "t", "args": {"text": "my password"}}"#;

/// `invoke` of a hook of a plugin, without a server of ours.
fn invoke(socket: &str, more: &[&str]) -> Run {
    let call = ["invoke", "--plugin", "Echo", "--hook", "tool_pre_invoke", "--socket", socket];
    hookwire(&[&call[..], more].concat(), "")
}

/// `bench` that is refused before it does anything.
fn refused_bench(more: &[&str]) -> String {
    let call = ["bench", "--socket", "/nowhere", "--plugin", "P", "--hook", "tool_pre_invoke"];
    let run = hookwire(&[&call[..], &["--payload", "{}"], more].concat(), "");
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    run.stderr
}

#[test]
fn a_path_that_is_no_socket_is_told_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plugins.sock");
    std::fs::write(&file, "").unwrap();
    for (path, kind) in [(dir.path(), "a directory"), (&file, "a file")] {
        for run in [
            invoke(text(path), &["--payload", FINE]),
            hookwire(&["configs", "--socket", text(path)], ""),
        ] {
            let told = run.failure(1);
            assert!(told.contains(&format!("the path is {kind}, not a socket")), "{told}");
        }
    }
}

#[test]
fn a_process_that_ends_promises_no_next_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let (absent, dead) = (dir.path().join("absent.sock"), dir.path().join("dead.sock"));
    drop(UnixListener::bind(&dead).unwrap());
    for socket in [&absent, &dead] {
        let socket = text(socket);
        for run in [
            invoke(socket, &["--payload", FINE]),
            hookwire(&["configs", "--socket", socket], ""),
            hookwire(&["configs", "--plugin", "Echo", "--socket", socket], ""),
        ] {
            let told = run.failure(1);
            assert!(told.contains("is the plugin's server running?"), "{told}");
            assert!(!told.contains("next attempt"), "{told}");
        }
        let call = ["bench", "--plugin", "P", "--hook", "tool_pre_invoke", "--payload", FINE];
        let run = hookwire(
            &[&call[..], &["--callers", "1", "--calls", "2", "--socket", socket]].concat(),
            "",
        );
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(!run.stderr.contains("next attempt"), "{run:?}");
    }
}

#[test]
fn a_log_of_a_failure_does_not_tell_that_the_plugin_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("absent.sock");
    let run = invoke(text(&socket), &["--payload", FINE, "-v"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("INFO") && !run.stderr.contains("plugin is back"), "{run:?}");
}

#[test]
fn configs_names_the_server_where_all_its_plugins_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("absent.sock");
    let run = hookwire(&["configs", "--socket", text(&socket)], "");
    let told = run.failure(1);
    assert!(told.starts_with(&format!("hookwire: the server at {}: ", text(&socket))), "{told}");
    let run = hookwire(&["configs", "--plugin", "Echo", "--socket", text(&socket)], "");
    assert!(run.failure(1).starts_with("hookwire: plugin `Echo` at "), "{run:?}");
}

#[test]
fn a_plugin_that_the_server_does_not_have_is_told_with_those_that_it_has() {
    let server = Server::start();
    for (plugin, told) in [
        ("deny", "the server has `Deny`, and names are compared with exact case"),
        ("Nope", "the server has no `Nope`; it has "),
    ] {
        let run = server.invoke(plugin, &["--payload", FINE]);
        assert!(run.failure(1).contains(told), "{run:?}");
    }
    let run = server.bench("deny", &["--payload", FINE, "--calls", "3"]);
    assert!(run.stderr.contains("the server has `Deny`"), "{run:?}");
}

#[test]
fn a_hook_that_the_plugin_does_not_serve_is_told_with_those_that_it_serves() {
    let server = Server::start();
    let call = ["--plugin", "Deny", "--hook", "http_pre_request", "--payload"];
    let payload = r#"{"path": "/", "method": "GET"}"#;
    let run = server.run("invoke", &call, &[payload]);
    assert!(run.failure(1).contains("the plugin serves `"), "{run:?}");
    assert!(run.failure(1).contains("`tool_pre_invoke`"), "{run:?}");
}

#[test]
fn a_misspelt_hook_is_told_with_the_one_that_may_be_meant_and_with_any_hook() {
    let server = Server::start();
    for command in ["invoke", "bench"] {
        let load: &[&str] =
            if command == "bench" { &["--callers", "1", "--calls", "1"] } else { &[] };
        let call = ["--plugin", "Echo", "--payload", FINE, "--hook", "tool_pre_invok"];
        let run = server.run(command, &call, load);
        let told = run.failure(1);
        assert!(told.contains("did you mean `tool_pre_invoke`?"), "{told}");
        assert!(told.contains("--any-hook") && !told.contains("HookRegistry"), "{told}");
    }
    let run =
        server.run("invoke", &["--plugin", "Echo", "--payload", "{}", "--hook"], &["my_hook"]);
    let told = run.failure(1);
    assert!(told.contains("--any-hook") && !told.contains("did you mean"), "{told}");
    let run = server.run("invoke", &["--plugin", "Echo", "--payload", "{}", "--hook", ""], &[]);
    assert!(run.failure(2).contains("--hook must not be empty"), "{run:?}");
}

#[test]
fn an_error_without_a_code_is_told_without_one() {
    let server = Server::start();
    let run = server.invoke("Nope", &["--payload", FINE]);
    let told = run.failure(1);
    assert!(told.contains("mcp_error_code") && !told.contains("``"), "{told}");
}

#[test]
fn integers_beyond_a_double_are_refused_or_rounded_as_asked() {
    let server = Server::start();
    let payload = r#"{"name": "t", "args": {"id": 9007199254740993}}"#;
    let run = server.invoke("Echo", &["--payload", payload]);
    assert!(run.failure(1).contains("`big_integers`"), "{run:?}");
    let run = server.invoke("Echo", &["--payload", payload, "--big-integers", "round"]);
    let id = &run.result()["result"]["modified_payload"]["args"]["id"];
    assert_eq!(*id, 9_007_199_254_740_992_i64);
}

#[test]
fn what_nests_too_deep_is_refused_or_sent_as_text_as_asked() {
    let server = Server::start();
    let deep = (0..40).fold(json!("my password"), |inner, _| json!({"a": inner}));
    let payload = json!({"name": "t", "args": deep}).to_string();
    let run = server.invoke("Deny", &["--payload", &payload]);
    assert!(run.failure(1).contains("`deep_nesting`"), "{run:?}");
    let text = ["--payload", &payload, "--deep-nesting", "text", "--exit-code"];
    assert_eq!(server.invoke("Deny", &text).code, Some(3), "the plugin sees its words");
}

#[test]
fn results_are_printed_over_several_lines_if_asked() {
    let server = Server::start();
    for run in [
        server.invoke("Echo", &["--payload", FINE, "--pretty"]),
        server.run("configs", &[], &["--pretty"]),
    ] {
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.lines().count() > 3, "{run:?}");
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap();
    }
}

#[test]
fn a_denial_exits_with_3_if_asked() {
    let server = Server::start();
    let run = server.invoke("Deny", &["--payload", DENIED, "--exit-code"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert_eq!(run.json()["result"]["continue_processing"], false);
    for more in [&["--payload", FINE, "--exit-code"][..], &["--payload", DENIED]] {
        assert_eq!(server.invoke("Deny", more).code, Some(0), "{more:?}");
    }
}

/// As where a plugin's violation holds what its server cannot write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_beside_a_denial_exits_with_3_if_asked() {
    let server = FaultServer::start(|mut connection| async move {
        let request = connection.request().await?;
        let mut reply = Reply::denial(&request);
        reply.0.error = Reply::error(&request, "a date in the details").0.error;
        connection.reply(reply).await
    });
    for (more, code) in [(&["--exit-code"][..], 3), (&[], 1)] {
        let socket = server.path();
        let run = tokio::task::spawn_blocking(move || {
            invoke(text(&socket), &[&["--payload", FINE], more].concat())
        });
        let run = run.await.unwrap();
        assert!(run.failure(code).contains("denied the request"), "{run:?}");
    }
}

#[test]
fn a_time_that_is_none_is_refused_with_the_bounds() {
    for time in ["0", "-1", "-0.5", "1e30", "31536001", "NaN", "inf", "soon", ""] {
        for command in ["invoke", "configs"] {
            let call: &[&str] = match command {
                "invoke" => &["--plugin", "P", "--hook", "tool_pre_invoke", "--payload", "{}"],
                _ => &[],
            };
            let start = [command, "--socket", "/nowhere", "--timeout", time];
            let run = hookwire(&[&start[..], call].concat(), "");
            assert_eq!(run.code, Some(2), "{run:?}");
            let bounds = "must be a number of seconds above 0 and at most 31536000 (a year)";
            assert!(run.stderr.contains(bounds), "{time}: {run:?}");
        }
    }
}

#[test]
fn a_count_out_of_bounds_is_refused_with_the_bounds() {
    for (option, value, told) in [
        ("--calls", "0", "must be a whole number, at least 1"),
        ("--calls", "-1", "must be a whole number, at least 1"),
        ("--calls", "1.5", "must be a whole number, at least 1"),
        ("--callers", "0", "must be a whole number from 1 to 1000000"),
        ("--callers", "1000001", "must be a whole number from 1 to 1000000"),
        ("--connections", "0", "must be a whole number from 1 to 1024"),
        ("--connections", "5000", "must be a whole number from 1 to 1024"),
        ("--threads", "0", "must be a whole number from 1 to 1024"),
        ("--warmup", "-1", "must be a whole number, at least 0"),
        ("--rate", "-1", "must be a number of calls per second above 0"),
    ] {
        let load = [("--callers", "1"), ("--calls", "1")].into_iter();
        let load = load.filter(|(other, _)| *other != option).flat_map(|(name, one)| [name, one]);
        let load: Vec<_> = load.chain([option, value]).collect();
        let refused = refused_bench(&load);
        assert!(refused.contains(told) && refused.contains(option), "{refused}");
    }
}

#[test]
fn no_more_callers_are_started_than_there_are_calls() {
    let server = Server::start();
    let call = ["--plugin", "Echo", "--hook", "tool_pre_invoke", "--payload", FINE];
    let load = ["--callers", "1000000", "--calls", "10"];
    let run = server.run("bench", &call, &[&load[..], &["--json"]].concat());
    assert_eq!(run.result()["ok"], 10);
    assert!(run.stderr.contains(" 10 callers"), "{run:?}");
}

#[test]
fn calls_that_cannot_have_begun_may_be_sent_again() {
    let server = Server::start();
    for retry in ["unsent", "unstarted", "resend"] {
        let run = server.invoke("Echo", &["--payload", FINE, "--retry", retry]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let run = server.invoke("Echo", &["--payload", FINE, "--retry", "always"]);
    assert!(run.code == Some(2) && run.stderr.contains("unstarted"), "{run:?}");
}

/// The reference writes every key that its contexts have.
#[test]
fn a_message_beyond_the_limit_is_refused_with_the_limit_that_may_be_raised() {
    let server = Server::start();
    let payload = json!({"name": "x".repeat(2000)}).to_string();
    let run = server.invoke("Echo", &["--payload", &payload, "--max-frame-len", "1024"]);
    let told = run.failure(1);
    assert!(told.contains("the limit is 1024; send less or raise `max_frame_len`"), "{told}");
    let run = server.invoke("Echo", &["--payload", &payload, "--max-frame-len", "4096"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_context_may_have_nulls_wherever_something_is_not_set() {
    let server = Server::start();
    let context = json!({
        "state": null,
        "metadata": {},
        "global_context": {
            "request_id": "r-1", "user": null, "user_context": null, "tenant_id": null,
            "server_id": null, "content_type": null, "state": {"a": null}, "metadata": null,
        },
    });
    let context = context.to_string();
    let output = server.invoke("Echo", &["--payload", FINE, "--context", &context]).result();
    assert_eq!(output["context"]["global_context"]["request_id"], "r-1");
    assert_eq!(output["context"]["global_context"]["state"], json!({"a": null}));

    let nothing = r#"{"global_context": null, "state": null}"#;
    let output = server.invoke("Echo", &["--payload", FINE, "--context", nothing]).result();
    assert_ne!(output["context"]["global_context"]["request_id"], "");
}

#[test]
fn a_context_with_what_the_wire_cannot_carry_is_refused_with_the_reason() {
    for (key, value) in [("user_context", json!({"teams": []})), ("content_type", json!("a/b"))] {
        let context = json!({"global_context": {key: value}}).to_string();
        let run = invoke("/nowhere", &["--payload", FINE, "--context", &context]);
        let told = run.failure(2);
        assert!(told.contains(&format!("global_context.{key}: ")), "{told}");
        assert!(told.contains("do not reach a plugin over a socket"), "{told}");
    }
}

#[test]
fn a_context_with_a_value_of_another_type_is_refused_by_its_name() {
    for (key, value) in [("request_id", "7"), ("user", "1"), ("state", "[]")] {
        let context = format!(r#"{{"global_context": {{"{key}": {value}}}}}"#);
        let run = invoke("/nowhere", &["--payload", FINE, "--context", &context]);
        let told = run.failure(2);
        assert!(told.contains(&format!("global_context.{key}: ")), "{told}");
        assert!(!told.contains("untagged"), "{told}");
    }
}

#[test]
fn a_payload_that_its_hook_does_not_take_is_warned_of() {
    let server = Server::start();
    let told = "the payload is not what `tool_pre_invoke` takes: missing field `name`";
    let run = server.invoke("Deny", &["--payload", "{}"]);
    assert_eq!(run.result()["result"]["continue_processing"], true);
    assert_eq!(run.stderr.trim(), format!("hookwire: warning: {told}"));

    let run = server.invoke("Deny", &["--payload", "{}", "--json"]);
    let warning: serde_json::Value = serde_json::from_str(run.stderr.trim()).unwrap();
    assert_eq!(warning, json!({"warning": told}));

    let run = server.bench("Deny", &["--payload", "{}", "--calls", "2"]);
    assert!(run.stderr.contains(told), "{run:?}");
    assert_eq!(server.invoke("Deny", &["--payload", FINE]).stderr, "");
}

#[test]
fn a_server_that_speaks_http_is_told_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("http.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
        // The other side may have seen enough of it.
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let run = invoke(text(&socket), &["--payload", FINE]);
    let told = run.failure(1);
    assert!(told.contains("speaks HTTP, not the plugin protocol"), "{told}");
    server.join().unwrap();
}
