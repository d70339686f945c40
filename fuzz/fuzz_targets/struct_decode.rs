//! Any bytes: what ours and prost both accept must mean the same, as JSON and as a type.
#![no_main]

use std::collections::BTreeMap;

use hookwire::fuzz_bridge::decode_struct;
use hookwire_fuzz::json::{has_plain_numbers, to_json};
use hookwire_fuzz::memory::within_bounds;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde::Deserialize;
use serde_json::Value;

/// Something of each shape that reads a map in its own way.
#[derive(Debug, PartialEq, Deserialize)]
struct Typed {
    a: Option<u8>,
    b: Option<Vec<String>>,
    c: Option<Choice>,
    #[serde(default)]
    d: BTreeMap<String, i32>,
    e: Option<Tagged>,
    f: Option<Box<Typed>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Choice {
    A,
    B(u8),
    C { a: Option<u8> },
    D(u8, u8),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "t")]
enum Tagged {
    A { a: Option<u8> },
    B,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    a: Option<u8>,
    b: Option<Choice>,
    c: Option<BTreeMap<String, bool>>,
}

fuzz_target!(|bytes: &[u8]| {
    let ours = within_bounds(bytes, || decode_struct::<Value>(bytes));
    let typed = within_bounds(bytes, || decode_struct::<Typed>(bytes));
    let strict = decode_struct::<Strict>(bytes);
    let Ok(theirs) = prost_types::Struct::decode(bytes) else { return };
    let (plain, theirs) = (has_plain_numbers(&theirs), to_json(theirs));
    let Some(ours) = &ours else { return };
    assert_eq!(ours, &theirs);
    // A type reads what JSON holds, where JSON has the same numbers. Where a type skips, it may take
    // what JSON does not.
    if plain {
        assert_eq!(strict, Strict::deserialize(&theirs).ok());
        assert_eq!(typed, Typed::deserialize(&theirs).ok());
    }
});
