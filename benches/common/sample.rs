//! The call that is measured everywhere: `prompt_pre_fetch` of the plugin `Null`,
//! which gives the payload back. As small as real ones are: a request of 123
//! bytes, a reply of 285 with every key that the reference server writes.

use std::path::Path;

use hookwire::hooks::PromptPreFetchPayload;
use hookwire::{PluginConfig, PluginContext, PluginHandle, PluginResult};
use serde::Serialize;

use super::knobs::Knobs;
use super::structpb::encode_struct;

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
    let request_id = field(0x0a, context().global_context.request_id.as_bytes());
    frame(&[
        field(0x0a, HOOK.as_bytes()),
        field(0x12, PLUGIN.as_bytes()),
        field(0x1a, &structure(payload)),
        field(0x22, &field(0x0a, &request_id)),
    ])
}

/// The reply in its frame: the payload as it came.
pub fn reply_frame(payload: &PromptPreFetchPayload) -> Vec<u8> {
    let result = PluginResult::modify(payload.clone());
    frame(&[field(0x0a, PLUGIN.as_bytes()), field(0x12, &structure(&result))])
}

fn structure<T: Serialize>(object: &T) -> Vec<u8> {
    encode_struct(object).expect("the sample can be encoded").split_off(4)
}

/// A field of protobuf with this tag and content.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    prost::encode_length_delimiter(content.len(), &mut field).expect("a Vec grows");
    field.extend(content);
    field
}

fn frame(fields: &[Vec<u8>]) -> Vec<u8> {
    let message = fields.concat();
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
