//! Requests, each encoded in one pass into the frame that goes onto the socket.

use std::sync::Arc;

use prost::encoding::decode_varint;
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::Value;

use super::context::{flatten_context, write_context, write_object};
use super::deep_nesting::flatten;
use super::stamp::Stamp;
use super::structpb::error::EncodeFailure;
use super::structpb::writer::Writer;
use super::{BigIntegers, DeepNesting, EncodeError, FRAME_HEADER};
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

/// What a hook is called with.
pub(crate) trait Payload {
    /// Writes it into a request that is open.
    fn write(&self, writer: &mut Writer) -> Result<(), EncodeFailure>;

    /// The same with text in place of what nests too deep.
    fn write_flattened(&self, writer: &mut Writer) -> Result<(), EncodeFailure>;
}

const PAYLOAD: u8 = 0x1a;
const CONTEXT: u8 = 0x22;

impl<T: Serialize + ?Sized> Payload for T {
    #[inline]
    fn write(&self, writer: &mut Writer) -> Result<(), EncodeFailure> {
        write_object(writer, PAYLOAD, self).map_err(|why| why.within(place_in_payload(writer)))
    }

    #[cold]
    fn write_flattened(&self, writer: &mut Writer) -> Result<(), EncodeFailure> {
        let mut payload = serde_json::to_value(self).map_err(EncodeFailure::custom)?;
        if let Value::Object(object) = &mut payload {
            flatten(object, 1);
        }
        payload.write(writer)
    }
}

/// A payload that is encoded already, with nothing in it that a plugin's settings decide
/// about: it is the same for all plugins.
#[derive(Clone)]
pub(crate) struct Preencoded {
    /// As it was written: a copy would cost as much as a call.
    frame: Arc<Vec<u8>>,
    /// Where the payload's content begins in it.
    start: usize,
}

impl Preencoded {
    /// # Errors
    /// If it cannot be encoded as it is.
    pub(crate) fn new<T: Serialize + ?Sized>(payload: &T) -> Result<Self, EncodeError> {
        let mut writer = Writer::with_capacity(512);
        payload.write(&mut writer)?;
        let frame = writer.take_frame()?;
        let mut content = &frame[FRAME_HEADER + 1..];
        // Our own: the length of the content, which is all that follows.
        let length = decode_varint(&mut content);
        debug_assert_eq!(length.ok(), Some(content.len() as u64));
        let start = frame.len() - content.len();
        Ok(Self { frame: Arc::new(frame), start })
    }

    pub(crate) fn len(&self) -> usize {
        self.frame.len() - self.start
    }
}

impl Payload for Preencoded {
    fn write(&self, writer: &mut Writer) -> Result<(), EncodeFailure> {
        writer.string(PAYLOAD, &self.frame[self.start..]);
        Ok(())
    }

    /// What nested too deep would not have been encoded before.
    fn write_flattened(&self, writer: &mut Writer) -> Result<(), EncodeFailure> {
        self.write(writer)
    }
}

/// Runs `hook_type` of `plugin` on `payload`.
pub(crate) fn invoke_hook<T: Payload + ?Sized>(
    hook_type: &str,
    plugin: &str,
    payload: &T,
    context: &PluginContext,
    stamp: Option<&Stamp>,
    fidelity: Fidelity,
    capacity: usize,
) -> Result<Encoded, EncodeFailure> {
    // In place: the writer has room for all levels of nesting, and is not to be moved.
    let mut writer = Writer::with_capacity(capacity);
    write_names(&mut writer, hook_type, plugin, fidelity);
    let written = payload.write(&mut writer);
    let written = written.and_then(|()| write_context(&mut writer, CONTEXT, context, stamp));
    let mut inexact = false;
    if let Err(why) = written {
        if fidelity.deep_nesting == DeepNesting::Refuse || !why.is_too_deep() {
            return Err(why);
        }
        writer = Writer::with_capacity(capacity);
        write_names(&mut writer, hook_type, plugin, fidelity);
        write_flattened(&mut writer, payload, context, stamp)?;
        inexact = true;
    }
    inexact |= writer.is_inexact();
    Ok(Encoded { frame: writer.take_frame()?, inexact })
}

fn write_names(writer: &mut Writer, hook_type: &str, plugin: &str, fidelity: Fidelity) {
    writer.big_integers(fidelity.big_integers);
    writer.string(0x0a, hook_type.as_bytes());
    writer.string(0x12, plugin.as_bytes());
}

/// What follows the names, with text in place of what nests too deep.
#[cold]
fn write_flattened<T: Payload + ?Sized>(
    writer: &mut Writer,
    payload: &T,
    context: &PluginContext,
    stamp: Option<&Stamp>,
) -> Result<(), EncodeFailure> {
    payload.write_flattened(writer)?;
    let mut context = context.clone();
    flatten_context(&mut context);
    write_context(writer, CONTEXT, &context, stamp)
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

/// Asks for the configuration of `plugin`.
pub(crate) fn get_plugin_config(plugin: &str) -> Result<EncodedFrame, EncodeError> {
    let mut writer = Writer::with_capacity(plugin.len() + 16);
    writer.string(0x0a, plugin.as_bytes());
    Ok(writer.take_frame()?)
}

/// Asks for all configurations: an empty message.
pub(crate) fn get_plugin_configs() -> Result<EncodedFrame, EncodeError> {
    Ok(Writer::with_capacity(0).take_frame()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }))
    }

    fn frame(payload: &(impl Payload + ?Sized), context: &PluginContext) -> Encoded {
        let fidelity = Fidelity { deep_nesting: DeepNesting::Text, ..Fidelity::default() };
        let stamp = Stamp::new(1, 2);
        invoke_hook("hook", "P", payload, context, Some(&stamp), fidelity, 64).unwrap()
    }

    #[test]
    fn a_payload_that_is_encoded_before_makes_the_same_request() {
        let plain = PluginContext::new("r");
        let deep = PluginContext::new("r").with_state(match nested(60) {
            Value::Object(state) => state,
            other => panic!("{other}"),
        });
        let large = json!({"a": "x".repeat(9000)});
        for payload in [json!({}), json!({"a": [1, "x"]}), large, nested(20)] {
            let encoded = Preencoded::new(&payload).unwrap();
            for context in [&plain, &deep] {
                let (expected, found) = (frame(&payload, context), frame(&encoded, context));
                assert_eq!(found.frame, expected.frame);
                assert_eq!(found.inexact, expected.inexact);
            }
        }
    }

    #[test]
    fn what_settings_decide_about_is_not_encoded_before() {
        assert!(Preencoded::new(&json!({"a": 9_007_199_254_740_993_u64})).is_err());
        assert!(Preencoded::new(&nested(60)).is_err());
        assert!(Preencoded::new(&json!({"a": {"b": 1.5}})).is_ok());
    }
}
