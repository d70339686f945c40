//! serde onto the wire and back, beside serde_json's text of the same value.
//!
//! `cargo bench --bench codec`. The yardstick runs in the
//! same process; read the ratios, not the nanoseconds.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/structpb.rs"]
mod structpb;

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hookwire::PluginResult;
use hookwire::hooks::{PromptPreFetchPayload, ToolPreInvokePayload};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use structpb::{decode_struct, encode_struct};

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

criterion_group!(benches, codec);
criterion_main!(benches);
