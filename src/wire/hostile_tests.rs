//! Replies made to cost their reader time. Counted are steps, not seconds: the
//! fields that are read, each time that they are.

mod memory;
mod shapes;

use serde_json::Value;

use super::reply::{Expected, hook_reply};
use super::reply_fault::ReplyFault;
use super::structpb::reader::steps;
use super::{DecodeError, MAX_UNUSUAL};

/// A field of this tag and content.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    field(0x0a, &[field(0x0a, key), field(0x12, value)].concat())
}

/// `modified_payload`, which may be anything, is this Value.
fn reply(value: &[u8]) -> Vec<u8> {
    let verdict = entry(b"continue_processing", &[0x20, 1]);
    let result = [verdict, entry(b"modified_payload", value)].concat();
    [field(0x0a, b"Guard"), field(0x12, &result)].concat()
}

fn read(message: &[u8]) -> Result<(), ReplyFault> {
    hook_reply::<Value>(message, Expected { plugin: "Guard", request_id: "1", stamp: None })
        .map(drop)
}

/// Keys of one length that differ in the middle.
fn lookalikes(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| entry(format!("k{i:08}k").as_bytes(), &[])).collect()
}

fn around(levels: usize, tag: u8, wrap: impl Fn(&[u8]) -> Vec<u8>, inner: &[u8]) -> Vec<u8> {
    (0..levels).fold(inner.to_vec(), |inner, _| field(tag, &wrap(&inner)))
}

/// Values of about `size` bytes, by what is bad about them.
fn shapes(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let item = |value: &[u8]| field(0x0a, value);
    let list = |items: &[u8]| field(0x32, items);
    let object = |entries: &[u8]| field(0x2a, entries);
    let nulls = item(&[]).repeat(size / 2);
    let objects = item(&object(&entry(&[], &[]))).repeat(size / 10);
    let few = item(&object(&lookalikes(32))).repeat(size / 600);
    vec![
        ("nulls", list(&nulls)),
        ("objects with an empty key", list(&objects)),
        ("many keys that look alike", object(&lookalikes(size / 16))),
        ("many objects of few keys that look alike", list(&few)),
        ("nulls below many lists", around(60, 0x32, |inner| item(inner), &list(&nulls))),
        (
            "objects below many objects",
            around(60, 0x2a, |inner| entry(b"", inner), &list(&objects)),
        ),
    ]
}

// Promise: C4
#[test]
fn reading_a_reply_takes_steps_in_proportion_to_its_bytes_whatever_its_shape() {
    for size in [4_000, 64_000, 1_000_000] {
        for (name, value) in shapes(size) {
            let message = reply(&value);
            let steps = steps::of(|| read(&message).unwrap());
            assert!(steps <= 2 * message.len() + 1000, "{name}: {steps} for {}", message.len());
        }
    }
}

/// prost lays an unusual reply out anew, and counts the length of what nests once
/// for each level. So only a small reply may be unusual.
// Promise: C5
#[test]
fn a_large_reply_of_an_unusual_layout_is_refused_before_it_is_laid_out_anew() {
    for (name, value) in shapes(MAX_UNUSUAL + 1000) {
        // The result comes in two parts.
        let message = [reply(&value), field(0x12, &[])].concat();
        if message.len() > MAX_UNUSUAL {
            assert_eq!(read(&message), Err(DecodeError::Unusual.into()), "{name}");
        }
    }
    for (name, value) in shapes(MAX_UNUSUAL / 2) {
        let message = [reply(&value), field(0x12, &[])].concat();
        assert!(message.len() <= MAX_UNUSUAL, "{name}: {}", message.len());
        // Its 60 levels are too many for prost, which takes 100 messages.
        let deep = name.contains("below");
        assert_eq!(read(&message).is_err(), deep, "{name}");
    }
}
