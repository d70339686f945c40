//! Flags that are refused, each in terms of itself.

use super::{Certificates, FINE, Server, invoke, run_at};
use crate::harness::{hookwire, text};

#[test]
fn a_target_that_is_none_is_refused_with_what_would_be_right() {
    for (target, told) in [
        ("", "--grpc \"\": must not be empty"),
        ("10.0.0.7", "--grpc \"10.0.0.7\": has no port; write it behind the host"),
        ("guard.example:0", "must end with a port, a number from 1 to 65535"),
        ("https://guard:1", "without a scheme; for TLS, set `--tls`"),
        ("http://guard:1", "for plaintext beyond this machine, set `--plaintext`"),
        ("0.0.0.0:1", "is an address to listen at"),
        ("127.1:1", "ends like an address and is none"),
        ("::1:1", "an IPv6 address must be in brackets"),
        ("127.0.0.1:1,guard", "--grpc \"guard\": has no port"),
        ("/run/p.sock", "is a path; write `--grpc unix:/run/p.sock` for"),
        ("127.0.0.1:1,,127.0.0.2:1", "--grpc \"\": must not be empty"),
        ("127.0.0.1:1,127.0.0.1:1", "--grpc \"127.0.0.1:1\": is there twice"),
        ("ipv4:127.0.0.1:1,guard:1", "must be a list of such addresses"),
        ("unix:", "--grpc unix: must be a path"),
        ("unix://run/p.sock", "names a host before the path; write `unix:/run/p.sock`"),
        ("unix:/p,127.0.0.1:1", "--grpc unix:/p cannot stand beside other targets"),
        ("unix-abstract:p", "is a socket without a path"),
    ] {
        let run = invoke(target, &[]);
        let refused = run.failure(2);
        assert!(refused.contains(told) && refused.contains("--grpc"), "{target}: {refused}");
        for key in ["`target`", "`targets`", "`tls`", "`tls: {}`", "`uds`", "`plaintext: true`"] {
            assert!(!refused.contains(key), "a key of a configuration: {refused}");
        }
    }
}

#[test]
fn plaintext_to_another_machine_is_refused_with_the_flags_that_secure_it_or_allow_it() {
    for target in ["guard.example:50051", "localhost:50051", "10.0.0.7:50051", "127.0.0.1:1,a:1"] {
        for command in ["configs", "top"] {
            let run = run_at(target, command, &[]);
            let refused = run.failure(2);
            for part in ["there is no `--tls`", "add `--tls`", "`--cacert`", "write `--plaintext`"]
            {
                assert!(refused.contains(part), "{target}: {refused}");
            }
        }
    }
}

#[test]
fn nothing_of_a_target_with_a_password_is_told() {
    for target in ["https://user:hunter2@guard:1", "127.0.0.1:1,user:hunter2@guard:1"] {
        let run = invoke(target, &[]);
        assert!(!run.failure(2).contains("hunter2"), "{run:?}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused_by_name() {
    for (flags, told) in [
        (&["--plaintext", "--tls"][..], "'--plaintext' cannot be used with '--tls'"),
        (&["--plaintext", "--cacert", "ca"], "'--plaintext' cannot be used with '--cacert <FILE>'"),
        (&["--cert", "c"], "--key <FILE>"),
        (&["--key", "k"], "--cert <FILE>"),
        (&["--socket", "/p"], "'--grpc <TARGET>' cannot be used with '--socket <PATH>'"),
        (&["--insecure"], "name the server's own authority in --cacert"),
        (&["--server-name", "a:1"], "--server-name \"a:1\": must be a host name or an address"),
        (&["--cacert", ""], "a value is required for '--cacert <FILE>'"),
    ] {
        let run = invoke("127.0.0.1:1", flags);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(told), "{flags:?}: {run:?}");
    }
    let run = invoke("unix:/p", &["--tls"]);
    assert!(run.failure(2).contains("--tls: is not for a Unix socket"), "{run:?}");
}

/// Whoever gives one takes the way for secured.
#[test]
fn a_flag_about_grpc_is_refused_without_a_target() {
    for flags in [&["--tls"][..], &["--cacert", "ca"], &["--server-name", "a"], &["--plaintext"]] {
        for command in [&["configs", "--socket", "/p"][..], &["top", "gateway.yaml"]] {
            let run = hookwire(&[command, flags].concat(), "");
            let told = format!("{} is about servers over gRPC, and there is no --grpc", flags[0]);
            assert!(run.failure(2).contains(&told), "{run:?}");
        }
    }
}

#[test]
fn a_command_needs_a_socket_or_a_target() {
    for command in [&["configs"][..], &["serve"]] {
        let run = hookwire(command, "");
        assert_eq!(run.code, Some(2), "{run:?}");
        for flag in ["--socket <PATH>", "--grpc <"] {
            assert!(run.stderr.contains(flag), "{run:?}");
        }
    }
}

#[test]
fn connections_are_a_number_for_sockets_only() {
    let call = ["--plugin", "P", "--hook", "tool_pre_invoke", "--payload", FINE];
    let load = ["--callers", "1", "--calls", "1", "--connections", "3"];
    let run = run_at("127.0.0.1:1", "bench", &[&call[..], &load].concat());
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("'--grpc <TARGET>' cannot be used with '--connections <K>'"));
}

#[test]
fn a_file_that_cannot_be_used_is_told_by_its_flag_and_without_its_content() {
    let certificates = Certificates::for_server("127.0.0.1");
    let server = Server::start_at("127.0.0.1:0", &certificates.serving());
    let (cert, key) = &certificates.client;
    let wrong = certificates.files.write("wrong.pem", "hunter2");
    for (flags, told) in [
        (["--cacert", "/no/such.pem"].to_vec(), "`--cacert` /no/such.pem cannot be read"),
        (["--cacert", text(&wrong)].to_vec(), "holds no certificate in PEM"),
        (["--cert", text(cert), "--key", text(&wrong)].to_vec(), "holds no key in PEM"),
        (["--cert", text(key), "--key", text(key)].to_vec(), "`--cert`"),
    ] {
        let run = invoke(&server.address, &flags);
        let failure = run.failure(2);
        assert!(failure.contains(told) && !failure.contains("hunter2"), "{failure}");
    }
}
