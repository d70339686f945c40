//! A denial beside an error is a denial: row H34 of docs/reliability.md.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::calls::{in_time, knobs, lazy};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Reply};
use hookwire::hooks::{
    HttpAuthCheckPermission, HttpAuthCheckPermissionPayload, ToolPreInvoke, ToolPreInvokePayload,
};
use hookwire::{ErrorKind, PluginContext, PluginError, PluginHandle, Sent, Stopped};
use prost_types::value::Kind;
use serde_json::json;

/// What a payload's `name` asks for, beside an error; the reference server answers so where
/// it cannot write a result to its end.
fn server(over: Over) -> FaultServer {
    over.start(|mut connection| async move {
        loop {
            let call = connection.hook().await?;
            let how = call.payload().fields.get("name").and_then(|name| name.kind.clone());
            let mut reply = match how {
                Some(Kind::StringValue(how)) if how == "allow" => Reply::to(&call),
                Some(Kind::StringValue(how)) if how == "silence" => {
                    Reply::to(&call).with_verdict(None)
                }
                Some(Kind::StringValue(how)) if how == "bare" => {
                    Reply::to(&call).with_verdict(Some(Kind::BoolValue(false)))
                }
                _ => Reply::denial(&call),
            };
            let message = "Value 2026-01-01 has unexpected type";
            reply.0.error = Reply::error(&call, message).0.error;
            reply.0.context = None;
            connection.reply(reply).await?;
        }
    })
}

async fn call(handle: &PluginHandle, how: &str) -> PluginError {
    let mut context = PluginContext::new("r");
    let payload = ToolPreInvokePayload::new(how);
    let typed = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context);
    let typed = in_time("a typed call", typed).await.unwrap_err();
    let payload = json!({ "name": how });
    let by_name = handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context);
    let by_name = in_time("a call by name", by_name).await.unwrap_err();
    assert_eq!(typed.to_string(), by_name.to_string());
    typed
}

#[apply(both)]
async fn h34_the_error_beside_a_denial_tells_that_it_is_one(over: Over) {
    let server = server(over);
    let handle = lazy(knobs(&server));
    let error = call(&handle, "deny").await;
    assert!(error.is_denial());
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Plugin, "denied"));
    assert_eq!(error.sent(), Sent::Maybe);
    let text = error.to_string();
    assert!(text.contains("denied the request") && text.contains("2026-01-01"), "{text}");
    assert_eq!(error.public_message(), "a plugin that checks requests denied this one");
    let fault = error.plugin_fault().unwrap();
    let violation = fault.violation().unwrap();
    assert_eq!((violation.code.as_str(), violation.reason.as_str()), ("DENIED", "denied"));
    assert_eq!(violation.plugin_name.as_deref(), Some("Guard"));

    let bare = call(&handle, "bare").await;
    assert!(bare.is_denial() && bare.plugin_fault().unwrap().violation().is_none());
}

#[apply(both)]
async fn h34_an_error_beside_anything_else_is_no_denial(over: Over) {
    let server = server(over);
    let handle = lazy(knobs(&server));
    for how in ["allow", "silence"] {
        let error = call(&handle, how).await;
        assert!(!error.is_denial(), "{how}");
        assert_eq!(error.reason(), "plugin_error", "{how}");
        assert!(error.plugin_fault().unwrap().violation().is_none(), "{how}");
    }
}

/// A gateway that lets requests pass where a plugin fails looks at `Failed` only.
#[apply(both)]
async fn h34_whoever_enforces_a_verdict_is_denied(over: Over) {
    let server = server(over);
    let handle = lazy(knobs(&server));
    let mut context = PluginContext::new("r");
    let payload = ToolPreInvokePayload::new("deny");
    let stopped = handle.enforce::<ToolPreInvoke>(payload, &mut context).await.unwrap_err();
    let text = "plugin `Guard` denied `tool_pre_invoke` (code `DENIED`)";
    assert_eq!(stopped.to_string(), text);
    let Stopped::Denied(denial) = stopped else { panic!("{stopped}") };
    assert_eq!(denial.violation().unwrap().reason, "denied");
    assert!(denial.error().unwrap().is_denial());

    let payload = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute");
    let decided = handle.decide::<HttpAuthCheckPermission>(payload, &mut context).await;
    assert!(matches!(decided, Err(Stopped::Denied(_))), "{decided:?}");

    let payload = ToolPreInvokePayload::new("allow");
    let failed = handle.enforce::<ToolPreInvoke>(payload, &mut context).await;
    assert!(matches!(failed, Err(Stopped::Failed(_))), "{failed:?}");
}

#[apply(both)]
async fn h34_it_is_counted_where_denials_are_and_keeps_the_connection(over: Over) {
    let server = server(over);
    let handle = lazy(knobs(&server));
    for how in ["deny", "allow"] {
        call(&handle, how).await;
    }
    let stats = handle.stats();
    assert_eq!((stats.calls, stats.violations, stats.plugin_errors), (4, 2, 2));
    assert_eq!(stats.connections.iter().map(|one| one.connects).sum::<u64>(), 1);
}
