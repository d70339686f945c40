//! The same cases through our chain, and what is compared.

use std::collections::{BTreeMap, BTreeSet};

use hookwire::hooks::{AgentPreInvoke, Applies, ResourcePreFetch, ToolPostInvoke, ToolPreInvoke};
use hookwire::{GlobalContext, PluginConfig, PluginHandle};
use hookwire_gateway::{
    Chain, ChainHook, Decision, FieldPolicy, HaltReason, Record, Report, RequestContext, Status,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::plugin::NAMES;

/// Runs a case: what is to be compared, for each step.
pub(crate) async fn run(case: &Value) -> Vec<Value> {
    let chain = chain(case).await;
    let mut requests = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let mut answers = Vec::new();
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let id = step["request"].as_u64().unwrap();
        if ended.contains(&id) {
            answers.push(Value::Null);
            continue;
        }
        let request = requests.entry(id).or_insert_with(|| request(&step["context"]));
        let answer = match step["hook"].as_str().unwrap() {
            "tool_pre_invoke" => one::<ToolPreInvoke>(&chain, step, request).await,
            "tool_post_invoke" => one::<ToolPostInvoke>(&chain, step, request).await,
            "resource_pre_fetch" => one::<ResourcePreFetch>(&chain, step, request).await,
            _ => one::<AgentPreInvoke>(&chain, step, request).await,
        };
        if answer["allowed"] != true {
            let by = answer["failed"].as_str().or(answer["violation"]["plugin_name"].as_str());
            let both = by.is_some_and(|by| mode_of(case, by) == "concurrent");
            ended.extend(if both { vec![0, 1] } else { vec![id] });
        }
        answers.push(comparable(case, index, &answer));
    }
    answers
}

async fn chain(case: &Value) -> Chain {
    let mut handles = Vec::new();
    for entry in case["plugins"].as_array().unwrap() {
        let mut entry = entry.clone();
        // The manager's is one for all plugins.
        entry["unix_socket"]["timeout"] = case["timeout"].clone();
        let config = PluginConfig::from_value(entry).unwrap();
        handles.push(PluginHandle::connect_lazy(config));
    }
    let mut chain = Chain::builder().plugins(handles);
    for (hook, fields) in case["policies"].as_object().unwrap() {
        let fields = fields.as_array().unwrap().iter().map(|field| field.as_str().unwrap());
        chain = chain.policy(hook, FieldPolicy::only(fields));
    }
    if case["default_policy"] == "deny" {
        chain = chain.default_policy(FieldPolicy::Deny);
    }
    chain.build().unwrap()
}

fn request(context: &Value) -> RequestContext {
    let mut context = context.clone();
    let content_type = context.as_object_mut().unwrap().remove("content_type");
    let global: GlobalContext = serde_json::from_value(context).unwrap();
    let request = RequestContext::from(global);
    match content_type {
        Some(Value::String(content_type)) => request.with_content_type(content_type),
        _ => request,
    }
}

async fn one<H>(chain: &Chain, step: &Value, request: &mut RequestContext) -> Value
where
    H: ChainHook + Applies,
    H::Payload: DeserializeOwned,
{
    let payload: H::Payload = serde_json::from_value(step["payload"].clone()).unwrap();
    let ran = chain.run::<H>(payload, request).await;
    assert!(chain.background_idle(std::time::Duration::from_secs(60)).await);
    let (outcome, report) = match ran {
        Ok(passed) => {
            let (payload, report) = passed.into_parts();
            (json!({"allowed": true, "payload": payload}), report)
        }
        Err(halted) => match halted.into_parts() {
            (HaltReason::Denied(denial), report) => {
                (json!({"allowed": false, "violation": denial.violation()}), report)
            }
            (HaltReason::Failed(error), _) => {
                return json!({"failed": error.plugin(), "state": request.global().state});
            }
            (other, _) => panic!("{other}"),
        },
    };
    let mut answer = outcome;
    answer["metadata"] = json!(report.metadata());
    answer["retry_delay_ms"] =
        json!(report.retry_delay().map_or(0, |delay| delay.as_millis() as u64));
    answer["state"] = json!(request.global().state);
    let own = |name: &&str| {
        let part = |part: Option<&hookwire::model::Object>| part.cloned().unwrap_or_default();
        let state = part(request.plugin_state(name));
        let metadata = part(request.plugin_metadata(name));
        ((*name).to_owned(), json!({"state": state, "metadata": metadata}))
    };
    answer["contexts"] = Value::Object(NAMES.iter().map(own).collect());
    answer["records"] = records(&report);
    answer
}

