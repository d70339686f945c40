//! What a gateway goes on with: no payload gets past a verdict.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::calls::{LIMIT, in_time};
use hookwire::hooks::{
    HttpAuthCheckPermission, HttpAuthCheckPermissionPayload, HttpPostRequest,
    HttpPostRequestPayload, HttpPreRequest, HttpPreRequestPayload, IdentityResolve,
    IdentityResolvePayload, PermissionDecision, ResolvedIdentity, ToolPreInvoke,
    ToolPreInvokePayload,
};
use hookwire::model::Headers;
use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::{
    ErrorKind, Hook, HookRegistry, PluginConfig, PluginContext, PluginHandle, PluginResult,
    PluginViolation, Stopped, Verdict,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A plugin of these handlers, and its handle.
async fn guard(handlers: Handlers) -> (TempDir, PluginServer, PluginHandle) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("guard.sock");
    let server = PluginServer::builder().plugin("Guard", handlers).bind(&socket).await.unwrap();
    let config = PluginConfig::builder("Guard").socket(&socket).timeout(LIMIT).build().unwrap();
    (dir, server, PluginHandle::connect(config).await.unwrap())
}

fn context() -> PluginContext {
    PluginContext::new("request-1")
}

fn headers<const N: usize>(headers: [(&str, &str); N]) -> Headers {
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn tools() -> Handlers {
    Handlers::new().on::<ToolPreInvoke>(|payload, mut context| async move {
        context.state.insert("seen".to_owned(), json!(true));
        let result = match payload.name.as_str() {
            "redact" => PluginResult::modify(payload.with_arg("text", "******")),
            "deny" => PluginResult::deny(
                PluginViolation::new("NO_SHELL").with_reason("no").with_description("secret words"),
            )
            .with_http_headers(headers([("Retry-After", "7")])),
            "fail" => return Err(HandlerError::new("broken")),
            _ => PluginResult::allow(),
        };
        Ok((result, context))
    })
}

async fn enforced(guard: &PluginHandle, tool: &str) -> Result<ToolPreInvokePayload, Stopped> {
    let payload = ToolPreInvokePayload::new(tool).with_arg("text", "secret");
    in_time("a call", guard.enforce::<ToolPreInvoke>(payload, &mut context())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_allowed_goes_on_as_it_was_and_what_is_changed_with_the_changes() {
    let (_dir, _server, guard) = guard(tools()).await;
    assert_eq!(enforced(&guard, "search").await.unwrap().args.unwrap()["text"], "secret");
    assert_eq!(enforced(&guard, "redact").await.unwrap().args.unwrap()["text"], "******");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_an_error_that_tells_who_denied_what_and_why() {
    let (_dir, _server, guard) = guard(tools()).await;
    let stopped = enforced(&guard, "deny").await.unwrap_err();
    assert_eq!(stopped.to_string(), "plugin `Guard` denied `tool_pre_invoke` (code `NO_SHELL`)");
    assert!(!format!("{stopped:?}").contains("secret words"), "{stopped:?}");
    let Stopped::Denied(denial) = stopped else { panic!("{stopped}") };
    assert_eq!((denial.plugin(), denial.hook()), ("Guard", "tool_pre_invoke"));
    assert_eq!(denial.violation().unwrap().code, "NO_SHELL");
    assert_eq!(denial.http_headers(), Some(&headers([("Retry-After", "7")])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_fails_or_is_gone_lets_nothing_pass() {
    let (_dir, server, guard) = guard(tools()).await;
    let Err(Stopped::Failed(error)) = enforced(&guard, "fail").await else { panic!("it passed") };
    assert_eq!(error.kind(), ErrorKind::Plugin);
    server.kill().await;
    let stopped = enforced(&guard, "search").await.unwrap_err();
    assert!(matches!(&stopped, Stopped::Failed(_)), "{stopped}");
    assert_eq!(stopped.plugin(), "Guard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_is_updated_by_a_denial_and_left_alone_by_a_failure() {
    let (_dir, _server, guard) = guard(tools()).await;
    for (tool, updated) in [("search", true), ("deny", true), ("fail", false)] {
        let (payload, mut context) = (ToolPreInvokePayload::new(tool), context());
        let _ = in_time("a call", guard.enforce::<ToolPreInvoke>(payload, &mut context)).await;
        assert_eq!(!context.state.is_empty(), updated, "{tool}");
    }
}

/// A denial that brings a payload along, as the wire allows: it is none to go on with.
#[test]
fn there_is_no_way_to_the_payload_of_a_denial() {
    let denial = json!({"continue_processing": false, "modified_payload": {"name": "shell"}});
    let result: PluginResult<Value> = serde_json::from_value(denial).unwrap();
    assert!(!result.is_allowed());
    assert_eq!(result.verdict(), Verdict::Denied(None));
    assert_eq!(result.into_verdict(), Verdict::Denied(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_a_plugin_changes_are_merged_whatever_their_case() {
    let changes = || headers([("AUTHORIZATION", "Bearer new"), ("X-Added", "1")]);
    let (_dir, _server, guard) = guard(
        Handlers::new()
            .on::<HttpPreRequest>(move |_, _| async move { Ok(PluginResult::modify(changes())) })
            .on::<HttpPostRequest>(move |_, _| async move { Ok(PluginResult::modify(changes())) }),
    )
    .await;
    let merged = headers([("AUTHORIZATION", "Bearer new"), ("Host", "gateway"), ("X-Added", "1")]);
    let before = headers([("Authorization", "Bearer old"), ("Host", "gateway")]);

    let payload = HttpPreRequestPayload::new("/mcp", "POST").with_headers(before.clone());
    let payload = guard.enforce::<HttpPreRequest>(payload, &mut context()).await.unwrap();
    assert_eq!((payload.path.as_str(), &payload.headers), ("/mcp", &merged));

    let payload = HttpPostRequestPayload::new("/mcp", "POST")
        .with_headers(before.clone())
        .with_response_headers(before.clone());
    let payload = guard.enforce::<HttpPostRequest>(payload, &mut context()).await.unwrap();
    assert_eq!((payload.headers, payload.response_headers), (before, Some(merged)));
}

fn deciders() -> Handlers {
    Handlers::new()
        .on::<HttpAuthCheckPermission>(|payload, _| async move {
            Ok(match payload.permission.as_str() {
                "none" => PluginResult::allow(),
                permission => PluginResult::modify(PermissionDecision::new(permission == "read")),
            })
        })
        .on::<IdentityResolve>(|_, _| async move {
            Ok(PluginResult::modify(ResolvedIdentity::rejected("expired").with_reject_status(498)))
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_not_granted_is_a_denial() {
    let (_dir, _server, guard) = guard(deciders()).await;
    let asked = |permission| HttpAuthCheckPermissionPayload::new("ada", permission);
    let granted = guard.decide::<HttpAuthCheckPermission>(asked("read"), &mut context()).await;
    assert_eq!(granted.unwrap(), Some(PermissionDecision::new(true)));
    let none = guard.decide::<HttpAuthCheckPermission>(asked("none"), &mut context()).await;
    assert_eq!(none.unwrap(), None);

    let refused = guard.decide::<HttpAuthCheckPermission>(asked("write"), &mut context()).await;
    let Err(Stopped::Denied(denial)) = refused else { panic!("it passed") };
    let violation = denial.violation().unwrap();
    assert_eq!((violation.code.as_str(), violation.http_status_code), ("NOT_GRANTED", Some(403)));
    assert_eq!(violation.plugin_name.as_deref(), Some("Guard"));

    let payload = asked("write");
    let result = guard.invoke_hook::<HttpAuthCheckPermission>(&payload, &mut context()).await;
    assert!(!result.unwrap().is_allowed());
    assert_eq!((guard.stats().ok, guard.stats().violations), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_is_rejected_is_a_denial_with_its_status() {
    let (_dir, _server, guard) = guard(deciders()).await;
    let asked = IdentityResolvePayload::new("token");
    let refused = guard.decide::<IdentityResolve>(asked, &mut context()).await;
    let Err(Stopped::Denied(denial)) = refused else { panic!("it passed") };
    let violation = denial.violation().unwrap();
    assert_eq!((violation.reason.as_str(), violation.http_status_code), ("expired", Some(498)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_denials_for_calls_by_name_too() {
    let (_dir, _server, guard) = guard(deciders()).await;
    let mut context = context();
    for (hook, payload, allowed) in [
        (HttpAuthCheckPermission::NAME, json!({"user_email": "a", "permission": "read"}), true),
        (HttpAuthCheckPermission::NAME, json!({"user_email": "a", "permission": "no"}), false),
        (IdentityResolve::NAME, json!({"raw_token": "t"}), false),
    ] {
        let result = guard.invoke_hook_json(hook, &payload, &mut context).await.unwrap();
        assert_eq!(result.is_allowed(), allowed, "{hook} {payload}");
    }
    assert_eq!((guard.stats().ok, guard.stats().violations), (1, 2));
}

/// A hook of one's own, whose answers may refuse.
enum Approve {}

impl Hook for Approve {
    const NAME: &'static str = "approve";
    type Payload = Value;
    type Modified = bool;

    fn refusal(approved: &bool) -> Option<PluginViolation> {
        (!approved).then(|| PluginViolation::new("NOT_APPROVED").with_reason("not approved"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_of_ones_own_can_tell_refusals_typed_and_by_name() {
    let answers = Handlers::new().on::<Approve>(|payload, _| async move {
        Ok(PluginResult::modify(payload["approve"] == true))
    });
    let (_dir, _server, guard) = guard(answers).await;
    let refused = guard.decide::<Approve>(json!({"approve": false}), &mut context()).await;
    assert!(matches!(refused, Err(Stopped::Denied(_))));
    let approved = guard.decide::<Approve>(json!({"approve": true}), &mut context()).await;
    assert_eq!(approved.unwrap(), Some(true));

    let registry = HookRegistry::empty().register_hook::<Approve>();
    let config = PluginConfig::clone(&guard.config());
    let guard = PluginHandle::builder(config).registry(registry).connect().await.unwrap();
    let payload = json!({"approve": false});
    let result = guard.invoke_hook_json("approve", &payload, &mut context()).await.unwrap();
    assert!(!result.is_allowed());
}
