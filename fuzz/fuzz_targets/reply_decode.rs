//! Any bytes as the reply to a call, or to a question: no panic, and no verdict
//! but the one that prost finds in them too.
#![no_main]

use hookwire::hooks::{MessagePayload, ToolPreInvokePayload};
use hookwire::internals::{decode_configs, decode_reply, decode_stamped_reply, reply_weight};
use hookwire::model::STAMP_KEY;
use hookwire::Verdict;
use hookwire_fuzz::json::to_json;
use hookwire_fuzz::messages::Reply;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let _ = (decode_configs(bytes), reply_weight(bytes));
    let _ = decode_reply::<MessagePayload>(bytes, "Guard", "1");
    let ours = decode_reply::<Value>(bytes, "Guard", "1");
    if let Ok(Some(result)) = &ours {
        // A type that was asked for must not change the verdict.
        match decode_reply::<ToolPreInvokePayload>(bytes, "Guard", "1") {
            Ok(typed) => {
                assert_eq!(typed.map(|t| t.is_allowed()), Some(result.is_allowed()));
            }
            // A refusal must not get lost over it either.
            Err(_) => assert!(result.is_allowed() || Reply::decode(bytes).is_err()),
        }
    }
    let (Ok(ours), Ok(theirs)) = (ours, Reply::decode(bytes)) else { return };
    let error = theirs.error.as_ref().is_some_and(|error| !error.message.is_empty());
    assert_eq!(ours.is_none(), error, "an error wins, and nothing else is one");
    let Some(ours) = ours else { return };
    assert_eq!(theirs.plugin_name, "Guard");
    if let Ok(Some(proven)) = decode_stamped_reply::<Value>(bytes, "Guard", "1", (1, 0xa5)) {
        assert_eq!(proven.is_allowed(), ours.is_allowed());
        let metadata = theirs.context.as_ref().and_then(|context| context.metadata.clone());
        let metadata = to_json(metadata.expect("a stamp comes in a context's metadata"));
        assert_eq!(metadata[STAMP_KEY], "000000000000000100000000000000a5");
    }
    if let Some(context) = theirs.context {
        assert_eq!(context.global_context.unwrap_or_default().request_id, "1");
    }
    let theirs = to_json(theirs.result.expect("ours found one"));
    assert_eq!(theirs["continue_processing"], Value::Bool(ours.is_allowed()));
    // A denial has none to go on with.
    if let Verdict::Allowed(payload) = ours.into_verdict() {
        assert_eq!(theirs["modified_payload"], payload.unwrap_or_default());
    }
});
