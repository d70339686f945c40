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
use super::lenient_denial::{refusal_in, salvage};
use super::reply_fault::ReplyFault;
use super::stamp::{Stamp, StampedObject};
use super::structpb::de::read_struct;
use super::structpb::reader::Reader;
use super::{Budget, DecodeError, MAX_UNUSUAL, laid_out_anew, proto, read_any_layout};
use crate::model::{DenialMetadata, DenialMetric, Object, PluginFault, PluginResult, ReplyContext};

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

/// Reads the reply to an `InvokeHookRequest`.
pub(crate) fn hook_reply<P: DeserializeOwned>(
    message: &[u8],
    expected: Expected<'_>,
) -> Result<HookReply<P>, ReplyFault> {
    let pass = if message.len() > MAX_UNUSUAL { Pass::Last } else { Pass::First };
    let mut read = read_hook_reply(message, expected, pass);
    // It may show its meaning once it is laid out anew, or a part of it.
    if pass == Pass::First && matches!(read, Err(ReplyFault::Undecodable(_))) {
        let anew = laid_out_anew::<proto::InvokeHookResponse>(message);
        read = read_hook_reply(anew.as_deref().unwrap_or(message), expected, Pass::Last);
    }
    read
}

/// What becomes of a result that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// The reply is laid out anew and read again.
    First,
    /// What can be read of it counts.
    Last,
}

fn read_hook_reply<P: DeserializeOwned>(
    message: &[u8],
    expected: Expected<'_>,
    pass: Pass,
) -> Result<HookReply<P>, ReplyFault> {
    let budget = &Budget::of(message.len());
    let Parts { plugin, result, context, error, base } = Parts::read(message)?;
    if error.is_none() && result.is_none() {
        return Err(ReplyFault::Empty);
    }
    let nameless = plugin.is_empty() && error.as_ref().is_some_and(|e| e.code == UNKNOWN_MESSAGE);
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
    if let Some(error) = error {
        if let (Some(context), Some(stamp)) = (&context, expected.stamp) {
            read_stamped(context, stamp, budget)?;
        }
        let refusal = match result.map(|result| refusal_in(result, budget)).transpose() {
            Ok(refusal) => refusal.flatten(),
            // An error is one by being there, whatever is beside it.
            Err(_) if pass == Pass::Last => None,
            Err(why) => return Err(ReplyFault::Undecodable(why)),
        };
        return error.into_fault(expected.plugin, refusal, budget).map(HookReply::Fault);
    }
    let result = result.unwrap_or_default();
    let metrics = base.map(|base| read_denial_metadata(base, budget)).transpose()?.flatten();
    let (context, misfit) = match read_reply_context(context, expected.stamp, budget) {
        Ok(context) => (context, None),
        // A stamp may be in what was not read, and then nothing proves the reply.
        Err(ReplyFault::Undecodable(why)) if expected.stamp.is_none() && why.is_misfit() => {
            (None, Some(why))
        }
        Err(fault) => return Err(fault),
    };
    let read = match misfit {
        None => budget.attempt(|| read_struct(result, budget)),
        Some(why) => Err(why),
    };
    let mut result = match read {
        Err(why) if pass == Pass::Last => salvage(result, why, budget)?,
        read => read?,
    };
    if metrics.is_some() {
        result.denial_metadata = metrics;
    }
    result.inexact = budget.not_finite();
    result.denied_by(expected.plugin);
    Ok(HookReply::Result(result, context))
}

/// The fields of an `InvokeHookResponse`, still encoded.
#[derive(Default)]
struct Parts<'a> {
    plugin: &'a str,
    result: Option<&'a [u8]>,
    context: Option<&'a [u8]>,
    error: Option<ErrorParts<'a>>,
    base: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let (mut parts, mut error) = (Self::default(), None);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => parts.plugin = field.str()?,
                2 => set_once(&mut parts.result, field)?,
                3 => set_once(&mut parts.context, field)?,
                4 => set_once(&mut error, field)?,
                5 => set_once(&mut parts.base, field)?,
                _ => {}
            }
        }
        parts.error = error.map(ErrorParts::read).transpose()?;
        Ok(parts)
    }
}

/// A PluginError. It is one by being there, even where its message is empty: the
/// reference server passes on what a plugin raised.
#[derive(Default)]
struct ErrorParts<'a> {
    message: &'a str,
    plugin: &'a str,
    code: &'a str,
    details: Option<&'a [u8]>,
    mcp_code: i32,
}

impl<'a> ErrorParts<'a> {
    fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut parts = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => parts.message = field.str()?,
                2 => parts.plugin = field.str()?,
                3 => parts.code = field.str()?,
                4 => set_once(&mut parts.details, field)?,
                // An int32 travels as the 64-bit varint of its value.
                5 => parts.mcp_code = field.varint()? as i32,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn read_details(&self, budget: &Budget) -> Result<Object, ReplyFault> {
        read_object(self.details, budget).map_err(|why| match why.is_misfit() {
            true => ReplyFault::Unfit(why),
            false => why.into(),
        })
    }

