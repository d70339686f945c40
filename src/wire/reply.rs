//! Replies: what came back, and whether it is the answer to this request.
//!
//! Nothing on the wire ties a reply to its request but the order. So every reply
//! is held against what was asked: the plugin's name, the request's id where a
//! context comes back, the stamp where there is one, and the verdict that each
//! result must have. A reply that fails one of these, or is no protobuf, puts its
//! whole connection in doubt; one that passes them all and only does not
//! deserialise into the caller's type ([`ReplyFault::Unfit`]) is that caller's
//! error and nobody else's.

use prost::Message as _;
use serde::de::DeserializeOwned;

use super::context::{ContextParts, set_once};
use super::lenient_denial::salvage;
use super::stamp::{Stamp, StampedObject};
use super::structpb::de::read_struct;
use super::structpb::reader::Reader;
use super::weight::Part;
use super::{DecodeError, proto, read_any_layout};
use crate::error::PluginFault;
use crate::model::{DenialMetadata, DenialMetric, Object, PluginResult, ReplyContext};

/// JSON-RPC's "internal error", which an error without a code stands for.
const INTERNAL_ERROR: i32 = -32603;

/// The one error of the server that names no plugin: it understood no request.
const UNKNOWN_MESSAGE: &str = "UNKNOWN_MESSAGE";

/// What a reply must agree with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) stamp: Option<&'a Stamp>,
}

/// A reply that is the answer to its request.
// It lives for a moment on its way to the caller; a box would cost an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum HookReply<P> {
    Result(PluginResult<P>, Option<ReplyContext>),
    Fault(PluginFault),
}

/// A reply that is not.
#[derive(Debug, PartialEq)]
pub(crate) enum ReplyFault {
    /// `field` is another than was asked for.
    Mismatch {
        field: &'static str,
    },
    /// No stamp, where one was sent.
    Unproven,
    /// Neither a result nor an error.
    Empty,
    Undecodable(DecodeError),
    /// The answer to this request, with a verdict, but not of the type that was asked
    /// for. The connection is in order.
    Unfit(DecodeError),
}

impl From<DecodeError> for ReplyFault {
    fn from(error: DecodeError) -> Self {
        Self::Undecodable(error)
    }
}

/// Reads the reply to an `InvokeHookRequest`.
pub(crate) fn hook_reply<P: DeserializeOwned>(
    message: &[u8],
    expected: Expected<'_>,
) -> Result<HookReply<P>, ReplyFault> {
    read_any_layout::<proto::InvokeHookResponse, _, _>(message, Part::HookReply, |message| {
        read_hook_reply(message, expected)
    })
}

fn read_hook_reply<P: DeserializeOwned>(
    message: &[u8],
    expected: Expected<'_>,
) -> Result<HookReply<P>, ReplyFault> {
    let mut plugin = "";
    let (mut result, mut context, mut error, mut base) = (None, None, None, None);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => plugin = field.str()?,
            2 => set_once(&mut result, field)?,
            3 => set_once(&mut context, field)?,
            4 => set_once(&mut error, field)?,
            5 => set_once(&mut base, field)?,
            _ => {}
        }
    }
    let fault = error.map(|error| read_fault(error, expected.plugin)).transpose()?;
    if fault.is_none() && result.is_none() {
        return Err(ReplyFault::Empty);
    }
    let nameless = plugin.is_empty() && fault.as_ref().is_some_and(|f| f.code == UNKNOWN_MESSAGE);
    if plugin != expected.plugin && !nameless {
        return Err(ReplyFault::Mismatch { field: "plugin_name" });
    }
    let context = context.map(ContextParts::read).transpose()?;
    if context.as_ref().is_some_and(|context| context.request_id != expected.request_id) {
        return Err(ReplyFault::Mismatch { field: "request_id" });
    }
    // An error wins over a result, and leaves the caller's context as it was. It
    // comes without a context, so no stamp proves it; but it allows nothing, and a
    // result that it changed places with is found out by its stamp.
    let context = match (context, expected.stamp) {
        (None, Some(_)) if fault.is_none() => return Err(ReplyFault::Unproven),
        (None, _) => None,
        (Some(_), None) if fault.is_some() => None,
        (Some(context), stamp) => Some(read_reply_context(context, stamp)?),
    };
    if let Some(fault) = fault {
        return Ok(HookReply::Fault(fault));
    }
    let result = result.unwrap_or_default();
    let mut result: PluginResult<P> = match read_struct(result) {
        Err(error) if error != DecodeError::Unusual => salvage(result, error)?,
        read => read?,
    };
    if let Some(denial) = base.map(read_denial_metadata).transpose()?.flatten() {
        result.denial_metadata = Some(denial);
    }
    // The server leaves out who refused; it can only be the called plugin.
    if let Some(violation) = &mut result.violation {
        violation.plugin_name.get_or_insert_with(|| expected.plugin.to_owned());
    }
    Ok(HookReply::Result(result, context))
}

