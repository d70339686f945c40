//! What each command does over gRPC.

use serde_json::json;

use super::{Certificates, DENIED, FINE, Server, invoke, nobody, run_at};
use crate::harness::{self, hookwire, text};
use crate::top::Top;

#[test]
fn invoke_calls_a_server_on_this_machine_without_another_word() {
    let server = Server::start();
    let run = invoke(&server.address, &["--exit-code"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert_eq!(run.json()["result"]["violation"]["code"], "FORBIDDEN_WORD");
}

#[test]
fn invoke_calls_over_tls_with_certificates_on_both_sides() {
    let certificates = Certificates::for_server("127.0.0.1");
    let server = Server::start_at("127.0.0.1:0", &certificates.serving());
    let run = invoke(&server.address, &certificates.calling());
    assert_eq!(run.result()["result"]["continue_processing"], false);
}

#[test]
fn invoke_calls_over_tls_by_another_name_than_the_targets() {
    let certificates = Certificates::for_server("guard.internal");
    let server = Server::start_at("127.0.0.1:0", &certificates.serving());
    let wrong = invoke(&server.address, &certificates.calling());
    let told = wrong.failure(1);
    assert!(
        told.contains("the server's certificate is for")
            && told.contains("guard.internal")
            && told.contains("(`--server-name`)"),
        "{told}"
    );
    let more = [&certificates.calling()[..], &["--server-name", "guard.internal"]].concat();
    invoke(&server.address, &more).result();
}

#[test]
fn files_may_be_named_from_the_directory_that_the_command_is_given_in() {
    let certificates = Certificates::for_server("127.0.0.1");
    let server = Server::start_at("127.0.0.1:0", &certificates.serving());
    let run = std::process::Command::new(harness::HOOKWIRE)
        .current_dir(certificates.path(""))
        .args(["configs", "--grpc", &server.address, "--cacert", "ca.crt"])
        .args(["--cert", "client.crt", "--key", "client.key"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn a_socket_on_which_a_server_speaks_grpc_is_a_target() {
    let dir = tempfile::tempdir().unwrap();
    let target = format!("unix:{}", text(&dir.path().join("g.sock")));
    let server = Server::start_at(&target, &[]);
    assert_eq!(server.address, target);
    for target in [&target, &target.replace("unix:", "unix://")] {
        invoke(target, &[]).result();
    }
}

#[test]
fn a_socket_on_which_a_server_speaks_grpc_is_told_apart_where_it_is_called_as_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("g.sock");
    let _server = Server::start_at(&format!("unix:{}", text(&path)), &[]);
    let call = ["invoke", "--socket", text(&path), "--plugin", "Echo", "--hook", "tool_pre_invoke"];
    let run = hookwire(&[&call[..], &["--payload", FINE]].concat(), "");
    let failure = run.failure(1);
    assert!(
        failure.contains("if its server speaks gRPC there, write `--grpc unix:PATH`"),
        "{failure}"
    );
}

#[test]
fn of_several_servers_one_that_is_there_is_enough() {
    let server = Server::start();
    let both = format!("{},{}", nobody(), server.address);
    invoke(&both, &[]).result();
    invoke(&nobody(), &["--grpc", &server.address]).result();
    let list = format!("ipv4:{both}");
    invoke(&list, &[]).result();
}

#[test]
fn configs_prints_one_or_all_and_tells_of_one_that_is_not_there() {
    let server = Server::start();
    assert_eq!(server.run("configs", &[]).result().as_array().unwrap().len(), 3);
    assert_eq!(server.run("configs", &["--plugin", "Deny"]).result()["name"], "Deny");
    let unknown = server.run("configs", &["--plugin", "Nobody"]);
    let told = format!("the server at {} knows no plugin `Nobody`", server.address);
    assert!(unknown.failure(1).contains(&told), "{unknown:?}");
}

#[test]
fn bench_prints_the_same_figures_as_over_a_socket() {
    let (server, socket) = (Server::start(), harness::Server::start());
    let call = ["--plugin", "Echo", "--hook", "tool_pre_invoke", "--payload", FINE];
    let load = ["--callers", "8", "--calls", "300", "--verify", "--json"];
    let over_grpc = server.run("bench", &[&call[..], &load].concat());
    let over_socket = socket.run("bench", &call, &load);
    let keys =
        |run: &harness::Run| run.result().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&over_grpc), keys(&over_socket));
    let report = over_grpc.result();
    assert_eq!([&report["ok"], &report["mismatched"]], [300, 0]);
    assert!(over_grpc.stderr.contains("one connection to each server"), "{over_grpc:?}");

    let rate = server.run("bench", &[&call[..], &load, &["--rate", "1000"]].concat()).result();
    // 299 gaps of 1 ms.
    assert!(rate["calls_per_s"].as_f64().unwrap() <= 1004.0, "{rate}");
}

#[test]
fn bench_compares_a_server_over_grpc_with_one_on_a_socket_and_with_another_over_grpc() {
    let (server, socket) = (Server::start(), harness::Server::start());
    let call = ["--plugin", "Echo", "--hook", "tool_pre_invoke", "--payload", FINE];
    let load = ["--callers", "8", "--calls", "100", "--json", "--compare"];
    let path = socket.socket();
    for other in [text(&path), &server.address] {
        let report = server.run("bench", &[&call[..], &load, &[other]].concat()).result();
        assert_eq!([&report["a"]["ok"], &report["b"]["ok"]], [100, 100]);
    }
}

#[test]
fn top_shows_all_plugins_of_the_servers() {
    let server = Server::start();
    let top = Top::start(&["--grpc", &server.address]);
    for plugin in ["Replace", "Deny", "Echo"] {
        top.line(|line| line.starts_with(&format!("plugin=\"{plugin}\" state=ready ")));
    }
    assert_eq!(top.interrupt(), Some(0));
}

#[test]
fn an_entry_with_a_section_grpc_works_from_a_file_and_alone() {
    let server = Server::start();
    let entry = json!({
        "name": "Deny", "mode": "sequential", "hooks": ["tool_pre_invoke"],
        "grpc": {"target": server.address},
    });
    let report = hookwire(&["check", &entry.to_string()], "").result();
    assert_eq!([&report["plugin"], &report["socket"]], ["Deny", server.address.as_str()]);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.yaml");
    std::fs::write(&file, json!({"plugins": [entry]}).to_string()).unwrap();
    let top = Top::start(&[text(&file)]);
    top.line(|line| line.starts_with("plugin=\"Deny\" state=ready "));
    assert_eq!(top.interrupt(), Some(0));
}

#[test]
fn a_failed_call_is_told_with_its_target_and_whether_it_was_sent() {
    let target = nobody();
    let run = invoke(&target, &["--json"]);
    assert_eq!(run.json_failure(1), ["unavailable", "no"]);
    let run = invoke(&target, &[]);
    let told = run.failure(1);
    assert!(told.starts_with(&format!("hookwire: plugin `Deny` at {target}: ")), "{told}");
    assert!(told.contains("is the plugin's server running?"), "{told}");

    let server = Server::start();
    let slow = r#"{"name": "t", "args": {"delay_ms": 60000}}"#;
    let call = ["--plugin", "Echo", "--hook", "tool_pre_invoke", "--payload", slow];
    let late = server.run("invoke", &[&call[..], &["--timeout", "0.3", "--json"]].concat());
    assert_eq!(late.json_failure(1), ["timeout", "maybe"]);
}

#[test]
fn a_message_beyond_the_limit_is_told_with_the_flag_that_raises_it() {
    let server = Server::start();
    let payload = json!({"name": "x".repeat(2000)}).to_string();
    let call = ["--plugin", "Echo", "--hook", "tool_pre_invoke", "--payload", &payload];
    let run = server.run("invoke", &[&call[..], &["--max-frame-len", "1024"]].concat());
    let told = run.failure(1);
    assert!(told.contains("the limit is 1024; ") && told.contains("`--max-frame-len`"), "{told}");
    server.run("invoke", &[&call[..], &["--max-frame-len", "4096"]].concat()).result();
}

#[test]
fn a_server_that_is_not_trusted_or_speaks_no_tls_is_told_by_the_flags() {
    let certificates = Certificates::for_server("127.0.0.1");
    let server = Server::start_at("127.0.0.1:0", &certificates.serving());
    // With TLS 1.3 what the server says of it may be lost with the connection.
    let run = invoke(&server.address, &["--cacert", text(&certificates.ca)]);
    let told = run.failure(1);
    assert!(
        told.contains("demands a client certificate (`--cert`, `--key`)")
            || told.contains("`hookwire doctor` with the same --grpc and flags"),
        "{told}"
    );

    let other = Certificates::of("Other CA", "127.0.0.1");
    let run = invoke(&server.address, &["--cacert", text(&other.ca)]);
    let told = run.failure(1);
    assert!(told.contains("is not signed by a trusted authority (`--cacert`)"), "{told}");

    let run = run_at(&server.address, "configs", &[]);
    assert_eq!(run.code, Some(1), "plaintext to a server that speaks TLS: {run:?}");

    let plaintext = Server::start();
    let run = invoke(&plaintext.address, &["--tls"]);
    assert!(run.failure(1).contains("the server does not speak TLS"), "{run:?}");
}

#[test]
fn the_words_of_a_plugin_are_not_taken_for_keys() {
    let server = Server::start();
    let call = ["--plugin", "name", "--hook", "tool_pre_invoke", "--payload", DENIED];
    let run = server.run("invoke", &call);
    assert!(run.failure(1).contains("plugin `name` at "), "{run:?}");
}
