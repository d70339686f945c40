//! Plugins that other people have published (`reference/published`), served by the reference
//! server: what they answer to its own client, to our calls by name and to our typed ones is the
//! same; and what they are for works.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::modified;
use common::reference::calls::{connect, context, tool};
use common::reference::{ReferenceServer, run_client};
use hookwire::hooks::*;
use hookwire::{
    Hook, PluginContext, PluginError, PluginHandle, PluginResult, PluginViolation, Verdict,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A card number that everybody tests with.
const CARD: &str = "4111 1111 1111 1111";
/// The key that its maker's documentation shows.
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const MAIL: &str = "ada@example.org";

/// A call of a plugin, in JSON.
struct Case {
    plugin: &'static str,
    hook: &'static str,
    payload: Value,
}

/// In their order: some of the plugins count.
fn cases() -> Vec<Case> {
    let mcp = |text: &str, is_error: bool| json!({"content": [{"type": "text", "text": text}], "isError": is_error});
    let pre = |args: Value| ("tool_pre_invoke", json!({"name": "crm", "args": args}));
    let post = |result: Value| ("tool_post_invoke", json!({"name": "crm", "result": result}));
    let prompt = |args: Value| ("prompt_pre_fetch", json!({"prompt_id": "greet", "args": args}));
    let uri = |uri: &str| ("resource_pre_fetch", json!({"uri": uri}));
    let content = json!({"type": "resource", "uri": "file:///a", "text": "as it was"});
    let fetched = || ("resource_post_fetch", json!({"uri": "file:///a", "content": content}));
    let message = json!({"role": "user", "content": {"type": "text", "text": MAIL}});
    let greeted = json!({"prompt_id": "greet", "result": {"messages": [message]}});
    let nested = json!({"to": MAIL, "n": 3, "f": 0.5, "none": null, "in": [{"to": [MAIL, true]}]});
    let long = "long ".repeat(20_000);
    let cases = [
        ("Pii", pre(nested.clone())),
        ("Pii", pre(json!({"q": "rust"}))),
        ("Pii", post(mcp(MAIL, false))),
        ("Pii", post(json!([1, 2.5, "x", null]))),
        ("Pii", prompt(json!({"who": MAIL}))),
        ("Pii", ("prompt_post_fetch", greeted)),
        ("Secrets", pre(json!({"key": KEY}))),
        ("Secrets", pre(nested)),
        ("Secrets", post(json!({"text": KEY}))),
        ("Secrets", prompt(json!({"key": KEY}))),
        ("Secrets", fetched()),
        ("Rate", pre(json!({}))),
        ("Rate", prompt(json!({}))),
        ("Rate", pre(json!({}))),
        ("Retry", post(mcp("no", true))),
        ("Retry", post(mcp("no", true))),
        ("Retry", post(mcp("yes", false))),
        ("Retry", fetched()),
        ("Length", post(json!(long))),
        ("Length", post(mcp(&long, false))),
        ("Length", post(json!("short"))),
        ("Sql", pre(json!({"sql": "DELETE FROM users"}))),
        ("Sql", pre(json!({"sql": "SELECT 1 -- why"}))),
        ("Sql", prompt(json!({"sql": "SELECT 1"}))),
        ("Url", uri("https://blocked.example/a")),
        ("Url", uri("https://fine.example/a")),
        ("Exfil", post(mcp("nothing of interest", false))),
        ("Exfil", prompt(json!({"q": "plain"}))),
        ("Exfil", fetched()),
        ("Telve", prompt(json!({"mail": MAIL}))),
        ("Telve", post(json!({"mail": MAIL}))),
        ("Telve", ("tool_pre_invoke", json!({"name": "slack_post", "args": {"card": CARD}}))),
    ];
    let case = |(plugin, (hook, payload))| Case { plugin, hook, payload };
    cases.map(case).into()
}

#[test]
fn every_hook_of_every_plugin_has_a_case() {
    let served = include_str!("reference/published/plugins.yaml");
    let served: Value = serde_norway::from_str(served).unwrap();
    let mut hooks = BTreeSet::new();
    for plugin in served["plugins"].as_array().unwrap() {
        for hook in plugin["hooks"].as_array().unwrap() {
            hooks.insert((text(&plugin["name"]), text(hook)));
        }
    }
    let of_cases = cases().iter().map(|case| (case.plugin.into(), case.hook.into())).collect();
    assert_eq!(hooks, of_cases);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn handles(server: &ReferenceServer) -> BTreeMap<&'static str, PluginHandle> {
    let mut handles = BTreeMap::new();
    for case in cases() {
        if !handles.contains_key(case.plugin) {
            handles.insert(case.plugin, connect(server, case.plugin).await);
        }
    }
    handles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_answer_us_as_they_answer_the_reference_client_by_name_and_typed() {
    // Each has a server of its own, for some of the plugins count.
    let Some(server) = ReferenceServer::published() else { return };
    let steps = cases().into_iter().map(|case| {
        json!({
            "do": "invoke", "plugin": case.plugin, "hook": case.hook,
            "payload": case.payload, "context": user("ada"),
        })
    });
    let setup = json!({"socket": server.socket(), "plugin": "Pii"});
    let steps: Vec<_> = steps.collect();
    let Some(expected) =
        tokio::task::spawn_blocking(move || run_client(&setup, &steps)).await.unwrap()
    else {
        return;
    };
    for typed in [false, true] {
        let Some(server) = ReferenceServer::published() else { return };
        let handles = handles(&server).await;
        let mut kinds = [0, 0, 0];
        for (case, expected) in cases().iter().zip(&expected) {
            let mut context = user("ada");
            let answer = answer(&handles[case.plugin], case, typed, &mut context).await.unwrap();
            kinds[match answer.verdict() {
                Verdict::Denied(_) => 0,
                Verdict::Allowed(Some(_)) => 1,
                Verdict::Allowed(None) => 2,
            }] += 1;
            let what = format!("{} {} typed: {typed}", case.plugin, case.hook);
            assert!(expected["ok"] == true, "{what}: {expected}");
            assert_eq!(told(&json!(answer)), told(&expected["result"]), "{what}");
            assert_eq!(told(&json!(context)), told(&expected["context"]), "{what}");
        }
        assert!(kinds.iter().all(|count| *count >= 6), "denied, modified, left alone: {kinds:?}");
    }
}

/// The answer in JSON.
async fn answer(
    plugin: &PluginHandle,
    case: &Case,
    typed: bool,
    context: &mut PluginContext,
) -> Result<PluginResult<Value>, PluginError> {
    if !typed {
        return plugin.invoke_hook_json(case.hook, &case.payload, context).await;
    }
    match case.hook {
        "tool_pre_invoke" => typed_answer::<ToolPreInvoke>(plugin, case, context).await,
        "tool_post_invoke" => typed_answer::<ToolPostInvoke>(plugin, case, context).await,
        "prompt_pre_fetch" => typed_answer::<PromptPreFetch>(plugin, case, context).await,
        "prompt_post_fetch" => typed_answer::<PromptPostFetch>(plugin, case, context).await,
        "resource_pre_fetch" => typed_answer::<ResourcePreFetch>(plugin, case, context).await,
        "resource_post_fetch" => typed_answer::<ResourcePostFetch>(plugin, case, context).await,
        other => panic!("no case calls {other}"),
    }
}

async fn typed_answer<H>(
    plugin: &PluginHandle,
    case: &Case,
    context: &mut PluginContext,
) -> Result<PluginResult<Value>, PluginError>
where
    H: Hook<Payload: DeserializeOwned>,
    PluginResult<H::Modified>: serde::Serialize,
{
    let payload: H::Payload = serde_json::from_value(case.payload.clone()).unwrap();
    let result = plugin.invoke_hook::<H>(&payload, context).await?;
    Ok(serde_json::from_value(serde_json::to_value(result).unwrap()).unwrap())
}

/// What must be the same: all that is set, numbers as the wire has them, without clocks. The
/// reference client leaves out the name of the plugin that denied.
fn told(value: &Value) -> Value {
    const CLOCKS: [&str; 4] = ["X-RateLimit-Reset", "Retry-After", "reset_in", "plugin_name"];
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(told).collect(),
        Value::Object(object) => {
            let set = object.iter().filter(|(key, _)| !CLOCKS.contains(&key.as_str()));
            let told = set.map(|(key, value)| (key.clone(), told(value)));
            let is_set = |value: &Value| {
                !value.is_null()
                    && *value != json!({})
                    && *value != json!([])
                    && *value != json!(0.0)
            };
            Value::Object(told.filter(|(_, value)| is_set(value)).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// The violation of a denial.
fn denied<M>(result: PluginResult<M>) -> PluginViolation {
    assert!(!result.is_allowed());
    result.violation().cloned().expect("a reason")
}

fn user(name: &str) -> PluginContext {
    let context = json!({"global_context": {"request_id": "request-1", "user": name}});
    serde_json::from_value(context).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_data_is_taken_out_wherever_it_is_and_everything_else_stays() {
    let Some(server) = ReferenceServer::published() else { return };
    let plugin = connect(&server, "Pii").await;
    let payload = tool(json!({"to": MAIL, "n": 3, "in": [{"cc": MAIL}, "text"]}));
    let result = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context()).await.unwrap();
    let gone = "[REDACTED]";
    let expected = tool(json!({"to": gone, "n": 3, "in": [{"cc": gone}, "text"]}));
    assert_eq!(modified(result), Some(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_limiter_counts_each_user_and_denies_with_a_status_and_headers() {
    let Some(server) = ReferenceServer::published() else { return };
    let plugin = connect(&server, "Rate").await;
    let call = async |name: &str| {
        plugin.invoke_hook::<ToolPreInvoke>(&tool(json!({})), &mut user(name)).await.unwrap()
    };
    for left in ["1", "0"] {
        let allowed = call("ada").await;
        assert!(allowed.is_allowed());
        assert_eq!(allowed.http_headers().unwrap()["X-RateLimit-Remaining"], left);
    }
    let violation = denied(call("ada").await);
    assert_eq!((violation.code.as_str(), violation.http_status_code), ("RATE_LIMIT", Some(429)));
    assert!(violation.http_headers.unwrap().contains_key("Retry-After"));
    assert!(call("eve").await.is_allowed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_retry_plugin_asks_to_wait_twice_as_long_each_time_and_then_no_more() {
    let Some(server) = ReferenceServer::published() else { return };
    let plugin = connect(&server, "Retry").await;
    let failed = json!({"content": [{"type": "text", "text": "no"}], "isError": true});
    let failed = ToolPostInvokePayload::new("crm", failed);
    for delay in [Some(200), Some(400), Some(800), None] {
        let result = plugin.invoke_hook::<ToolPostInvoke>(&failed, &mut context()).await.unwrap();
        assert!(result.is_allowed());
        assert_eq!(result.retry_delay(), delay.map(Duration::from_millis));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_keeps_for_a_request_travels_with_its_context() {
    let Some(server) = ReferenceServer::published() else { return };
    let plugin = connect(&server, "Telve").await;
    let mut context = context();
    let prompt = PromptPreFetchPayload::new("greet").with_arg("mail", MAIL);
    let masked = plugin.invoke_hook::<PromptPreFetch>(&prompt, &mut context).await.unwrap();
    let args = json!(modified(masked).unwrap())["args"].clone();
    assert_eq!(args, json!({"mail": "[EMAIL_ADDRESS_1]"}));
    assert_eq!(context.state["telveguard_vault"], json!({"[EMAIL_ADDRESS_1]": MAIL}));

    // The same request: the address keeps its name, the next one gets another.
    let result = json!({"a": "eve@example.org", "b": MAIL});
    let payload = ToolPostInvokePayload::new("crm", result);
    let masked = plugin.invoke_hook::<ToolPostInvoke>(&payload, &mut context).await.unwrap();
    let result = modified(masked).unwrap().result;
    assert_eq!(result, json!({"a": "[EMAIL_ADDRESS_2]", "b": "[EMAIL_ADDRESS_1]"}));
    assert_eq!(context.state["telveguard_vault"].as_object().unwrap().len(), 2);
}
