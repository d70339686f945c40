//! Any bytes as a request to the embedded server: no panic, and what it takes for
//! a hook call is the one that prost sees.
#![no_main]

use hookwire::fuzz_bridge::{ReadCall, read_call};
use hookwire_fuzz::json::to_json;
use hookwire_fuzz::messages::Request;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some(ReadCall { hook_type, plugin, payload, context }) = read_call(bytes) else { return };
    let Ok(theirs) = Request::decode(bytes) else { return };
    assert_eq!((hook_type, plugin), (&*theirs.hook_type, &*theirs.plugin_name));
    if let Some(payload) = payload {
        assert_eq!(Value::Object(payload), to_json(theirs.payload.unwrap_or_default()));
    }
    if let Some(context) = context {
        let theirs = theirs.context.unwrap_or_default();
        assert_eq!(Value::Object(context.state), to_json(theirs.state.unwrap_or_default()));
        let global = theirs.global_context.unwrap_or_default();
        assert_eq!(context.global_context.request_id, global.request_id);
        let state = Value::Object(context.global_context.state);
        assert_eq!(state, to_json(global.state.unwrap_or_default()));
    }
});
