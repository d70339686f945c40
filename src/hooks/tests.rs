use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::model::{Object, PluginResult};

mod json;

fn object(json: Value) -> Object {
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_message_names_its_hook_without_the_prefix() {
    let message = Message::new("user");
    assert_eq!(
        MessagePayload::for_hook::<CmfToolPreInvoke>(message.clone()).hook,
        "tool_pre_invoke"
    );
    assert_eq!(MessagePayload::for_hook::<Evaluate>(message).hook, "evaluate");
}

/// The keys that may be left out, all left out or all null.
#[test]
fn absent_and_null_are_the_same() {
    fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(absent: Value, null: Value) {
        let read = |json| serde_json::from_value::<T>(json).unwrap();
        assert_eq!(read(absent), read(null));
    }
    same::<ToolPreInvokePayload>(
        json!({"name": "n"}),
        json!({"name": "n", "args": null, "headers": null, "added_later": 1}),
    );
    same::<AgentPreInvokePayload>(
        json!({"agent_id": "a", "messages": []}),
        json!({
            "agent_id": "a", "messages": null, "tools": null, "headers": null, "model": null,
            "system_prompt": null, "parameters": null,
        }),
    );
    same::<HttpPreRequestPayload>(
        json!({"path": "/", "method": "GET", "headers": {}}),
        json!({
            "path": "/", "method": "GET", "headers": null, "client_host": null,
            "client_port": null,
        }),
    );
    same::<ResolvedIdentity>(json!({}), json!({"subject": null, "raw_claims": null}));
    same::<DelegatedToken>(
        json!({}),
        json!({"delegation_update": null, "forwarded_headers": null}),
    );
    same::<RouteAttenuation>(json!({}), json!({"capabilities": null, "actions": null}));
    same::<MessagePayload>(
        json!({"message": {"role": "user"}}),
        json!({"message": {"role": "user", "content": null, "channel": null}}),
    );
}

#[test]
fn defaults_of_the_protocol_are_filled_in() {
    let identity: IdentityResolvePayload =
        serde_json::from_value(json!({"raw_token": "t"})).unwrap();
    assert_eq!(identity, IdentityResolvePayload::new("t"));
    let target: TokenDelegatePayload = serde_json::from_value(json!({"target_name": "t"})).unwrap();
    assert_eq!(target, TokenDelegatePayload::new("t"));
    let resolved: ResolvedIdentity = serde_json::from_value(json!({})).unwrap();
    assert_eq!(resolved, ResolvedIdentity::default());
}

#[test]
fn a_missing_required_field_is_an_error() {
    fn fails<T: DeserializeOwned>(json: Value, field: &str) {
        let error = serde_json::from_value::<T>(json).err().unwrap().to_string();
        assert!(error.contains(field), "{error}");
    }
    fails::<ToolPreInvokePayload>(json!({}), "name");
    fails::<ToolPostInvokePayload>(json!({"name": "n"}), "result");
    fails::<AgentPreInvokePayload>(json!({"agent_id": "a"}), "messages");
    fails::<HttpPreRequestPayload>(json!({"path": "/", "method": "GET"}), "headers");
    fails::<PermissionDecision>(json!({"reason": "x"}), "granted");
    fails::<Message>(json!({}), "role");
}

/// Null is not read as "not rejected": that would let a credential through.
#[test]
fn a_null_rejection_is_an_error() {
    assert!(serde_json::from_value::<ResolvedIdentity>(json!({"rejected": null})).is_err());
}

#[test]
fn some_hooks_answer_with_another_type_than_they_ask_with() {
    fn modified<H: Hook>(payload: Value) -> H::Modified {
        let json = json!({"continue_processing": true, "modified_payload": payload});
        let result: PluginResult<H::Modified> = serde_json::from_value(json).unwrap();
        result.modified_payload.unwrap()
    }
    assert_eq!(modified::<HttpPreRequest>(json!({"X": "y"}))["X"], "y");
    assert_eq!(modified::<HttpPostRequest>(json!({"X": "y"}))["X"], "y");
    assert_eq!(modified::<HttpAuthResolveUser>(json!({"email": "a@b"}))["email"], "a@b");
    assert!(modified::<HttpAuthCheckPermission>(json!({"granted": true})).granted);
    assert!(modified::<IdentityResolve>(json!({"rejected": true})).rejected);
    assert_eq!(modified::<TokenDelegate>(json!({"cache_ttl": 5})).cache_ttl, Some(5));
}

#[test]
fn debug_output_never_shows_contents() {
    let leak = || json!({"k": "hunter2"});
    let headers = || [("Authorization".to_owned(), "hunter2".to_owned())].into();
    let shown = [
        format!(
            "{:?}",
            ToolPreInvokePayload::new("t").with_args(object(leak())).with_headers(headers())
        ),
        format!("{:?}", ToolPostInvokePayload::new("t", leak())),
        format!("{:?}", PromptPreFetchPayload::new("p").with_args(headers())),
        format!("{:?}", PromptPostFetchPayload::new("p", leak())),
        format!(
            "{:?}",
            ResourcePreFetchPayload::new("x://hunter2@y").with_metadata(object(leak()))
        ),
        format!("{:?}", ResourcePostFetchPayload::new("x://hunter2@y", leak())),
        format!(
            "{:?}",
            AgentPreInvokePayload::new("a", vec![leak()]).with_system_prompt("hunter2")
        ),
        format!("{:?}", AgentPostInvokePayload::new("a", vec![leak()])),
        format!(
            "{:?}",
            HttpPreRequestPayload::new("/reset/hunter2", "GET").with_headers(headers())
        ),
        format!("{:?}", HttpPostRequestPayload::new("/", "GET").with_response_headers(headers())),
        format!("{:?}", HttpAuthResolveUserPayload::new().with_credentials(object(leak()))),
        format!("{:?}", HttpAuthCheckPermissionPayload::new("hunter2@x", "p")),
        format!("{:?}", PermissionDecision::new(false).with_reason("hunter2")),
        format!("{:?}", IdentityResolvePayload::new("hunter2").with_headers(headers())),
        format!("{:?}", ResolvedIdentity::rejected("hunter2").with_raw_claims(object(leak()))),
        format!("{:?}", TokenDelegatePayload::new("t").with_bearer_token("hunter2")),
        format!("{:?}", DelegatedToken::new("hunter2").with_forwarded_headers(headers())),
        format!(
            "{:?}",
            MessagePayload::new(
                Message::new("user").with_part(ContentPart::Text("hunter2".into()))
            )
        ),
    ];
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn debug_output_shows_names_and_sizes() {
    let args = object(json!({"a": 1, "b": 2, "c": 3}));
    let headers = [("X".to_owned(), "y".to_owned())].into();
    let payload = ToolPreInvokePayload::new("search").with_args(args).with_headers(headers);
    assert_eq!(
        format!("{payload:?}"),
        r#"ToolPreInvokePayload { name: "search", args: 3 keys, headers: 1 key }"#
    );
}

/// By name an answer may have any shape; only one that plainly grants does.
#[test]
fn a_decision_in_json_that_does_not_plainly_grant_is_a_refusal() {
    let check = HttpAuthCheckPermission::refusal_json;
    assert!(check(&json!({"granted": true})).is_none());
    for other in [json!({}), json!({"granted": null}), json!({"granted": "true"}), json!([])] {
        assert!(check(&other).is_some(), "{other}");
    }
    assert_eq!(check(&json!({"granted": false, "reason": "no"})).unwrap().reason, "no");
}

#[test]
fn an_identity_in_json_that_is_not_plainly_accepted_is_a_refusal() {
    let check = IdentityResolve::refusal_json;
    for accepted in [json!({}), json!({"rejected": false, "subject": {"id": "ada"}})] {
        assert!(check(&accepted).is_none(), "{accepted}");
    }
    for other in [json!({"rejected": true}), json!({"rejected": null}), json!({"rejected": 0})] {
        let violation = check(&other).unwrap();
        assert_eq!(violation.http_status_code, Some(401), "{other}");
    }
    let refused = json!({"rejected": true, "reject_status": 403, "reject_reason": "old"});
    let violation = check(&refused).unwrap();
    assert_eq!((violation.reason.as_str(), violation.http_status_code), ("old", Some(403)));
}
