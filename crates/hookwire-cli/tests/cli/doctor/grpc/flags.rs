//! Servers of no file, named by flags.

use serde_json::json;

use super::{address, joined, on_loopback, serve};
use crate::grpc::{Certificates, nobody};
use crate::harness::{Run, hookwire, text};

/// What it says of servers that are named by flags.
async fn flags(arguments: &[&str]) -> Run {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        hookwire(&[&["doctor", "--timeout", "1"], &arguments[..]].concat(), "")
    });
    run.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_without_a_file_are_looked_at_by_flags_and_told_in_their_words() {
    let server = serve("Guard", on_loopback()).await;
    let target = address(&server);
    let run = flags(&["--grpc", &target]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.ends_with("\nnothing keeps the plugin from its work\n"), "{run:?}");
    let run = flags(&["--grpc", &target, "--plugin", "Guard", "--json"]).await;
    let report = run.result();
    assert_eq!((&report["file"], &report["guards"]), (&json!(null), &json!(true)));
    assert_eq!(report["plugins"][0]["hooks"], json!(["tool_pre_invoke"]));

    let run = flags(&["--grpc", &target, "--plugin", "Other"]).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(joined(&run).contains("does not know the plugin"), "{run:?}");
    let run = flags(&["--grpc", &target, "--tls"]).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    let told = joined(&run);
    assert!(told.contains("or correct `--grpc`") && !told.contains("`target`"), "{told}");
    assert!(run.stdout.ends_with("\nthe plugin would not do its work\n"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_and_a_file_are_not_mixed() {
    for (arguments, told) in [
        (&["gateway.yaml", "--grpc", "127.0.0.1:1"][..], "cannot be used with"),
        (&["gateway.yaml", "--plugin", "Guard"], "cannot be used with"),
        (&[], "<CONFIG>"),
        (&["gateway.yaml", "--tls"], "--tls is about servers over gRPC"),
        (&["--grpc", "guard:1"], "there is no `--tls`"),
    ] {
        let run = flags(arguments).await;
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(told), "{arguments:?}: {run:?}");
    }
}

#[test]
fn what_is_shown_of_a_server_is_never_that_of_a_file_that_it_has() {
    // The key of a certificate is in neither form of the report.
    let certificates = Certificates::for_server("127.0.0.1");
    let run = hookwire(
        &["doctor", "--json", "--grpc", &nobody(), "--cacert", text(&certificates.server.1)],
        "",
    );
    let key = std::fs::read_to_string(&certificates.server.1).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!format!("{run:?}").contains(secret), "{run:?}");
}
