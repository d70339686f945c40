//! What JSON can say, there and back: the reference server's `Echo` returns it unchanged.
//!
//! The wire knows doubles only, and the server writes every number as one.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::modified;
use common::reference::ReferenceServer;
use common::reference::calls::{call, config, connect, context, tool};
use hookwire::hooks::ToolPreInvoke;
use hookwire::{
    BigIntegers, CallPolicy, ErrorKind, Hook, PluginConfig, PluginError, PluginHandle, Sent,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const EXACT: i64 = 1 << 53;

/// The arguments as they come back.
async fn echoed(plugin: &PluginHandle, args: Value) -> Value {
    let result = call(plugin, args).await.unwrap();
    Value::Object(modified(result).unwrap().args.unwrap())
}

/// `value` in this many objects.
fn in_objects(count: usize, value: Value) -> Value {
    (0..count).fold(value, |value, _| json!({ "k": value }))
}

/// `value` in this many lists.
fn in_lists(count: usize, value: Value) -> Value {
    (0..count).fold(value, |value, _| json!([value]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_come_back_as_they_went() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    let args = json!({
        "zero": 0, "small": 7, "negative": -7, "wide": 4_294_967_296_u64,
        "largest": EXACT, "smallest": -EXACT,
        "half": 0.5, "tiny": 5e-324, "huge": 1e300, "third": 1.0 / 3.0, "minus_zero": -0.0,
    });
    assert_eq!(echoed(&plugin, args.clone()).await, args);
    let integral = echoed(&plugin, json!({"five": 5.0})).await;
    assert_eq!(integral, json!({"five": 5}), "an integral double is an integer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_fields_take_the_doubles_of_the_server() {
    enum Typed {}
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Args {
        count: u8,
        offset: i64,
        ratio: f64,
        absent: Option<String>,
        flags: (bool, Option<u32>),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Call {
        name: String,
        args: Args,
    }
    impl Hook for Typed {
        const NAME: &'static str = ToolPreInvoke::NAME;
        type Payload = Call;
        type Modified = Call;
    }

    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    let args = Args { count: 5, offset: -EXACT, ratio: 5.0, absent: None, flags: (true, None) };
    let sent = Call { name: "typed".into(), args };
    let result = plugin.invoke_hook::<Typed>(&sent, &mut context()).await.unwrap();
    assert_eq!(modified(result), Some(sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_that_a_double_would_change_are_refused_or_rounded_as_configured() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    for integer in [EXACT + 1, -EXACT - 1, i64::MAX] {
        let error = call(&plugin, json!({"n": integer})).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::InvalidRequest, Sent::No));
        assert!(error.to_string().contains("2^53"), "{error}");
    }

    let policy = CallPolicy::builder().big_integers(BigIntegers::Round);
    let config = PluginConfig::builder("Echo").socket(server.socket()).policy(policy);
    let config = config.build().unwrap();
    let rounding = PluginHandle::connect(config).await.unwrap();
    let rounded = echoed(&rounding, json!({"n": EXACT + 1})).await;
    assert_eq!(rounded, json!({"n": EXACT}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_empty_values_and_lists_come_back_as_they_went() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    let args = json!({
        "null": null, "empty_string": "", "empty_list": [], "empty_object": {},
        "list": [null, true, 1, "x", [[], [null]], {"k": [false]}],
        "": "an empty key",
    });
    assert_eq!(echoed(&plugin, args.clone()).await, args);
    assert_eq!(echoed(&plugin, json!({})).await, json!({}));

    let none = json!({"name": "no arguments"});
    let result = plugin.invoke_hook_json("tool_pre_invoke", &none, &mut context()).await.unwrap();
    // The reference's default for what is absent; null stays null.
    let expected = json!({"name": "no arguments", "args": {}, "headers": null});
    assert_eq!(modified(result), Some(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_any_script_and_size_comes_back_as_it_went() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    let args = json!({
        "nul": "a\0b", "controls": "\u{1}\t\r\n\u{7f}", "quotes": "\"\\/'",
        "greek": "Ελληνικά", "arabic": "مرحبا", "combining": "e\u{301}", "emoji": "👩‍👩‍👧‍👦",
        "ends": "\u{ffff}\u{10ffff}\u{feff}", "schlüssel \0 🔑": "a key",
    });
    assert_eq!(echoed(&plugin, args.clone()).await, args);

    let megabyte = 1 << 20;
    let args = json!({"ascii": "x".repeat(megabyte), "wide": "€".repeat(megabyte / 3)});
    assert!(echoed(&plugin, args.clone()).await == args, "a mebibyte was changed on the way");
}

/// Fault H14 of the reference: its client sends what the server cannot parse, and a
/// guard with `on_error: ignore` is skipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_cannot_parse_is_refused_before_it_is_sent() {
    async fn refused(plugin: &PluginHandle, args: Value) -> PluginError {
        let error = call(plugin, args).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::InvalidRequest, Sent::No));
        assert!(!error.is_retryable(), "it will not get flatter");
        error
    }

    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    // One level is `args` itself, and an empty object or list at the end is one more.
    for deepest in [in_objects(32, json!(1)), in_objects(31, json!({})), in_objects(31, json!([]))]
    {
        let accepted = echoed(&plugin, deepest.clone()).await;
        assert!(accepted == deepest, "31 levels below `args`");
    }
    let lists = json!({"k": in_lists(47, json!(1))});
    assert_eq!(echoed(&plugin, lists.clone()).await, lists);

    let sent = plugin.stats().bytes_sent;
    for too_deep in [in_objects(33, json!(1)), in_objects(32, json!({}))] {
        let error = refused(&plugin, too_deep).await.to_string();
        assert!(error.contains("nest 32 deep below"), "{error}");
        assert!(error.contains("it takes 100 nested messages: 31 objects"), "{error}");
        assert!(error.contains("or 47 lists"), "{error}");
    }
    refused(&plugin, json!({"k": in_lists(48, json!(1))})).await;
    assert_eq!(plugin.stats().bytes_sent, sent, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_may_nest_as_deep_as_the_server_parses_and_no_deeper() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Echo").await;
    let mut context = context();
    context.state.insert("k".into(), in_objects(32, json!(1)));
    let before = context.clone();
    assert!(
        plugin
            .invoke_hook::<ToolPreInvoke>(&tool(json!({})), &mut context)
            .await
            .unwrap()
            .is_allowed()
    );
    assert!(context == before, "the state came back as it went");

    context.state.insert("k".into(), in_objects(33, json!(1)));
    let refused = plugin.invoke_hook::<ToolPreInvoke>(&tool(json!({})), &mut context).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_above_the_frame_limit_is_refused_before_it_is_sent() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = PluginHandle::connect(config(server, "Echo")).await.unwrap();
    let error = call(&plugin, json!({"blob": "x".repeat(16 << 20)})).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("request_too_large", Sent::No));

    // The reply needs a few bytes more than the request.
    let fits = json!({"blob": "x".repeat((16 << 20) - 1024)});
    assert!(echoed(&plugin, fits.clone()).await == fits, "16 MiB were changed on the way");
}
