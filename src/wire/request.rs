//! Requests, each encoded in one pass into the frame that goes onto the socket.

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::Value;

use super::context::{flatten_context, write_context, write_object};
use super::deep_nesting::flatten;
use super::stamp::Stamp;
use super::structpb::error::EncodeFailure;
use super::structpb::writer::Writer;
use super::{BigIntegers, DeepNesting, EncodeError};
use crate::model::PluginContext;

/// An encoded request: frame header and message.
pub(crate) type EncodedFrame = Vec<u8>;

/// The longest name of a field that an error tells.
const LONGEST_NAME: usize = 64;

/// What becomes of values that the wire cannot carry as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fidelity {
    pub(crate) big_integers: BigIntegers,
    pub(crate) deep_nesting: DeepNesting,
}

/// A hook call, encoded.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) frame: EncodedFrame,
    /// Whether it tells something else than was given: an integer was rounded, or a value
    /// that nests too deep became text.
    pub(crate) inexact: bool,
}

/// Runs `hook_type` of `plugin` on `payload`.
pub(crate) fn invoke_hook<T: Serialize + ?Sized>(
    hook_type: &str,
    plugin: &str,
    payload: &T,
    context: &PluginContext,
    stamp: Option<&Stamp>,
    fidelity: Fidelity,
    capacity: usize,
) -> Result<Encoded, EncodeError> {
    let begin = || {
        let mut writer = Writer::with_capacity(capacity);
        writer.big_integers(fidelity.big_integers);
        writer.string(0x0a, hook_type.as_bytes());
        writer.string(0x12, plugin.as_bytes());
        writer
    };
    match write_rest(begin(), payload, context, stamp) {
        Err(why) if why.is_too_deep() && fidelity.deep_nesting == DeepNesting::Text => {
            let (payload, context) = flattened(payload, context)?;
            let written = write_rest(begin(), &payload, &context, stamp)?;
            Ok(Encoded { inexact: true, ..written })
        }
        written => written,
    }
}

/// What follows the names.
fn write_rest<T: Serialize + ?Sized>(
    mut writer: Writer,
    payload: &T,
    context: &PluginContext,
    stamp: Option<&Stamp>,
) -> Result<Encoded, EncodeError> {
    if let Err(why) = write_object(&mut writer, 0x1a, payload) {
        return Err(EncodeError::from(why).within(place_in_payload(&writer)));
    }
    write_context(&mut writer, 0x22, context, stamp)?;
    let inexact = writer.is_inexact();
    Ok(Encoded { frame: writer.take_frame()?, inexact })
}

/// The field of the payload that was being written, if its name is one to be told: of a
/// payload that is a map, the keys may be data.
#[cold]
fn place_in_payload(writer: &Writer) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    match writer.key_at(1) {
        Some(key) if key.len() <= LONGEST_NAME && key.iter().all(is_plain) => {
            format!("payload.{}", String::from_utf8_lossy(key))
        }
        _ => "payload".to_owned(),
    }
}

/// The same with text in place of what nests too deep.
#[cold]
fn flattened<T: Serialize + ?Sized>(
    payload: &T,
    context: &PluginContext,
) -> Result<(Value, PluginContext), EncodeError> {
    let mut payload = serde_json::to_value(payload).map_err(EncodeFailure::custom)?;
    if let Value::Object(object) = &mut payload {
        flatten(object, 1);
    }
    let mut context = context.clone();
    flatten_context(&mut context);
    Ok((payload, context))
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
