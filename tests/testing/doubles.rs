//! What a double is: a plugin behind a real handle, without a socket.

use std::time::Duration;

use futures::future::join_all;
use hookwire::config::{OnError, PluginConfigBuilder, PluginMode};
use hookwire::hooks::{ToolPostInvoke, ToolPostInvokePayload, ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::PluginInfo;
use hookwire::testing::{Answer, Double};
use hookwire::{
    CallPolicy, ErrorKind, HookRegistry, Hooks, PluginConfig, PluginContext, PluginResult,
    PluginViolation, Plugins, Verdict, Verify,
};
use serde_json::json;

use super::{allowed, call, enforce, failure};

const SECOND: Duration = Duration::from_secs(1);

fn entry(change: impl FnOnce(PluginConfigBuilder) -> PluginConfigBuilder) -> PluginConfig {
    change(PluginConfig::builder("Guard").socket("/run/guard.sock")).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn without_instructions_a_double_allows_every_hook() {
    let handle = Double::named("Guard").build().handle();
    let payload = enforce(&handle, "search").await.unwrap();
    assert_eq!(payload.args.unwrap()["query"], "rust");
    let payload = ToolPostInvokePayload::new("search", "found");
    let mut context = PluginContext::new("r");
    assert!(handle.invoke_hook::<ToolPostInvoke>(&payload, &mut context).await.is_ok());
    assert_eq!(handle.stats().ok, 2);
}

#[tokio::test(start_paused = true)]
async fn handlers_see_payload_and_context_and_keep_state() {
    let counter = Double::named("Counter")
        .on::<ToolPreInvoke>(|payload, mut context| async move {
            let seen = context.state.get("seen").and_then(|seen| seen.as_u64()).unwrap_or(0);
            context.state.insert("seen".to_owned(), json!(seen + 1));
            Ok((PluginResult::modify(payload.with_arg("seen", seen)), context))
        })
        .build();
    let handle = counter.handle();
    let mut context = PluginContext::new("request-1");
    for seen in 0..3 {
        let payload = ToolPreInvokePayload::new("search");
        let payload = handle.enforce::<ToolPreInvoke>(payload, &mut context).await.unwrap();
        assert_eq!(payload.args.unwrap()["seen"], seen);
    }
    assert_eq!(counter.calls()[2].context.state["seen"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_hook_without_a_handler_fails_where_others_have_one() {
    let guard = Double::named("Guard")
        .on::<ToolPostInvoke>(|_, _| async { Ok(PluginResult::allow()) })
        .build();
    let error = failure(&guard.handle()).await;
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(error.to_string().contains("Unable to find tool_pre_invoke"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_of_the_gateways_own_is_called_by_its_name() {
    let billing = Double::named("Billing")
        .on_json("invoice_check", |payload, _| async move { Ok(PluginResult::modify(payload)) })
        .build();
    let registry = HookRegistry::builtin().register("invoice_check");
    let handle = billing.handle_builder().registry(registry).connect().await.unwrap();
    let mut context = PluginContext::new("r");
    let invoice = json!({"total": 3});
    let result = handle.invoke_hook_json("invoice_check", &invoice, &mut context).await.unwrap();
    assert_eq!(result.verdict(), Verdict::Allowed(Some(&invoice)));
    assert_eq!(billing.calls()[0].hook, "invoice_check");
}

#[tokio::test(start_paused = true)]
async fn the_script_is_answered_in_order_and_then_what_is_always_said() {
    let guard = Double::named("Guard")
        .then(Answer::deny(PluginViolation::new("FIRST")))
        .always(Answer::deny(PluginViolation::new("LATER")))
        .build();
    guard.then(Answer::allow());
    let handle = guard.handle();
    let mut codes = Vec::new();
    for _ in 0..4 {
        let result = call(&handle, "search").await.unwrap();
        codes.push(result.violation().map(|violation| violation.code.clone()));
    }
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(codes, [code("FIRST"), None, code("LATER"), code("LATER")]);
    assert_eq!(guard.answers_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_chosen_by_the_call_holds_for_calls_that_are_under_way_together() {
    let guard = Double::named("Guard")
        .choose(|call| match call.payload["name"].as_str() {
            Some("shell") => Answer::deny(PluginViolation::new("NO_SHELL")).after(SECOND),
            Some("slow") => Answer::allow().after(2 * SECOND),
            _ => Answer::handled(),
        })
        .build();
    let handle = guard.handle();
    let calls = (0..30).map(|i| {
        let (handle, tool) = (handle.clone(), ["shell", "slow", "search"][i % 3]);
        async move { (tool, call(&handle, tool).await.unwrap().is_allowed()) }
    });
    for (tool, is_allowed) in join_all(calls).await {
        assert_eq!(is_allowed, tool != "shell", "{tool}");
    }
    guard.then(Answer::deny(PluginViolation::new("SCRIPT")));
    assert!(!call(&handle, "search").await.unwrap().is_allowed(), "the script comes first");
}

/// What chooses is called without a lock.
#[tokio::test(start_paused = true)]
async fn what_chooses_may_have_more_to_say() {
    let guard = Double::named("Guard").build();
    let told = guard.clone();
    guard.choose(move |_| {
        told.then(Answer::deny(PluginViolation::new("NEXT")));
        Answer::allow()
    });
    let handle = guard.handle();
    allowed(&handle).await;
    assert!(!call(&handle, "search").await.unwrap().is_allowed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_left_over_is_counted() {
    let guard = Double::named("Guard").build();
    guard.then(Answer::allow()).then(Answer::allow());
    allowed(&guard.handle()).await;
    assert_eq!(guard.answers_left(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_called_with_what_is_remembered() {
    let guard = Double::named("Guard").build();
    let payload = ToolPreInvokePayload::new("search").with_arg("query", "hunter2");
    let mut context = PluginContext::new("request-7");
    context.global_context.user = Some("ada".into());
    context.global_context.tenant_id = Some("acme".to_owned());
    guard.handle().enforce::<ToolPreInvoke>(payload.clone(), &mut context).await.unwrap();

    let calls = guard.calls();
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.hook.as_str(), call.request_id()), ("tool_pre_invoke", "request-7"));
    assert_eq!(call.context, context);
    assert_eq!(call.payload, json!({"name": "search", "args": {"query": "hunter2"}}));
    assert_eq!(call.payload_of::<ToolPreInvoke>().unwrap(), payload);
    assert!(!format!("{calls:?} {guard:?}").contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn calls_are_waited_for_until_they_have_come() {
    let guard = Double::named("Guard").always(Answer::allow().after(SECOND)).build();
    let handle = guard.handle();
    let calls = (0..3).map(|_| {
        let handle = handle.clone();
        tokio::spawn(async move { call(&handle, "search").await })
    });
    let calls: Vec<_> = calls.collect();
    assert_eq!(guard.wait_for_calls(3).await.len(), 3);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "only 1 of 2 calls have come to the double `Guard`")]
async fn calls_that_do_not_come_are_not_waited_for_for_ever() {
    let guard = Double::named("Guard").build();
    allowed(&guard.handle()).await;
    guard.wait_for_calls(2).await;
}

#[tokio::test(start_paused = true)]
async fn the_handle_has_the_entry_that_was_given_and_agrees_with_its_server() {
    let given = entry(|entry| {
        let condition = json!({"tools": ["shell"]}).as_object().unwrap().clone();
        entry
            .mode(PluginMode::Concurrent)
            .on_error(OnError::Disable)
            .priority(7)
            .condition(condition)
            .hook("tool_pre_invoke")
            .policy(CallPolicy::builder().timeout(2 * SECOND).verify(Verify::Strict))
    });
    let handle = Double::of(given.clone()).build().handle();
    handle.verify().await.unwrap();
    let config = handle.config();
    assert_eq!((config.mode(), config.on_error()), (PluginMode::Concurrent, OnError::Disable));
    assert_eq!((config.priority(), config.conditions()), (7, given.conditions()));
    assert_eq!(config.hooks(), Hooks::Known(vec!["tool_pre_invoke".to_owned()].into()));
    assert_eq!(config.endpoint().to_string(), "/run/guard.sock");
    assert!(enforce(&handle, "search").await.is_ok());

    let on_server = handle.server_config().unwrap();
    assert_eq!(on_server.mode(), Some(PluginMode::Concurrent));
    assert_eq!(on_server.on_error(), Some(OnError::Disable));
    assert_eq!(on_server.as_object()["priority"], 7);
}

#[test]
fn an_entry_of_the_doubles_own_names_the_hooks_that_it_answers() {
    let guard = Double::named("Guard")
        .on::<ToolPreInvoke>(|_, _| async { Ok(PluginResult::allow()) })
        .build();
    let hooks = guard.handle().hooks();
    assert_eq!(hooks.known(), Some(&["tool_pre_invoke".to_owned()][..]));
    assert!(Double::named("Any").build().handle().hooks().includes("http_pre_request"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_weaker_is_refused_as_any_other() {
    let strict = entry(|entry| {
        entry
            .mode(PluginMode::Sequential)
            .hook("tool_pre_invoke")
            .policy(CallPolicy::builder().verify(Verify::Strict))
    });
    let audits = PluginInfo::new("Guard").with_mode(PluginMode::Audit);
    let guard = Double::of(strict).server_entry(audits).build();
    let error = guard.handle_builder().connect().await.unwrap_err();
    assert_eq!(error.reason(), "weaker_server");
}

#[tokio::test(start_paused = true)]
async fn doubles_live_among_the_plugins_of_a_gateway() {
    let (plugins, _) = Plugins::builder().connect().await.unwrap();
    let guard = Double::named("Guard").then(Answer::deny(PluginViolation::new("NO"))).build();
    plugins.insert(guard.handle()).unwrap();
    plugins.insert(Double::named("Audit").build().handle()).unwrap();
    let handle = plugins.get("Guard").unwrap();
    assert!(enforce(&handle, "search").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn handles_of_one_double_share_its_script_and_nothing_else() {
    let guard = Double::named("Guard").then(Answer::silence()).build();
    let (first, second) = (guard.handle(), guard.handle());
    assert!(call(&first, "search").await.is_err());
    assert!(call(&second, "search").await.is_ok());
    assert_eq!((first.stats().ok, second.stats().ok), (0, 1));
    drop(guard);
    assert!(call(&second, "search").await.is_ok(), "a handle keeps its double");
}

#[test]
#[should_panic(expected = "name = \"\": must not be empty")]
fn an_entry_that_is_not_valid_is_told_with_its_problems() {
    let _ = Double::named("").build();
}
