//! Requests, as the server tells them apart.
//!
//! A request carries no tag. The kinds are tried in the order of the reference
//! server, so a hook call that does not parse is taken for a question about the
//! configuration of a plugin named like the hook, and answered "not found".

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::model::{GlobalContext, Object, PluginContext, User};
use crate::wire::context::{ContextParts, UserPart};
use crate::wire::structpb::de::read_struct;
use crate::wire::structpb::reader::{Field, Reader, utf8};
use crate::wire::structpb::validate::Validation;
use crate::wire::{Budget, DecodeError, proto, read_any_layout};

/// Up to this size, what is no other request asks for all configurations.
const NEARLY_EMPTY: usize = 2;

/// A request, by kind.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    Hook(HookRequest<'a>),
    /// The configuration of the plugin of this name, in whatever case.
    Config(&'a str),
    Configs,
    Unknown,
}

/// An InvokeHookRequest that parses; its contents are still encoded.
#[derive(Debug)]
pub(crate) struct HookRequest<'a> {
    pub(crate) hook_type: &'a str,
    pub(crate) plugin: &'a str,
    pub(crate) payload: Cow<'a, [u8]>,
    pub(crate) context: Cow<'a, [u8]>,
    /// `NaN` or `Infinity`, if a number is one of them.
    pub(crate) not_finite: Option<&'static str>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Self {
        let Ok(fields) = Fields::read(message) else { return Self::Unknown };
        let name = fields.first;
        if let Some(hook) = fields.into_hook() {
            return Self::Hook(hook);
        }
        match name {
            Some(name) if !name.is_empty() => Self::Config(name),
            _ if message.len() <= NEARLY_EMPTY => Self::Configs,
            _ => Self::Unknown,
        }
    }
}

/// The fields of whatever it is. A field of another wire type than its own is,
/// as any parser has it, an unknown one.
struct Fields<'a> {
    /// The first two are strings; `None` where one is not UTF-8.
    first: Option<&'a str>,
    second: Option<&'a str>,
    payload: Cow<'a, [u8]>,
    context: Cow<'a, [u8]>,
}

impl<'a> Fields<'a> {
    fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Self {
            first: Some(""),
            second: Some(""),
            payload: Cow::default(),
            context: Cow::default(),
        };
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match field {
                (1, Field::Bytes(text)) => fields.first = fields.first.and(utf8(text).ok()),
                (2, Field::Bytes(text)) => fields.second = fields.second.and(utf8(text).ok()),
                (3, Field::Bytes(part)) => merge(&mut fields.payload, part),
                (4, Field::Bytes(part)) => merge(&mut fields.context, part),
                _ => {}
            }
        }
        Ok(fields)
    }

    /// What cannot be another kind: both names are there.
    fn into_hook(self) -> Option<HookRequest<'a>> {
        let is_named = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        if is_named(self.first) && is_named(self.second) { self.into_any_hook() } else { None }
    }

    fn into_any_hook(self) -> Option<HookRequest<'a>> {
        let (hook_type, plugin) = self.first.zip(self.second)?;
        let mut validation = Validation::default();
        validation.structure(&self.payload, 1).ok()?;
        validate_context(&self.context, &mut validation).ok()?;
        Some(HookRequest {
            hook_type,
            plugin,
            payload: self.payload,
            context: self.context,
            not_finite: validation.not_finite,
        })
    }
}

/// A PluginContext, which is at level 1.
fn validate_context(message: &[u8], validation: &mut Validation) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(global)) => validate_global_context(global, validation)?,
            (2 | 3, Field::Bytes(object)) => validation.structure(object, 2)?,
            _ => {}
        }
    }
    Ok(())
}

/// A GlobalContext, which is at level 2.
fn validate_global_context(message: &[u8], validation: &mut Validation) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1..=4, Field::Bytes(text)) => drop(utf8(text)?),
            (5..=7, Field::Bytes(object)) => validation.structure(object, 3)?,
            _ => {}
        }
    }
    Ok(())
}

/// A message that comes twice is merged, and the merger of two messages is what
/// their concatenation parses to.
fn merge<'a>(whole: &mut Cow<'a, [u8]>, part: &'a [u8]) {
    if whole.is_empty() {
        *whole = Cow::Borrowed(part);
    } else {
        whole.to_mut().extend_from_slice(part);
    }
}

#[cfg(feature = "grpc")]
impl<'a> HookRequest<'a> {
    /// A message that is known to be of this kind; its names may be empty. `None` if it
    /// cannot be parsed.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        Fields::read(message).ok()?.into_any_hook()
    }
}

/// The name in a GetPluginConfigRequest. `None` if it cannot be parsed.
#[cfg(feature = "grpc")]
pub(crate) fn config_name(message: &[u8]) -> Option<&str> {
    Fields::read(message).ok()?.first
}

impl HookRequest<'_> {
    pub(crate) fn read_payload<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        read_any_layout::<prost_types::Struct, _>(&self.payload, |message, budget| {
            read_struct(message, budget)
        })
    }

    pub(crate) fn read_context(&self) -> Result<PluginContext, DecodeError> {
        read_any_layout::<proto::PluginContext, _>(&self.context, |message, budget| {
            read_context(&ContextParts::read(message)?, budget)
        })
    }

    /// Whether there is anything in the context that a reply has to bring back.
    pub(crate) fn carries_state(&self) -> bool {
        read_any_layout::<proto::PluginContext, _>(&self.context, |message, _| {
            let parts = ContextParts::read(message)?;
            let objects = [parts.state, parts.metadata, parts.global_state].into_iter();
            Ok(objects.flatten().any(has_entries))
        })
        .unwrap_or_default()
    }
}

/// Whether a Struct has any; unknown fields do not count.
fn has_entries(object: &[u8]) -> bool {
    let mut reader = Reader::new(object);
    std::iter::from_fn(|| reader.next().ok().flatten()).any(|(number, _)| number == 1)
}

fn read_context(parts: &ContextParts<'_>, budget: &Budget) -> Result<PluginContext, DecodeError> {
    let object = |message: Option<&[u8]>| -> Result<Object, DecodeError> {
        message.map_or_else(|| Ok(Object::new()), |message| read_struct(message, budget))
    };
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let user = match parts.user {
        None => None,
        Some(UserPart::Name(name)) => Some(User::Name(name.to_owned())),
        Some(UserPart::Details(details)) => Some(User::Details(read_struct(details, budget)?)),
    };
    let mut global = GlobalContext::new(parts.request_id);
    (global.server_id, global.tenant_id) = (text(parts.server_id), text(parts.tenant_id));
    global.user = user;
    global.metadata = object(parts.global_metadata)?;
    global.state = object(parts.global_state)?;
    Ok(PluginContext {
        global_context: global,
        state: object(parts.state)?,
        metadata: object(parts.metadata)?,
    })
}