/// As the reference has them: it records what it has asked, and takes an error that is
/// ignored for a plugin that completed.
fn records(report: &Report) -> Value {
    let record = |record: &Record| {
        (!matches!(record.status, Status::Skipped | Status::Disabled | Status::Cancelled)).then(
            || {
                let timeout = record.status == Status::Timeout;
                json!({
                    "plugin": &*record.plugin,
                    "status": if timeout { "timeout" } else { "completed" },
                    "allow": record.effective == Decision::Allow, "modified": record.modified,
                })
            },
        )
    };
    report.records().iter().filter_map(record).collect()
}

/// What must be the same of a step: all that does not depend on which of the concurrent
/// plugins is faster.
pub(crate) fn comparable(case: &Value, step: usize, answer: &Value) -> Value {
    if answer.is_null() {
        return Value::Null;
    }
    let step = &case["steps"][step];
    let racing: BTreeSet<&str> =
        NAMES.into_iter().filter(|name| mode_of(case, name) == "concurrent").collect();
    if let Some(failed) = answer.get("failed") {
        let beside = racing.contains(failed.as_str().unwrap());
        let state = without(&answer["state"], &racing, beside);
        return numbers(json!({"failed": failed, "state": state}));
    }
    let denied_by = answer["violation"]["plugin_name"].as_str().unwrap_or_default();
    let beside = racing.contains(denied_by);
    // What a plugin in the background keeps, the reference may or may not have seen yet.
    let unseen: BTreeSet<&str> =
        NAMES.into_iter().filter(|name| mode_of(case, name) == "fire_and_forget").collect();
    let contexts = without(&without(&answer["contexts"], &unseen, true), &racing, beside);
    let mut records: Vec<Value> = answer["records"].as_array().unwrap().clone();
    records.retain(|record| !(beside && racing.contains(record["plugin"].as_str().unwrap())));
    // Those that were asked side by side, in whatever order.
    records.sort_by_key(|record| {
        let name = record["plugin"].as_str().unwrap().to_owned();
        if racing.contains(&*name) { name } else { String::new() }
    });
    let mut compared = json!({
        "allowed": answer["allowed"],
        "metadata": without(&answer["metadata"], &racing, beside),
        "state": without(&answer["state"], &racing, beside),
        "contexts": kept(contexts),
        "records": records,
    });
    if answer["allowed"] == true {
        let unchanged = answer["payload"].is_null();
        let payload = if unchanged { &step["payload"] } else { &answer["payload"] };
        compared["payload"] = set(payload);
        compared["retry_delay_ms"] = answer["retry_delay_ms"].clone();
    } else {
        compared["violation"] = set(&answer["violation"]);
    }
    numbers(compared)
}

fn mode_of<'a>(case: &'a Value, plugin: &str) -> &'a str {
    let plugins = case["plugins"].as_array().unwrap();
    let entry = plugins.iter().find(|entry| entry["name"] == plugin);
    entry.map_or("", |entry| entry["mode"].as_str().unwrap())
}

fn without(object: &Value, names: &BTreeSet<&str>, take_out: bool) -> Value {
    let mut object = object.as_object().unwrap().clone();
    object.retain(|name, _| !(take_out && names.contains(&**name)));
    Value::Object(object)
}

/// The contexts of plugins that keep anything.
fn kept(mut contexts: Value) -> Value {
    let empty = json!({"state": {}, "metadata": {}});
    contexts.as_object_mut().unwrap().retain(|_, own| *own != empty);
    contexts
}

/// The members that are not null: both sides leave out what is not set, or do not.
fn set(object: &Value) -> Value {
    let members = object.as_object().into_iter().flatten();
    let members = members.filter(|(_, value)| !value.is_null());
    Value::Object(members.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

/// The wire has doubles only.
fn numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(numbers).collect(),
        Value::Object(object) => {
            Value::Object(object.into_iter().map(|(key, value)| (key, numbers(value))).collect())
        }
        other => other,
    }
}
