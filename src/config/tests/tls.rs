//! Nothing is plaintext, and nobody is trusted, by mistake: each way to get there is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use super::super::{GrpcConfig, TlsConfig};
use super::grpc::{grpc, told};

const REMOTE: &str = "guard.example:50051";

fn told_of_tls(tls: Value) -> Vec<String> {
    told(json!({"target": REMOTE, "tls": tls}))
}

#[test]
fn plaintext_to_another_machine_is_refused() {
    for (keys, start) in [
        (
            json!({"target": REMOTE}),
            "grpc.target = \"guard.example:50051\": is a name, not known to be that of this machine, and there is no `tls`",
        ),
        (
            json!({"target": "10.0.0.7:1"}),
            "grpc.target = \"10.0.0.7:1\": is not on this machine, and there is no `tls`",
        ),
        (json!({"target": "[fd00::1]:1"}), "grpc.target = \"[fd00::1]:1\": is not on this machine"),
        (
            json!({"target": "ipv4:127.0.0.1:1,10.0.0.1:1"}),
            "grpc.target = \"ipv4:127.0.0.1:1,10.0.0.1:1\": is not on this machine",
        ),
        (
            json!({"targets": ["127.0.0.1:1", "10.0.0.1:1"]}),
            "grpc.targets = a list: item 2: is not on this machine",
        ),
    ] {
        let told = told(keys);
        assert!(told.len() == 1 && told[0].starts_with(start), "{told:?}");
        assert!(told[0].contains("add `tls: {}`") && told[0].contains("`plaintext: true`"));
    }
}

#[test]
fn localhost_is_a_name_and_not_known_to_be_this_machine() {
    let told = told(json!({"target": "localhost:50051"}));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("write `127.0.0.1` or `[::1]`"), "{told:?}");
    assert!(grpc(json!({"target": "localhost:50051", "tls": {}})).tls().is_some());
}

#[test]
fn plaintext_goes_to_loopback_addresses_and_sockets() {
    for keys in [
        json!({"target": "127.0.0.1:1"}),
        json!({"target": "[::1]:1"}),
        json!({"targets": ["127.0.0.1:1", "[::1]:1"]}),
        json!({"uds": "/run/p.sock"}),
    ] {
        assert_eq!(grpc(keys).tls(), None);
    }
}

#[test]
fn plaintext_goes_to_another_machine_where_that_is_written_out() {
    let grpc = grpc(json!({"target": REMOTE, "plaintext": true}));
    assert_eq!((grpc.tls(), grpc.plaintext()), (None, Some(true)));
    let built = GrpcConfig::builder().target(REMOTE).plaintext(true).build().unwrap();
    assert_eq!(built, grpc);
}

#[test]
fn plaintext_that_is_false_means_it_for_loopback_too() {
    assert_eq!(
        told(json!({"target": "127.0.0.1:1", "plaintext": false})),
        [
            "grpc.plaintext = false: is false, and without `tls` there is nothing else; add `tls: {}`"
        ]
    );
    assert!(grpc(json!({"target": REMOTE, "plaintext": false, "tls": {}})).tls().is_some());
    grpc(json!({"uds": "/run/p.sock", "plaintext": false}));
}

#[test]
fn plaintext_beside_tls_is_refused() {
    assert_eq!(
        told(json!({"target": REMOTE, "plaintext": true, "tls": {}})),
        [
            "grpc.plaintext = true: contradicts `tls`, and it is not clear which of them is meant; remove one of them"
        ]
    );
}

#[test]
fn a_tls_section_that_is_wrong_does_not_end_in_plaintext() {
    let keys = json!({"target": "127.0.0.1:1", "plaintext": true, "tls": {"x": 1}});
    assert_eq!(told(keys).len(), 2, "the key, and the contradiction");
}

#[test]
fn tls_with_a_unix_socket_is_refused() {
    assert_eq!(
        told(json!({"uds": "/run/p.sock", "tls": {}})),
        [
            "grpc.tls: is not for a Unix socket (`uds`), which does not leave the machine; remove one of them"
        ]
    );
}

#[test]
fn an_empty_tls_section_is_tls_with_the_systems_authorities() {
    for tls in [json!({}), json!({"ca_bundle": null, "verify": null, "keyfile_password": null})] {
        let grpc = grpc(json!({"target": REMOTE, "tls": tls}));
        assert_eq!(grpc.tls(), Some(&TlsConfig::new()));
    }
}

#[test]
fn tls_is_a_section_and_nothing_shorter() {
    for tls in [json!(true), json!("on"), json!("/ca.pem"), json!([])] {
        assert_eq!(
            told_of_tls(tls),
            [
                "grpc.tls: must be an object; `tls: {}` is TLS with the authorities that the system trusts"
            ]
        );
    }
}

#[test]
fn a_client_certificate_needs_its_key_and_a_key_its_certificate() {
    assert_eq!(
        told_of_tls(json!({"certfile": "/c.pem"})),
        [
            "grpc.tls.keyfile: missing, and `certfile` is set: a client's certificate needs both (one file may hold them)"
        ]
    );
    assert_eq!(
        told_of_tls(json!({"keyfile": "/c.key"})),
        [
            "grpc.tls.certfile: missing, and `keyfile` is set: a client's certificate needs both (one file may hold them)"
        ]
    );
    let tls = json!({"certfile": "/c.pem", "keyfile": "/c.key"});
    let grpc = grpc(json!({"target": REMOTE, "tls": tls}));
    let tls = grpc.tls().unwrap();
    assert_eq!(
        (tls.certfile(), tls.keyfile()),
        (Some(Path::new("/c.pem")), Some(Path::new("/c.key")))
    );
}

