//! The call that is measured everywhere: `prompt_pre_fetch` of the plugin `Null`,
//! which gives the payload back. As small as real ones are: a request of 123
//! bytes, a reply of 285 with every key that the reference server writes.

use std::path::Path;

use hookwire::hooks::PromptPreFetchPayload;
use hookwire::internals::{encode_request, encode_struct};
use hookwire::{PluginConfig, PluginContext, PluginHandle, PluginResult};

use super::knobs::Knobs;

pub const PLUGIN: &str = "Null";
pub const HOOK: &str = "prompt_pre_fetch";

pub fn payload() -> PromptPreFetchPayload {
    PromptPreFetchPayload::new("p-1").with_arg("topic", "rust programming").with_arg("lang", "en")
}

/// A payload with one argument of `size` bytes.
pub fn payload_of(size: usize) -> PromptPreFetchPayload {
    PromptPreFetchPayload::new("p-1").with_arg("text", "lorem ipsum ".repeat(size / 12 + 1))
}

pub fn context() -> PluginContext {
    PluginContext::new("0123456789abcdef")
}

/// The request in its frame.
pub fn request_frame(payload: &PromptPreFetchPayload) -> Vec<u8> {
    encode_request(HOOK, PLUGIN, payload, &context()).expect("the sample can be encoded")
}

/// The reply in its frame: the payload as it came.
pub fn reply_frame(payload: &PromptPreFetchPayload) -> Vec<u8> {
    let result = PluginResult::modify(payload.clone());
    let result = &encode_struct(&result).expect("the sample can be encoded")[4..];
    let mut message = vec![0x0a, PLUGIN.len() as u8];
    message.extend(PLUGIN.as_bytes());
    message.push(0x12);
    prost::encode_length_delimiter(result.len(), &mut message).expect("a Vec grows");
    message.extend(result);
    let length = u32::try_from(message.len()).expect("the sample fits a frame");
    [&length.to_be_bytes(), &message[..]].concat()
}

/// A handle to the null server: nothing is asked, the first call connects.
/// Nobody waits for a place, so that the connections are what is measured.
pub fn handle(socket: &Path, connections: usize) -> PluginHandle {
    handle_with(socket, |socket| socket.max_connections(connections).max_in_flight(16_384))
}

pub fn handle_with(socket: &Path, set: impl FnOnce(Knobs) -> Knobs) -> PluginHandle {
    handle_to(PLUGIN, socket, set)
}

/// A handle to a plugin of another name.
pub fn handle_to(plugin: &str, socket: &Path, set: impl FnOnce(Knobs) -> Knobs) -> PluginHandle {
    let plugin = PluginConfig::builder(plugin).hook(HOOK);
    let config = set(Knobs::new(socket)).apply(plugin).build();
    PluginHandle::connect_lazy(config.expect("a valid configuration"))
}
