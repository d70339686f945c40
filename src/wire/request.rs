//! Requests, each encoded in one pass into the frame that goes onto the socket.

use serde::Serialize;

use super::BigIntegers;
use super::EncodeError;
use super::context::{write_context, write_object};
use super::stamp::Stamp;
use super::structpb::writer::Writer;
use crate::model::PluginContext;

/// An encoded request: frame header and message.
pub(crate) type EncodedFrame = Vec<u8>;

/// Runs `hook_type` of `plugin` on `payload`.
pub(crate) fn invoke_hook<T: Serialize + ?Sized>(
    hook_type: &str,
    plugin: &str,
    payload: &T,
    context: &PluginContext,
    stamp: Option<&Stamp>,
    big_integers: BigIntegers,
    capacity: usize,
) -> Result<EncodedFrame, EncodeError> {
    let mut writer = Writer::with_capacity(capacity);
    writer.big_integers(big_integers);
    writer.string(0x0a, hook_type.as_bytes());
    writer.string(0x12, plugin.as_bytes());
    write_object(&mut writer, 0x1a, payload)?;
    write_context(&mut writer, 0x22, context, stamp)?;
    writer.take_frame()
}

/// Asks for the configuration of `plugin`.
pub(crate) fn get_plugin_config(plugin: &str) -> Result<EncodedFrame, EncodeError> {
    let mut writer = Writer::with_capacity(plugin.len() + 16);
    writer.string(0x0a, plugin.as_bytes());
    writer.take_frame()
}

/// Asks for all configurations: an empty message.
pub(crate) fn get_plugin_configs() -> Result<EncodedFrame, EncodeError> {
    Writer::with_capacity(0).take_frame()
}