#[test]
fn an_encrypted_key_is_refused_and_its_password_not_shown() {
    let told = told_of_tls(json!({
        "certfile": "/c.pem", "keyfile": "/c.key", "keyfile_password": "s3cret",
    }));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("grpc.tls.keyfile_password: encrypted keys are not read; decrypt"));
    assert!(!told[0].contains("s3cret"));
}

#[test]
fn not_to_verify_is_refused_with_what_to_do_instead() {
    for off in [json!(false), json!("off")] {
        let told = told_of_tls(json!({"verify": off}));
        assert!(told.len() == 1 && told[0].contains("`ca_bundle`"), "{told:?}");
        assert!(told[0].starts_with(&format!("grpc.tls.verify = {off}: must not be false")));
    }
    let told = told_of_tls(json!({"verify": "no"}));
    assert_eq!(told, ["grpc.tls.verify = \"no\": must be true, false, `on` or `off`"]);
    grpc(json!({"target": REMOTE, "tls": {"verify": true}}));
}

#[test]
fn files_are_named_by_their_absolute_paths() {
    for key in ["ca_bundle", "certfile", "keyfile"] {
        let mut tls = json!({"certfile": "/c.pem", "keyfile": "/c.key"});
        tls[key] = "ca.pem".into();
        let expected = format!("grpc.tls.{key} = \"ca.pem\": must be absolute");
        assert_eq!(told_of_tls(tls), [expected]);
    }
    // A socket's path is shorter, a file's need not be.
    let long = format!("/{}", "x".repeat(300));
    grpc(json!({"target": REMOTE, "tls": {"ca_bundle": long}}));
}

#[test]
fn what_should_be_in_a_file_is_not_shown_where_its_path_should_be() {
    let secret = "MC4CAQAwBQYDK2VwBCIEIJ0000000000000000000000000000000000000000AA";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    for (key, value, reason) in [
        ("keyfile", &*pem, "must be the path of a file, and here is what should be in it"),
        ("certfile", &*pem, "must be the path of a file, and here is what should be in it"),
        ("ca_bundle", &*pem, "must be the path of a file, and here is what should be in it"),
        ("keyfile", secret, "must be absolute"),
    ] {
        let mut tls = json!({"certfile": "/c.pem", "keyfile": "/c.key"});
        tls[key] = value.into();
        let told = told_of_tls(tls);
        let expected = format!("grpc.tls.{key}: {reason}");
        assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");
        assert!(!told[0].contains(secret), "{told:?}");
    }
}

#[test]
fn a_path_that_is_not_utf_8_is_refused_and_never_changed() {
    let tls = TlsConfig::new().with_ca_bundle(OsStr::from_bytes(b"/run/\xff"));
    let error = GrpcConfig::builder().target(REMOTE).tls(tls).build().unwrap_err();
    let told = "grpc.tls.ca_bundle = a list: must be a string, in UTF-8";
    assert!(error.to_string().contains(told), "{error}");
}

#[test]
fn a_server_name_is_a_name_or_an_address_without_a_port() {
    for name in ["guard.internal", "10.0.0.7", "fd00::1"] {
        let grpc = grpc(json!({"target": REMOTE, "tls": {}, "server_name": name}));
        assert_eq!(grpc.tls().unwrap().server_name(), Some(name));
    }
    for name in ["guard:443", "", "https://guard", "a b", "[::1]"] {
        let told = told(json!({"target": REMOTE, "tls": {}, "server_name": name}));
        assert_eq!(
            told,
            [format!(
                "grpc.server_name = {}: must be a host name or an address, without a port",
                json!(name)
            )]
        );
    }
}

#[test]
fn a_server_name_without_tls_is_refused() {
    let told = told(json!({"target": "127.0.0.1:1", "server_name": "guard.internal"}));
    assert_eq!(told.len(), 1);
    assert!(told[0].ends_with("there is no `tls`; add `tls: {}`, or remove it"), "{told:?}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (key, nearest) in [
        ("certfle", "certfile"),
        ("ca_bundel", "ca_bundle"),
        // As certfile it would be shown to the server.
        ("cafile", "ca_bundle"),
        ("ca_cert", "ca_bundle"),
        ("client_cert", "certfile"),
        ("private_key", "keyfile"),
        ("insecure", "verify"),
    ] {
        let told = told_of_tls(json!({key: "/x"}));
        assert_eq!(told.len(), 1);
        let expected = format!("grpc.tls.{key}: unknown key, did you mean `{nearest}`?");
        assert_eq!(told, [expected]);
    }
}

#[test]
fn a_server_name_within_tls_is_told_where_it_stands() {
    let told = told_of_tls(json!({"server_name": "guard.internal"}));
    assert_eq!(told, ["grpc.tls.server_name: stands beside `tls`, not in it"]);
}

/// The reference's variables turn every plugin without a section into TLS, or leave it without.
#[test]
fn the_references_variables_are_named_nowhere() {
    for file in [
        include_str!("../grpc.rs"),
        include_str!("../tls.rs"),
        include_str!("../servers.rs"),
        include_str!("../transport.rs"),
        include_str!("../../grpc/target.rs"),
    ] {
        assert!(!file.contains("std::env") && !file.contains("env::var"));
    }
}
