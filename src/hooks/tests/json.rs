//! The JSON of every payload, at its smallest and at its fullest.

use serde::Serialize;

use super::*;

/// Each value is written as this JSON, and the JSON read as this value.
fn both_ways<T>(cases: [(T, Value); 2])
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    for (value, json) in cases {
        assert_eq!(serde_json::to_value(&value).unwrap(), json);
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), value);
    }
}

#[test]
fn a_tool_call_is_written_as_the_reference_names_it() {
    both_ways([
        (ToolPreInvokePayload::new("search"), json!({"name": "search"})),
        (
            ToolPreInvokePayload::new("search")
                .with_args(object(json!({"q": 1})))
                .with_headers([("X".to_owned(), "y".to_owned())].into()),
            json!({"name": "search", "args": {"q": 1}, "headers": {"X": "y"}}),
        ),
    ]);
    both_ways([
        (
            ToolPostInvokePayload::new("search", Value::Null),
            json!({"name": "search", "result": null}),
        ),
        (ToolPostInvokePayload::new("search", "hit"), json!({"name": "search", "result": "hit"})),
    ]);
}

#[test]
fn a_prompt_is_written_as_the_reference_names_it() {
    both_ways([
        (PromptPreFetchPayload::new("p"), json!({"prompt_id": "p"})),
        (
            PromptPreFetchPayload::new("p").with_args([("a".to_owned(), "b".to_owned())].into()),
            json!({"prompt_id": "p", "args": {"a": "b"}}),
        ),
    ]);
    both_ways([
        (PromptPostFetchPayload::new("p", Value::Null), json!({"prompt_id": "p", "result": null})),
        (PromptPostFetchPayload::new("p", json!([1])), json!({"prompt_id": "p", "result": [1]})),
    ]);
}

#[test]
fn a_resource_is_written_as_the_reference_names_it() {
    both_ways([
        (ResourcePreFetchPayload::new("x:y"), json!({"uri": "x:y"})),
        (
            ResourcePreFetchPayload::new("x:y").with_metadata(object(json!({"a": 1}))),
            json!({"uri": "x:y", "metadata": {"a": 1}}),
        ),
    ]);
    both_ways([
        (ResourcePostFetchPayload::new("x:y", Value::Null), json!({"uri": "x:y", "content": null})),
        (ResourcePostFetchPayload::new("x:y", "text"), json!({"uri": "x:y", "content": "text"})),
    ]);
}

#[test]
fn an_agent_call_is_written_as_the_reference_names_it() {
    both_ways([
        (AgentPreInvokePayload::new("a", vec![]), json!({"agent_id": "a", "messages": []})),
        (
            AgentPreInvokePayload::new("a", vec![json!("hi")])
                .with_tools(vec!["t".into()])
                .with_headers([("X".to_owned(), "y".to_owned())].into())
                .with_model("m")
                .with_system_prompt("s")
                .with_parameters(object(json!({"temperature": 0.5}))),
            json!({
                "agent_id": "a", "messages": ["hi"], "tools": ["t"], "headers": {"X": "y"},
                "model": "m", "system_prompt": "s", "parameters": {"temperature": 0.5},
            }),
        ),
    ]);
    both_ways([
        (AgentPostInvokePayload::new("a", vec![]), json!({"agent_id": "a", "messages": []})),
        (
            AgentPostInvokePayload::new("a", vec![]).with_tool_calls(vec![Object::new()]),
            json!({"agent_id": "a", "messages": [], "tool_calls": [{}]}),
        ),
    ]);
}

#[test]
fn an_http_request_is_written_as_the_reference_names_it() {
    both_ways([
        (
            HttpPreRequestPayload::new("/", "GET"),
            json!({"path": "/", "method": "GET", "headers": {}}),
        ),
        (
            HttpPreRequestPayload::new("/", "GET")
                .with_client_host("h")
                .with_client_port(80)
                .with_headers([("X".to_owned(), "y".to_owned())].into()),
            json!({
                "path": "/", "method": "GET", "client_host": "h", "client_port": 80,
                "headers": {"X": "y"},
            }),
        ),
    ]);
    both_ways([
        (
            HttpPostRequestPayload::new("/", "GET"),
            json!({"path": "/", "method": "GET", "headers": {}}),
        ),
        (
            HttpPostRequestPayload::new("/", "GET")
                .with_client_host("h")
                .with_client_port(80)
                .with_headers([("X".to_owned(), "y".to_owned())].into())
                .with_response_headers([("Z".to_owned(), "w".to_owned())].into())
                .with_status_code(204),
            json!({
                "path": "/", "method": "GET", "client_host": "h", "client_port": 80,
                "headers": {"X": "y"}, "response_headers": {"Z": "w"}, "status_code": 204,
            }),
        ),
    ]);
}

