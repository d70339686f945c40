//! serde onto the wire and back, beside serde_json's text of the same value.
//!
//! `cargo bench --features internals --bench codec`. The yardstick runs in the
//! same process; read the ratios, not the nanoseconds.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hookwire::hooks::{PromptPreFetchPayload, ToolPreInvokePayload};
use hookwire::internals::{decode_reply, decode_struct, encode_request, encode_struct};
use hookwire::{PluginContext, PluginResult};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn compare<T: Serialize + DeserializeOwned>(c: &mut Criterion, name: &str, value: &T) {
    let wire = encode_struct(value).unwrap()[4..].to_vec();
    let text = serde_json::to_vec(value).unwrap();
    let mut group = c.benchmark_group(name);
    group.bench_function("encode/wire", |b| b.iter(|| encode_struct(black_box(value)).unwrap()));
    group.bench_function("encode/json", |b| {
        b.iter(|| serde_json::to_vec(black_box(value)).unwrap())
    });
    group.bench_function("decode/wire", |b| {
        b.iter(|| decode_struct::<T>(black_box(&wire)).unwrap())
    });
    group.bench_function("decode/json", |b| {
        b.iter(|| serde_json::from_slice::<T>(black_box(&text)).unwrap());
    });
    group.finish();
}

fn prompt() -> PromptPreFetchPayload {
    PromptPreFetchPayload::new("greeting")
        .with_arg("name", "Ada Lovelace")
        .with_arg("tone", "friendly")
}

fn codec(c: &mut Criterion) {
    compare(c, "prompt", &prompt());
    compare(c, "result", &PluginResult::modify(prompt()));
    let tool = ToolPreInvokePayload::new("search")
        .with_arg("query", "rust unix sockets")
        .with_arg("limits", json!({"page": 3, "size": 50, "exact": true, "weight": 0.25}))
        .with_arg("tags", json!(["a", "b", "c", null]));
    compare(c, "tool", &tool);
    let rows: Vec<Value> =
        (0..200).map(|i| json!({"id": i, "name": format!("row {i}"), "ok": i % 2 == 0})).collect();
    compare::<Value>(c, "rows_10k_value", &json!({"name": "t", "result": rows}));
    let text: BTreeMap<_, _> =
        [("name", "t".to_owned()), ("result", "lorem ipsum ".repeat(87_000))].into();
    compare::<Value>(c, "text_1m_value", &serde_json::to_value(text).unwrap());
}

fn call(c: &mut Criterion) {
    let context = PluginContext::new("0f8fad5b-d9cb-469f-a165-70867728950e");
    let reply = {
        // field 1: plugin name, field 2: the result
        let result = encode_struct(&PluginResult::modify(prompt())).unwrap();
        let mut message = vec![0x0a, 5];
        message.extend(b"Guard");
        message.extend([0x12, (result.len() - 4) as u8 | 0x80, ((result.len() - 4) >> 7) as u8]);
        message.extend(&result[4..]);
        message
    };
    let mut group = c.benchmark_group("call");
    group.bench_function("request", |b| {
        b.iter(|| {
            encode_request("prompt_pre_fetch", "Guard", black_box(&prompt_ref()), &context).unwrap()
        });
    });
    group.bench_function("reply", |b| {
        b.iter(|| decode_reply::<PromptPreFetchPayload>(black_box(&reply), "Guard", "x").unwrap());
    });
    group.finish();
}

fn prompt_ref() -> &'static PromptPreFetchPayload {
    static PROMPT: std::sync::LazyLock<PromptPreFetchPayload> = std::sync::LazyLock::new(prompt);
    &PROMPT
}

criterion_group!(benches, codec, call);
criterion_main!(benches);
