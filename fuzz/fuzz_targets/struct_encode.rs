//! Any JSON object: prost reads what ours writes, ours reads what prost writes.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::{Map, Value};

const LENGTHS: [usize; 4] = [0, 115, 240, 16_370];

#[derive(Debug)]
struct Object(Value);

impl<'a> Arbitrary<'a> for Object {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        object(u, 8).map(Self)
    }
}

fn object(u: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    let mut object = Map::new();
    while !u.is_empty() && u.ratio(3, 4)? {
        object.insert(String::arbitrary(u)?, value(u, depth)?);
    }
    Ok(Value::Object(object))
}

fn value(u: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 5 } else { 7 })? {
        0 => Value::Null,
        1 => bool::arbitrary(u)?.into(),
        2 => u.int_in_range(-(1_i64 << 53)..=1 << 53)?.into(),
        3 => f64::arbitrary(u)?.into(),
        4 => String::arbitrary(u)?.into(),
        // Around the lengths at which a length takes one more byte.
        5 => "x".repeat(*u.choose(&LENGTHS)? + u.int_in_range(0..=20)?).into(),
        6 => object(u, depth - 1)?,
        _ => {
            let mut list = Vec::new();
            while !u.is_empty() && u.ratio(3, 4)? {
                list.push(value(u, depth - 1)?);
            }
            list.into()
        }
    })
}

fuzz_target!(|object: Object| {
    let Some(frame) = hookwire::fuzz_bridge::encode_struct(&object.0) else {
        panic!("refused: {:?}", object.0);
    };
    let message = &frame[4..];
    assert_eq!(frame[..4], (message.len() as u32).to_be_bytes());
    let theirs = prost_types::Struct::decode(message).expect("prost refuses what ours wrote");
    let ours: Value = hookwire::fuzz_bridge::decode_struct(message).expect("ours refuses its own");
    assert_eq!(ours, hookwire_fuzz::json::to_json(theirs.clone()));
    let again: Value =
        hookwire::fuzz_bridge::decode_struct(&theirs.encode_to_vec()).expect("prost's");
    assert_eq!(again, ours);
});
