//! Any bytes: what ours and prost both accept must mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let ours = hookwire::internals::decode_struct::<Value>(bytes);
    let theirs = prost_types::Struct::decode(bytes);
    if let (Some(ours), Ok(theirs)) = (ours, theirs) {
        assert_eq!(ours, hookwire_fuzz::json::to_json(theirs));
    }
});
