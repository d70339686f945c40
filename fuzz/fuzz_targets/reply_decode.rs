//! Any bytes as the reply to a call, or to a question: no panic, no verdict but the one
//! that prost finds in them too, and no more memory than promised.
#![no_main]

use hookwire::PluginResult;
use hookwire::Verdict;
use hookwire::fuzz_bridge::{
    Rejected, decode_configs, decode_reply, decode_stamped_reply, is_denial_beside_an_error,
};
use hookwire::hooks::{MessagePayload, ToolPreInvokePayload};
use hookwire::model::STAMP_KEY;
use hookwire_fuzz::json::to_json;
use hookwire_fuzz::memory::within_bounds;
use hookwire_fuzz::messages::Reply;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Value;

type Read<P> = Result<Option<PluginResult<P>>, Rejected>;

fn read<P: DeserializeOwned>(bytes: &[u8]) -> Read<P> {
    within_bounds(bytes, || decode_reply(bytes, "Guard", "1"))
}

/// A type that was asked for changes no verdict, loses no denial, and makes nothing
/// that is in doubt by itself its caller's own error.
fn check_typed<P: DeserializeOwned>(bytes: &[u8], ours: &Read<Value>) {
    let typed = read::<P>(bytes).map(|typed| typed.map(|typed| typed.is_allowed()));
    match (ours, typed) {
        (Ok(Some(ours)), Ok(typed)) => assert_eq!(typed, Some(ours.is_allowed())),
        (Ok(Some(ours)), Err(Rejected::Unfit)) => assert!(ours.is_allowed()),
        // JSON skips what is no protobuf where it is not looked for, and a type may fail
        // before it comes to it.
        (Ok(Some(_)), Err(Rejected::Doubtful))
        | (Err(Rejected::Doubtful), Err(Rejected::Unfit)) => {
            assert!(Reply::decode(bytes).is_err());
        }
        (Ok(None), typed) => assert_eq!(typed, Ok(None)),
        // A type may skip what cannot be read.
        (Err(_), _) => {}
    }
}

fn check_verdict(ours: Option<PluginResult<Value>>, theirs: Reply, bytes: &[u8]) {
    assert_eq!(ours.is_none(), theirs.error.is_some(), "an error wins, and nothing else is one");
    let Some(ours) = ours else {
        let half = theirs.result.map(to_json).unwrap_or_default();
        let denies = half["continue_processing"] == Value::Bool(false);
        assert_eq!(is_denial_beside_an_error(bytes, "Guard", "1"), denies, "half a verdict");
        return;
    };
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
}

/// What is only its caller's error is the answer of this plugin, with a verdict.
fn check_unfit(theirs: Reply) {
    let plugin = theirs.plugin_name;
    assert!(plugin == "Guard" || (plugin.is_empty() && theirs.error.is_some()));
    if let Some(context) = theirs.context {
        assert_eq!(context.global_context.unwrap_or_default().request_id, "1");
    }
    if theirs.error.is_none() {
        let result = to_json(theirs.result.expect("neither a result nor an error"));
        assert_eq!(result["continue_processing"], true);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = within_bounds(bytes, || decode_configs(bytes));
    let ours = read::<Value>(bytes);
    check_typed::<ToolPreInvokePayload>(bytes, &ours);
    check_typed::<MessagePayload>(bytes, &ours);
    match (ours, Reply::decode(bytes)) {
        (Ok(ours), Ok(theirs)) => check_verdict(ours, theirs, bytes),
        (Err(Rejected::Unfit), Ok(theirs)) => check_unfit(theirs),
        _ => {}
    }
});