fn read_object(message: Option<&[u8]>) -> Result<Object, DecodeError> {
    message.map_or_else(|| Ok(Object::new()), read_struct)
}

fn read_reply_context(
    parts: ContextParts<'_>,
    stamp: Option<&Stamp>,
) -> Result<ReplyContext, ReplyFault> {
    let metadata = match stamp {
        None => read_object(parts.metadata)?,
        Some(stamp) => read_stamped(parts.metadata.unwrap_or_default(), stamp)?,
    };
    Ok(ReplyContext {
        global_state: parts.global_state.map(read_struct).transpose()?,
        state: read_object(parts.state)?,
        metadata,
    })
}

fn read_stamped(metadata: &[u8], expected: &Stamp) -> Result<Object, ReplyFault> {
    let StampedObject { object, stamp } = read_struct(metadata)?;
    match stamp {
        Some(stamp) if expected.is(stamp) => Ok(object),
        Some(_) => Err(ReplyFault::Mismatch { field: "stamp" }),
        None => Err(ReplyFault::Unproven),
    }
}

/// A PluginError. It is one by being there, even where its message is empty: the
/// reference server passes on what a plugin raised.
fn read_fault(message: &[u8], called: &str) -> Result<PluginFault, DecodeError> {
    let (mut text, mut plugin, mut code, mut details, mut mcp_code) = ("", "", "", None, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => text = field.str()?,
            2 => plugin = field.str()?,
            3 => code = field.str()?,
            4 => set_once(&mut details, field)?,
            // An int32 travels as the 64-bit varint of its value.
            5 => mcp_code = field.varint()? as i32,
            _ => {}
        }
    }
    Ok(PluginFault {
        message: text.to_owned(),
        plugin_name: if plugin.is_empty() { called } else { plugin }.to_owned(),
        code: code.to_owned(),
        details: read_object(details)?,
        mcp_error_code: if mcp_code == 0 { INTERNAL_ERROR } else { mcp_code },
    })
}

/// The exact metrics beside the result's doubles. Rare, so prost reads them.
fn read_denial_metadata(message: &[u8]) -> Result<Option<DenialMetadata>, DecodeError> {
    use proto::denial_metric::Value;

    // Nothing else in it is looked at.
    let mut metrics = None;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        if number == 4 {
            set_once(&mut metrics, field)?;
        }
    }
    let metrics = metrics.map(proto::DenialMetadata::decode).transpose();
    Ok(metrics.map_err(|_| DecodeError::Malformed("denial_metadata"))?.map(|metadata| {
        let metric = |metric: proto::DenialMetric| {
            Some(match metric.value? {
                Value::Boolean(value) => DenialMetric::Boolean(value),
                Value::Integer(value) => DenialMetric::Integer(value),
                Value::Floating(value) => DenialMetric::Floating(value),
            })
        };
        let fields = metadata.fields.into_iter();
        DenialMetadata::sanitize(fields.map(|(key, value)| (key, metric(value))).collect())
    }))
}

/// Reads the reply to a `GetPluginConfigRequest`; `None` is "not found".
pub(crate) fn config_reply(message: &[u8]) -> Result<Option<Object>, DecodeError> {
    read_any_layout::<proto::GetPluginConfigResponse, _, _>(message, Part::ConfigReply, |message| {
        let (mut found, mut config) = (false, None);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => found = field.varint()? != 0,
                2 => set_once(&mut config, field)?,
                _ => {}
            }
        }
        if found { read_object(config).map(Some) } else { Ok(None) }
    })
}

/// Reads the reply to a `GetPluginConfigsRequest`.
pub(crate) fn configs_reply(message: &[u8]) -> Result<Vec<Object>, DecodeError> {
    read_any_layout::<proto::GetPluginConfigsResponse, _, _>(
        message,
        Part::ConfigsReply,
        |message| {
            let mut configs = Vec::new();
            let mut reader = Reader::new(message);
            while let Some((number, field)) = reader.next()? {
                if number == 1 {
                    configs.push(read_struct(field.bytes()?)?);
                }
            }
            Ok(configs)
        },
    )
}

#[cfg(test)]
mod tests;