    /// `refusal` is the verdict beside the error, if that refuses.
    fn into_fault(
        self,
        called: &str,
        refusal: Option<PluginResult<()>>,
        budget: &Budget,
    ) -> Result<PluginFault, ReplyFault> {
        let details = match self.read_details(budget) {
            // A denial is not lost over its ornaments.
            Err(ReplyFault::Unfit(_)) if refusal.is_some() => Object::new(),
            details => details?,
        };
        Ok(PluginFault {
            details,
            message: self.message.to_owned(),
            plugin_name: if self.plugin.is_empty() { called } else { self.plugin }.to_owned(),
            code: self.code.to_owned(),
            mcp_error_code: if self.mcp_code == 0 { INTERNAL_ERROR } else { self.mcp_code },
            refusal: refusal.map(|mut refusal| {
                refusal.denied_by(called);
                Box::new(refusal)
            }),
        })
    }
}

fn read_object(message: Option<&[u8]>, budget: &Budget) -> Result<Object, DecodeError> {
    message.map_or_else(|| Ok(Object::new()), |message| read_struct(message, budget))
}

fn read_reply_context(
    parts: Option<ContextParts<'_>>,
    stamp: Option<&Stamp>,
    budget: &Budget,
) -> Result<Option<ReplyContext>, ReplyFault> {
    let Some(parts) = parts else {
        return if stamp.is_some() { Err(ReplyFault::Unproven) } else { Ok(None) };
    };
    Ok(Some(ReplyContext {
        metadata: match stamp {
            None => read_object(parts.metadata, budget)?,
            Some(stamp) => read_stamped(&parts, stamp, budget)?,
        },
        global_state: parts.global_state.map(|state| read_struct(state, budget)).transpose()?,
        state: read_object(parts.state, budget)?,
    }))
}

/// The metadata without the stamp, which must be the one that is expected.
fn read_stamped(
    parts: &ContextParts<'_>,
    expected: &Stamp,
    budget: &Budget,
) -> Result<Object, ReplyFault> {
    let metadata = parts.metadata.unwrap_or_default();
    let StampedObject { object, stamp } = read_struct(metadata, budget)?;
    match stamp {
        Some(stamp) if expected.is(stamp) => Ok(object),
        Some(_) => Err(ReplyFault::Mismatch { field: "stamp" }),
        None => Err(ReplyFault::Unproven),
    }
}

/// The exact metrics beside the result's doubles. Rare, so prost reads them; of more
/// than there may be, all are dropped unread.
fn read_denial_metadata(
    message: &[u8],
    budget: &Budget,
) -> Result<Option<DenialMetadata>, DecodeError> {
    use proto::denial_metric::Value;

    // Nothing else in it is looked at.
    let mut metrics = None;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        if number == 4 {
            set_once(&mut metrics, field)?;
        }
    }
    let Some(metrics) = metrics else { return Ok(None) };
    let (mut reader, mut count) = (Reader::new(metrics), 0);
    while reader.next()?.is_some() {
        count += 1;
    }
    if count > DenialMetadata::MAX_ENTRIES {
        return Ok(Some(DenialMetadata::default()));
    }
    budget.charge(metrics.len())?;
    let metadata = proto::DenialMetadata::decode(metrics)
        .map_err(|_| DecodeError::Malformed("denial_metadata"))?;
    let metric = |metric: proto::DenialMetric| {
        Some(match metric.value? {
            Value::Boolean(value) => DenialMetric::Boolean(value),
            Value::Integer(value) => DenialMetric::Integer(value),
            Value::Floating(value) => DenialMetric::Floating(value),
        })
    };
    let fields = metadata.fields.into_iter();
    let metrics = fields.map(|(key, value)| (key, metric(value))).collect();
    Ok(Some(DenialMetadata::sanitize(metrics)))
}

/// A plugin's entry on its server.
#[derive(Debug, PartialEq)]
pub(crate) struct Reported {
    pub(crate) entry: Object,
    /// False for a server that says "not found" beside a filled entry: the reference server
    /// does where it cannot write one of its values.
    pub(crate) complete: bool,
}

/// Reads the reply to a `GetPluginConfigRequest`; `None` is "not found".
pub(crate) fn config_reply(message: &[u8]) -> Result<Option<Reported>, DecodeError> {
    read_any_layout::<proto::GetPluginConfigResponse, _>(message, |message, budget| {
        let (mut found, mut config) = (false, None);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => found = field.varint()? != 0,
                2 => set_once(&mut config, field)?,
                _ => {}
            }
        }
        let entry = read_object(config, budget)?;
        let is_there = found || !entry.is_empty();
        Ok(is_there.then_some(Reported { entry, complete: found }))
    })
}

/// Reads the reply to a `GetPluginConfigsRequest`.
pub(crate) fn configs_reply(message: &[u8]) -> Result<Vec<Object>, DecodeError> {
    read_any_layout::<proto::GetPluginConfigsResponse, _>(message, |message, budget| {
        let mut configs = Vec::new();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            if number == 1 {
                budget.charge_item::<Object>(configs.len() + 1)?;
                configs.push(read_struct(field.bytes()?, budget)?);
            }
        }
        Ok(configs)
    })
}

#[cfg(test)]
mod tests;
