//! Where a plugin's gRPC servers are. What a target may look like is tested beside its parser.

use serde_json::json;

use super::super::{GrpcConfig, PluginConfig};
use super::grpc::{LOCAL, told};
use super::problems;

#[test]
fn where_the_server_is_must_be_said() {
    let problems = problems(json!({"name": "P", "grpc": {"timeout": 1}}));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("grpc.target: missing; "), "{problems:?}");
    let built = GrpcConfig::builder().build().unwrap_err();
    assert_eq!(built.problems()[0].field(), "grpc.target");
}

#[test]
fn where_the_server_is_can_be_said_in_one_way_only() {
    let way = |first: &str, other: &str| {
        format!(
            "grpc.{other}: is one of three ways to say where the server is, and `{first}` is set too; remove one of them"
        )
    };
    assert_eq!(told(json!({"target": LOCAL, "targets": [LOCAL]})), [way("target", "targets")]);
    assert_eq!(told(json!({"target": LOCAL, "uds": "/p"})), [way("target", "uds")]);
    assert_eq!(told(json!({"targets": [LOCAL], "uds": "/p"})), [way("targets", "uds")]);
    let all = told(json!({"target": LOCAL, "targets": [LOCAL], "uds": "/p"}));
    assert_eq!(all, [way("target", "targets"), way("target", "uds")]);
}

#[test]
fn a_target_that_cannot_be_one_is_refused_with_its_reason() {
    for (value, reason) in [
        (
            json!("guard"),
            "grpc.target = \"guard\": has no port; write it behind the host, as in `guard.example:50051`",
        ),
        (
            json!("unix:/p"),
            "grpc.target = \"unix:/p\": names a Unix socket; set `uds` to its path instead",
        ),
        (
            json!("a:1,b:2"),
            "grpc.target = \"a:1,b:2\": is one server; several are a list, `targets`",
        ),
        (json!(["a:1"]), "grpc.target = a list: must be a string; a list is `targets`"),
        (json!(50051), "grpc.target = 50051: must be a string, as in `guard.example:50051`"),
        (
            json!("{{ env.T }}:1"),
            "grpc.target = \"{{ env.T }}:1\": a template that was not rendered; render the file before it is read here",
        ),
    ] {
        assert_eq!(told(json!({"target": value})), [reason]);
    }
}

#[test]
fn targets_are_a_list_that_names_what_is_wrong_in_it() {
    let refused = |value| told(json!({"targets": value})).join("");
    assert!(
        refused(json!("a:1"))
            .ends_with("must be a list of strings, as in `[a.example:50051, b.example:50051]`")
    );
    assert!(refused(json!([1])).contains("must be a list of strings"));
    assert_eq!(refused(json!([])), "grpc.targets = a list: must not be empty");
    assert_eq!(
        refused(json!([LOCAL, "b"])),
        "grpc.targets = a list: item 2: has no port; write it behind the host, as in `guard.example:50051`"
    );
    assert_eq!(
        refused(json!(["127.0.0.1:1", "dns:///127.0.0.1:1"])),
        "grpc.targets = a list: item 2: is there twice"
    );
}

#[test]
fn a_password_in_a_uri_is_never_shown() {
    let uri = "https://user:s3cret@guard:443";
    for keys in [json!({"target": uri}), json!({"targets": [uri]})] {
        let told = told(keys).join("");
        assert!(told.contains("must be `host:port`, without a scheme") && !told.contains("s3cret"));
    }
    for builder in [GrpcConfig::builder().target(uri), GrpcConfig::builder().targets([uri])] {
        assert!(!format!("{builder:?}").contains("s3cret"));
        let plugin = PluginConfig::builder("P").grpc(builder);
        assert!(!format!("{plugin:?}").contains("s3cret"));
    }
    let entry = json!({"name": "P", "grpc": uri});
    let expected = "grpc: must be an object, with the `target` where the server is";
    assert_eq!(problems(entry), [expected]);
}

#[test]
fn a_socket_is_named_by_its_absolute_path() {
    assert_eq!(told(json!({"uds": "p.sock"})), ["grpc.uds = \"p.sock\": must be absolute"]);
    assert_eq!(told(json!({"uds": "~/p.sock"})), ["grpc.uds = \"~/p.sock\": must be absolute"]);
    let long = format!("/{}", "x".repeat(200));
    assert!(told(json!({"uds": long}))[0].contains("bytes long (a limit of the system)"));
}
