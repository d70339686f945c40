//! Row H25 of docs/reliability.md: a reply that comes in its turn, in the plugin's name and
//! with a verdict, but that does not fit the type which its caller asked for. It shows that
//! the plugin is odd, and nothing about the order of the replies: it fails its own call.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::calls::{in_time, knobs, lazy};
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Reply, Request, fields, proto};
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{ErrorKind, PluginContext, PluginError, PluginHandle, Sent};
use prost_types::Struct;
use prost_types::value::Kind;

const CALLERS: usize = 64;
/// Calls of each caller.
const CALLS: usize = 50;
/// One call in so many is answered oddly.
const ODD: usize = 50;

/// Replies to `odd` calls with what `oddly` makes of the right reply.
fn odd_server(
    over: Over,
    oddly: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> FaultServer {
    let oddly = Arc::new(oddly);
    over.start(move |mut connection| {
        let oddly = Arc::clone(&oddly);
        async move {
            loop {
                let call = connection.hook().await?;
                let odd = call.marker().starts_with("odd");
                connection.reply(if odd { oddly(&call) } else { Reply::to(&call) }).await?;
            }
        }
    })
}

/// The reply with another payload in the place of the right one.
fn with_payload(call: &Request, payload: Struct) -> Reply {
    let mut reply = Reply::to(call);
    reply.0.result = Some(fields([
        ("continue_processing", Kind::BoolValue(true)),
        ("modified_payload", Kind::StructValue(payload)),
    ]));
    reply
}

/// A call of a hook whose result has a type; the marker that came back.
async fn typed(handle: &PluginHandle, marker: &str) -> Result<String, PluginError> {
    let payload = ToolPreInvokePayload::new("t").with_arg("marker", marker);
    let mut context = PluginContext::new(format!("request-{marker}"));
    let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await?;
    let args = common::modified(result).and_then(|payload| payload.args).unwrap_or_default();
    Ok(args["marker"].as_str().unwrap_or_default().to_owned())
}

/// 64 callers, of whose calls one in 50 is odd: the errors of those. All others get theirs.
async fn errors_of_odd_calls(server: &FaultServer) -> Vec<PluginError> {
    let handle = lazy(knobs(server).max_connections(8));
    let number = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (handle, number) = (handle.clone(), Arc::clone(&number));
            tokio::spawn(async move {
                let (mut odd, mut failed) = (Vec::new(), Vec::new());
                for _ in 0..CALLS {
                    let number = number.fetch_add(1, SeqCst);
                    let is_odd = number % ODD == 0;
                    let marker = format!("{}-{number}", if is_odd { "odd" } else { "good" });
                    match (is_odd, in_time("a call", typed(&handle, &marker)).await) {
                        (false, Ok(answer)) => assert_eq!(answer, marker),
                        (false, Err(error)) => failed.push(error),
                        (true, Err(error)) => odd.push(error),
                        (true, Ok(answer)) => panic!("an odd reply passed: {answer}"),
                    }
                }
                (odd, failed)
            })
        })
        .collect();
    let (mut odd, mut failed) = (Vec::new(), Vec::new());
    for caller in callers {
        let (of_odd, of_good) = in_time("a caller", caller).await.unwrap();
        odd.extend(of_odd);
        failed.extend(of_good);
    }
    let good = CALLERS * CALLS - CALLERS * CALLS / ODD;
    assert!(failed.is_empty(), "{} of {good} good calls failed: {}", failed.len(), failed[0]);
    assert_eq!(odd.len(), CALLERS * CALLS / ODD);
    assert_eq!(handle.stats().reconnects, 0);
    odd
}

#[apply(both)]
async fn h25_a_payload_of_another_type_fails_its_own_call_and_no_other(over: Over) {
    let prompt = fields([("prompt_id", Kind::StringValue("p".into()))]);
    let server = odd_server(over, move |call| with_payload(call, prompt.clone()));
    for error in errors_of_odd_calls(&server).await {
        assert_eq!((error.reason(), error.sent()), ("undecodable", Sent::Maybe));
    }
}

#[apply(both)]
async fn h25_a_payload_with_a_wrong_field_fails_its_own_call_and_no_other(over: Over) {
    let server = odd_server(over, |call| {
        let mut payload = call.payload();
        payload
            .fields
            .insert("name".into(), prost_types::Value { kind: Some(Kind::BoolValue(true)) });
        with_payload(call, payload)
    });
    for error in errors_of_odd_calls(&server).await {
        assert_eq!((error.reason(), error.sent()), ("undecodable", Sent::Maybe));
    }
}

/// As a plugin does that raises an error without a text.
#[apply(both)]
async fn h25_an_error_with_an_empty_message_keeps_its_code_and_fails_no_other_call(over: Over) {
    let server = odd_server(over, |call| {
        let mut reply = Reply::error(call, "");
        reply.0.error = Some(proto::PluginError {
            code: "FIXTURE".into(),
            plugin_name: "inner".into(),
            mcp_error_code: -32050,
            ..Default::default()
        });
        reply
    });
    for error in errors_of_odd_calls(&server).await {
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Plugin, Sent::Maybe), "{error}");
        let fault = error.plugin_fault().expect("the plugin's own error");
        assert_eq!((&*fault.code, &*fault.plugin_name), ("FIXTURE", "inner"), "{error}");
    }
}