#[test]
fn an_authentication_is_written_as_the_reference_names_it() {
    both_ways([
        (HttpAuthResolveUserPayload::new(), json!({"headers": {}})),
        (
            HttpAuthResolveUserPayload::new()
                .with_credentials(object(json!({"scheme": "Bearer"})))
                .with_headers([("X".to_owned(), "y".to_owned())].into())
                .with_client_host("h")
                .with_client_port(80),
            json!({
                "credentials": {"scheme": "Bearer"}, "headers": {"X": "y"}, "client_host": "h",
                "client_port": 80,
            }),
        ),
    ]);
    both_ways([
        (
            HttpAuthCheckPermissionPayload::new("a@b", "p"),
            json!({"user_email": "a@b", "permission": "p", "is_admin": false}),
        ),
        (
            HttpAuthCheckPermissionPayload::new("a@b", "p")
                .with_resource_type("tool")
                .with_team_id("t")
                .with_is_admin(true)
                .with_auth_method("sso")
                .with_client_host("h")
                .with_user_agent("curl"),
            json!({
                "user_email": "a@b", "permission": "p", "resource_type": "tool", "team_id": "t",
                "is_admin": true, "auth_method": "sso", "client_host": "h", "user_agent": "curl",
            }),
        ),
    ]);
    both_ways([
        (PermissionDecision::new(true), json!({"granted": true})),
        (
            PermissionDecision::new(false).with_reason("no"),
            json!({"granted": false, "reason": "no"}),
        ),
    ]);
}

#[test]
fn an_identity_is_written_as_the_reference_names_it() {
    both_ways([
        (
            IdentityResolvePayload::new("tok"),
            json!({"raw_token": "tok", "source": "bearer", "headers": {}}),
        ),
        (
            IdentityResolvePayload::new("tok")
                .with_source("mtls")
                .with_headers([("X".to_owned(), "y".to_owned())].into())
                .with_client_host("h")
                .with_client_port(80),
            json!({
                "raw_token": "tok", "source": "mtls", "headers": {"X": "y"}, "client_host": "h",
                "client_port": 80,
            }),
        ),
    ]);
    both_ways([
        (
            ResolvedIdentity::default(),
            json!({"rejected": false, "reject_status": 401, "reject_reason": "", "raw_claims": {}}),
        ),
        (
            ResolvedIdentity::new(object(json!({"id": "ada"})))
                .with_delegation(object(json!({"depth": 1})))
                .with_reject_status(403)
                .with_raw_claims(object(json!({"sub": "ada"}))),
            json!({
                "subject": {"id": "ada"}, "delegation": {"depth": 1}, "rejected": false,
                "reject_status": 403, "reject_reason": "", "raw_claims": {"sub": "ada"},
            }),
        ),
    ]);
}

#[test]
fn a_delegation_is_written_as_the_reference_names_it() {
    both_ways([
        (
            TokenDelegatePayload::new("t"),
            json!({
                "target_name": "t", "target_type": "tool", "required_permissions": [],
                "auth_enforced_by": "caller",
            }),
        ),
        (
            TokenDelegatePayload::new("t")
                .with_target_type("agent")
                .with_target_audience("aud")
                .with_required_permissions(vec!["p".into()])
                .with_trust_domain("internal")
                .with_auth_enforced_by("both")
                .with_bearer_token("tok")
                .with_route_attenuation(
                    RouteAttenuation::new()
                        .with_capabilities(vec!["c".into()])
                        .with_resource_template("r")
                        .with_actions(vec!["read".into()])
                        .with_ttl(std::time::Duration::from_secs(60)),
                ),
            json!({
                "target_name": "t", "target_type": "agent", "target_audience": "aud",
                "required_permissions": ["p"], "trust_domain": "internal",
                "auth_enforced_by": "both", "bearer_token": "tok",
                "route_attenuation": {
                    "capabilities": ["c"], "resource_template": "r", "actions": ["read"],
                    "ttl_seconds": 60,
                },
            }),
        ),
    ]);
    both_ways([
        (DelegatedToken::default(), json!({"delegation_update": {}, "forwarded_headers": {}})),
        (
            DelegatedToken::new("tok")
                .with_delegation_update(object(json!({"depth": 1})))
                .with_forwarded_headers([("X".to_owned(), "y".to_owned())].into())
                .with_cache_key("k")
                .with_cache_ttl(std::time::Duration::from_secs(60)),
            json!({
                "delegated_token": "tok", "delegation_update": {"depth": 1},
                "forwarded_headers": {"X": "y"}, "cache_key": "k", "cache_ttl": 60,
            }),
        ),
    ]);
}

#[test]
fn a_message_is_written_as_the_reference_names_it() {
    both_ways([
        (
            MessagePayload::new(Message::new("user")),
            json!({
                "message": {"schema_version": "2.0", "role": "user", "content": []},
                "hook": "evaluate",
            }),
        ),
        (
            MessagePayload::new(
                Message::new("tool")
                    .with_content(vec![ContentPart::ToolResult(object(json!({"is_error": false})))])
                    .with_part(ContentPart::Text("x".into()))
                    .with_channel("final")
                    .with_schema_version("2.1"),
            )
            .with_hook("llm_output"),
            json!({
                "message": {
                    "schema_version": "2.1", "role": "tool", "channel": "final",
                    "content": [
                        {"content_type": "tool_result", "content": {"is_error": false}},
                        {"content_type": "text", "text": "x"},
                    ],
                },
                "hook": "llm_output",
            }),
        ),
    ]);
}
