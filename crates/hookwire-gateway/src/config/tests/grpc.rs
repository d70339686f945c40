//! Plugins over gRPC, in a gateway's file.

use hookwire::config::Transport;

use super::{config, problems};

#[test]
fn an_entry_with_a_section_grpc_is_called_like_one_behind_a_socket() {
    let config = config(
        "plugins:\n- {name: Remote, kind: external, grpc: {target: '10.0.0.7:1', tls: {}, timeout: 2}}",
    );
    let [remote] = config.plugins() else { panic!("{config:?}") };
    assert!(matches!(remote.transport(), Transport::Grpc(grpc) if grpc.tls().is_some()));
    assert_eq!((remote.policy().timeout().as_secs(), config.left_out().len()), (2, 0));
}

#[test]
fn problems_are_told_with_the_line_of_their_key_however_deep_it_is() {
    let text = "
plugins:
- name: Guard
  grpc:
    target: guard
    timeuot: 5
    tls:
      certfile: /c.pem
      verify: false
- name: Open
  grpc:
    target: guard.example:50051
- name: Both
  grpc: {target: '127.0.0.1:1'}
  mcp: {url: http://host}
";
    let told = problems(text);
    for (start, of) in [
        ("line 5: plugin `Guard`: grpc.target = \"guard\": has no port", 0),
        ("line 6: plugin `Guard`: grpc.timeuot: unknown key, did you mean `timeout`?", 1),
        ("line 7: plugin `Guard`: grpc.tls.keyfile: missing, and `certfile` is set", 2),
        ("line 9: plugin `Guard`: grpc.tls.verify = false: must not be false", 3),
        ("line 12: plugin `Open`: grpc.target = \"guard.example:50051\": is a name", 4),
        ("line 15: plugin `Both`: mcp: an external plugin has exactly one transport", 5),
    ] {
        assert!(told[of].starts_with(start), "{told:#?}");
    }
    assert_eq!(told.len(), 6, "{told:#?}");
}

#[test]
fn what_a_template_brought_in_is_not_told() {
    for section in [
        "target: '{{ env.T }}'",
        "target: '{{ env.T }}:0'",
        "target: '{{ env.T }}:1'",
        "targets: ['127.0.0.1:1', '{{ env.T }}:1']",
        "{target: '127.0.0.1:1', tls: {}, server_name: '{{ env.T }}:1'}",
        "{target: 'a:1', tls: {certfile: '{{ env.T }}'}}",
    ] {
        let section =
            if section.starts_with('{') { section.into() } else { format!("{{{section}}}") };
        let text = format!("plugins: [{{name: P, grpc: {section}}}]");
        let told = super::problems_with(&text, [("T", "s3cret")]).join("; ");
        assert!(told.contains("grpc.") && !told.contains("s3cret"), "{told}");
    }
}
