//! Any bytes as the reply to a call: no panic, and never a verdict without one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(result)) = hookwire::internals::decode_reply::<Value>(bytes, "Guard", "1") {
        // The name, and the verdict's key, must have been in there.
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"Guard") && has(b"continue_processing"), "{:?}", result.continue_processing);
    }
});
