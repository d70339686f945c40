//! `hookwire serve --grpc`: what it listens on, whom it lets in, and how it stops.

use std::process::Command;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{GrpcConfig, PluginConfig, PluginContext, PluginHandle};

use super::{Certificates, FINE, Server, invoke};
use crate::certificates::Authority;
use crate::harness::{hookwire, text};

fn refused(arguments: &[&str], code: i32) -> String {
    let run = hookwire(&[&["serve", "--grpc"], arguments].concat(), "");
    run.failure(code).to_owned()
}

#[test]
fn it_stops_in_good_order_on_both_signals() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("g.sock");
    let unix = format!("unix:{}", text(&socket));
    for signal in ["-TERM", "-INT"] {
        for address in ["127.0.0.1:0", &unix] {
            let mut server = Server::start_at(address, &[]);
            let id = server.child.id().to_string();
            assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
            assert_eq!(server.child.wait().unwrap().code(), Some(0), "{signal} {address}");
            assert!(!socket.exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_ends_well_when_it_stops() {
    let mut server = Server::start();
    let grpc = GrpcConfig::builder().target(&server.address);
    let echo = PluginConfig::builder("Echo").grpc(grpc).build().unwrap();
    let echo = PluginHandle::connect(echo).await.unwrap();
    let call = tokio::spawn({
        let echo = echo.clone();
        async move {
            let payload = ToolPreInvokePayload::new("t").with_arg("delay_ms", 500);
            echo.invoke_hook::<ToolPreInvoke>(&payload, &mut PluginContext::new("r")).await
        }
    });
    while echo.stats().in_flight == 0 && !call.is_finished() {
        tokio::task::yield_now().await;
    }
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(call.await.unwrap().unwrap().is_allowed());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn plaintext_beyond_this_machine_must_be_written_out() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let told = refused(&[address], 2);
        for part in ["without TLS", "set `--cert` and `--key`, or `--plaintext`"] {
            assert!(told.contains(part), "{told}");
        }
    }
    let server = Server::start_at("0.0.0.0:0", &["--plaintext"]);
    let port = server.address.rsplit(':').next().unwrap();
    invoke(&format!("127.0.0.1:{port}"), &[]).result();
}

#[test]
fn only_clients_of_the_authority_and_of_a_name_that_is_listed_are_let_in() {
    let certificates = Certificates::for_server("127.0.0.1");
    let names = ["--client-name", "other.internal,gateway.internal"];
    let server = Server::start_at("127.0.0.1:0", &[&certificates.serving()[..], &names].concat());
    invoke(&server.address, &certificates.calling()).result();

    let others = ["--client-name", "other.internal"];
    let server = Server::start_at("127.0.0.1:0", &[&certificates.serving()[..], &others].concat());
    let run = invoke(&server.address, &certificates.calling());
    assert_eq!(run.code, Some(1), "{run:?}");

    let rogue = Authority::new("Rogue CA").client("other.internal");
    let (cert, key) = certificates.files.identity("rogue", &rogue);
    let ca = ["--cacert", text(&certificates.ca)];
    let run =
        invoke(&server.address, &[&ca[..], &["--cert", text(&cert), "--key", text(&key)]].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
}

#[test]
fn an_address_that_is_none_is_refused_with_examples() {
    for address in ["50051", ":50051", "localhost:50051", "127.0.0.1", "::1:1", ""] {
        let told = refused(&[address], 2);
        assert!(told.contains("must be an address of this machine and a port"), "{told}");
    }
    assert!(refused(&["unix:"], 2).contains("--grpc unix: must be a path"));
}

#[test]
fn flags_that_have_no_effect_or_contradict_are_refused() {
    let run = hookwire(&["serve", "--socket", "/p", "--plaintext"], "");
    assert!(run.failure(2).contains("--plaintext is for --grpc"), "{run:?}");
    let files = ["--cert", "c", "--key", "k"];
    let told = refused(&[&["unix:/p"], &files[..]].concat(), 2);
    assert!(told.contains("--cert is not for a Unix socket"), "{told}");
    for (flags, told) in [
        (&["--cert", "c"][..], "--key <FILE>"),
        (&["--client-ca", "c"], "--cert <FILE>"),
        (&["--client-name", "a"], "--client-ca <FILE>"),
        (&["--plaintext", "--cert", "c", "--key", "k"], "cannot be used with"),
        (&["--socket", "/p"], "cannot be used with"),
    ] {
        let run = hookwire(&[&["serve", "--grpc", "127.0.0.1:0"], flags].concat(), "");
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(told), "{flags:?}: {run:?}");
    }
}

#[test]
fn files_that_cannot_be_used_are_told_by_their_flags() {
    let certificates = Certificates::for_server("127.0.0.1");
    let (cert, key) = &certificates.server;
    let tls = ["127.0.0.1:0", "--cert", text(cert), "--key"];
    let told = refused(&[&tls[..], &["/no/such.key"]].concat(), 2);
    assert!(told.contains("`--key` /no/such.key cannot be read"), "{told}");
    let told = refused(&[&tls[..], &[text(key), "--client-ca", "/no/such.pem"]].concat(), 2);
    assert!(told.contains("`--client-ca` /no/such.pem cannot be read"), "{told}");
}

#[test]
fn an_address_where_somebody_listens_is_told() {
    let server = Server::start();
    let told = refused(&[&server.address], 1);
    assert!(told.contains(&format!("cannot listen on {}", server.address)), "{told}");
}

#[test]
fn requests_may_be_larger_where_both_sides_are_told_so() {
    let server = Server::start_at("127.0.0.1:0", &["--max-frame-len", "6000000"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let large = FINE.replace("{}", &format!("{{\"text\": {:?}}}", "x".repeat(5_000_000)));
    std::fs::write(file.path(), large).unwrap();
    let payload = format!("@{}", text(file.path()));
    let call = ["--plugin", "Echo", "--hook", "tool_pre_invoke", "--payload", &payload];
    let run = server.run("invoke", &call);
    assert!(run.failure(1).contains("the limit is 4194304"), "{run:?}");
    server.run("invoke", &[&call[..], &["--max-frame-len", "6000000"]].concat()).result();
}
