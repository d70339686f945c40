//! Replies, each encoded in one pass into the frame that goes onto the socket.

use serde::Serialize;
use serde_json::Value;

use crate::model::{
    DenialMetadata, DenialMetric, Headers, Object, PluginContext, PluginResult, PluginViolation,
};
use crate::wire::BigIntegers;
use crate::wire::EncodeError;
use crate::wire::context::{write_context, write_object, write_text};
use crate::wire::request::EncodedFrame;
use crate::wire::structpb::writer::Writer;

/// What the verdict and its keys take, roughly.
const USUAL_RESULT: usize = 320;

/// The context that a reply brings back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Returned<'a> {
    Nothing,
    /// The request's own, as it came.
    Unchanged(&'a [u8]),
    Changed(&'a PluginContext),
}

/// The answer to a hook call. `payload_len` is the size of the request's payload.
pub(crate) fn result<R: Serialize>(
    plugin: &str,
    result: &PluginResult<R>,
    context: Returned<'_>,
    big_integers: BigIntegers,
    payload_len: usize,
) -> Result<EncodedFrame, EncodeError> {
    let payload_len = result.modified_payload.as_ref().map_or(0, |_| payload_len);
    let mut writer = Writer::with_capacity(USUAL_RESULT + plugin.len() + payload_len);
    writer.big_integers(big_integers);
    writer.string(0x0a, plugin.as_bytes());
    write_object(&mut writer, 0x12, &ResultFields::of(result))?;
    match context {
        Returned::Nothing => {}
        Returned::Unchanged(context) => writer.string(0x1a, context),
        Returned::Changed(context) => write_context(&mut writer, 0x1a, context, None)?,
    }
    if let Some(metrics) = &result.denial_metadata {
        write_denial_metadata(&mut writer, metrics)?;
    }
    Ok(writer.take_frame()?)
}

/// A result as the Struct has it: every key, but for the metrics, which stand
/// beside it where integers stay exact.
#[derive(Serialize)]
struct ResultFields<'a, R> {
    continue_processing: bool,
    modified_payload: Option<&'a R>,
    modified_extensions: Option<&'a Value>,
    violation: Option<&'a PluginViolation>,
    metadata: &'a Object,
    http_headers: Option<&'a Headers>,
    retry_delay_ms: i64,
    executions: &'a [Value],
}

impl<'a, R> ResultFields<'a, R> {
    fn of(result: &'a PluginResult<R>) -> Self {
        Self {
            continue_processing: result.continue_processing,
            modified_payload: result.modified_payload.as_ref(),
            modified_extensions: result.modified_extensions.as_ref(),
            violation: result.violation.as_deref(),
            metadata: &result.metadata,
            http_headers: result.http_headers.as_ref(),
            retry_delay_ms: result.retry_delay_ms,
            executions: &result.executions,
        }
    }
}

/// A PluginResultBase with nothing but the metrics, as the reference fills it.
fn write_denial_metadata(writer: &mut Writer, metrics: &DenialMetadata) -> Result<(), EncodeError> {
    writer.begin(0x2a)?;
    writer.begin(0x22)?;
    for (name, metric) in metrics.iter() {
        writer.begin(0x0a)?;
        writer.string(0x0a, name.as_bytes());
        writer.begin(0x12)?;
        match metric {
            DenialMetric::Boolean(value) => writer.raw(&[0x08, u8::from(value)]),
            DenialMetric::Integer(value) => {
                writer.raw(&[0x10]);
                writer.varint(zigzag(value));
            }
            DenialMetric::Floating(value) => {
                writer.raw(&[0x19]);
                writer.raw(&value.to_le_bytes());
            }
        }
        writer.end(2);
    }
    writer.end(2);
    Ok(())
}

/// Of a sint64: small numbers, positive or negative, stay short.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// A PluginError. Empty texts, objects and a code of zero are left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault<'a> {
    pub(crate) message: &'a str,
    pub(crate) plugin: &'a str,
    pub(crate) code: &'a str,
    pub(crate) details: Option<&'a Object>,
    pub(crate) mcp_error_code: i32,
}

/// The answer to a hook call that failed; `plugin` is the one that was called.
pub(crate) fn fault(
    plugin: &str,
    fault: Fault<'_>,
    big_integers: BigIntegers,
) -> Result<EncodedFrame, EncodeError> {
    let mut writer = Writer::with_capacity(128 + fault.message.len() + 2 * plugin.len());
    writer.big_integers(big_integers);
    write_text(&mut writer, 0x0a, plugin);
    writer.begin(0x22)?;
    write_text(&mut writer, 0x0a, fault.message);
    write_text(&mut writer, 0x12, fault.plugin);
    write_text(&mut writer, 0x1a, fault.code);
    if let Some(details) = fault.details.filter(|details| !details.is_empty()) {
        write_object(&mut writer, 0x22, details)?;
    }
    if fault.mcp_error_code != 0 {
        writer.raw(&[0x28]);
        // An int32 travels as the 64-bit varint of its value.
        writer.varint(i64::from(fault.mcp_error_code) as u64);
    }
    writer.end(1);
    Ok(writer.take_frame()?)
}

/// The answer to a request of no known kind.
pub(crate) fn unknown_message() -> Result<EncodedFrame, EncodeError> {
    let unknown = Fault {
        message: "Unknown message type",
        plugin: "",
        code: "UNKNOWN_MESSAGE",
        details: None,
        mcp_error_code: 0,
    };
    fault("", unknown, BigIntegers::Refuse)
}

/// The configuration of a plugin that was found.
pub(crate) fn config<T: Serialize>(config: &T) -> Result<EncodedFrame, EncodeError> {
    let mut writer = Writer::with_capacity(USUAL_RESULT);
    writer.big_integers(BigIntegers::Round);
    writer.raw(&[0x08, 1]);
    write_object(&mut writer, 0x12, config)?;
    Ok(writer.take_frame()?)
}

/// "Not found" is a message of nothing but defaults: an empty one.
pub(crate) fn no_config() -> Result<EncodedFrame, EncodeError> {
    Ok(Writer::with_capacity(0).take_frame()?)
}

/// The configurations of all plugins.
pub(crate) fn configs<'a, T: Serialize + 'a>(
    configs: impl IntoIterator<Item = &'a T>,
) -> Result<EncodedFrame, EncodeError> {
    let mut writer = Writer::with_capacity(USUAL_RESULT);
    writer.big_integers(BigIntegers::Round);
    for config in configs {
        write_object(&mut writer, 0x0a, config)?;
    }
    Ok(writer.take_frame()?)
}
