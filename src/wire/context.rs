//! The context of a call, to and from the wire.
//!
//! Unset and empty are the same on the wire, so empty strings and objects are
//! left out. In a reply, only the request's id and what plugins may change
//! (state, metadata, global state) is of interest.

use super::DecodeError;
use super::deep_nesting::flatten;
use super::stamp::Stamp;
use super::structpb::error::EncodeFailure;
use super::structpb::reader::{Field, Reader};
use super::structpb::ser::write_struct;
use super::structpb::writer::Writer;
use crate::model::{Object, PluginContext, User};

/// Writes `context` as a PluginContext under `tag`, with the stamp of the call if it has one.
pub(crate) fn write_context(
    writer: &mut Writer,
    tag: u8,
    context: &PluginContext,
    stamp: Option<&Stamp>,
) -> Result<(), EncodeFailure> {
    let global = &context.global_context;
    let object = |writer: &mut Writer, tag, object: &Object, name: &str| {
        if object.is_empty() { Ok(()) } else { write_part(writer, tag, object, name) }
    };
    writer.begin(tag)?;
    writer.begin(0x0a)?;
    write_text(writer, 0x0a, &global.request_id);
    write_text(writer, 0x12, global.server_id.as_deref().unwrap_or_default());
    write_text(writer, 0x1a, global.tenant_id.as_deref().unwrap_or_default());
    match &global.user {
        None => {}
        // Members of a oneof are written even when empty: they show which is set.
        Some(User::Name(name)) => writer.string(0x22, name.as_bytes()),
        Some(User::Details(details)) => write_part(writer, 0x2a, details, "global_context.user")?,
    }
    object(writer, 0x32, &global.metadata, "global_context.metadata")?;
    object(writer, 0x3a, &global.state, "global_context.state")?;
    writer.end(1);
    object(writer, 0x12, &context.state, "state")?;
    match stamp {
        None => object(writer, 0x1a, &context.metadata, "metadata")?,
        Some(stamp) => {
            writer.begin(0x1a)?;
            write_struct(writer, &context.metadata).map_err(|why| within(why, "metadata"))?;
            stamp.write(writer, &context.metadata)?;
            writer.end(1);
        }
    }
    writer.end(1);
    Ok(())
}

/// A Struct of the context; an error tells its name.
fn write_part(
    writer: &mut Writer,
    tag: u8,
    object: &Object,
    name: &str,
) -> Result<(), EncodeFailure> {
    write_object(writer, tag, object).map_err(|why| within(why, name))
}

#[cold]
fn within(why: EncodeFailure, name: &str) -> EncodeFailure {
    why.within(format!("context.{name}"))
}

/// Puts text in place of what nests too deep to be written by [`write_context`].
pub(super) fn flatten_context(context: &mut PluginContext) {
    let global = &mut context.global_context;
    if let Some(User::Details(details)) = &mut global.user {
        flatten(details, 3);
    }
    flatten(&mut global.metadata, 3);
    flatten(&mut global.state, 3);
    flatten(&mut context.state, 2);
    flatten(&mut context.metadata, 2);
}

pub(crate) fn write_text(writer: &mut Writer, tag: u8, text: &str) {
    if !text.is_empty() {
        writer.string(tag, text.as_bytes());
    }
}

/// A Struct under `tag`.
pub(crate) fn write_object<T: serde::Serialize + ?Sized>(
    writer: &mut Writer,
    tag: u8,
    object: &T,
) -> Result<(), EncodeFailure> {
    writer.begin(tag)?;
    write_struct(writer, object)?;
    writer.end(1);
    Ok(())
}

/// The parts of a PluginContext, still encoded. The client looks at some of them
/// only, the server at all.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
#[derive(Debug, Default)]
pub(crate) struct ContextParts<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) server_id: &'a str,
    pub(crate) tenant_id: &'a str,
    pub(crate) user: Option<UserPart<'a>>,
    pub(crate) global_metadata: Option<&'a [u8]>,
    pub(crate) global_state: Option<&'a [u8]>,
    pub(crate) state: Option<&'a [u8]>,
    pub(crate) metadata: Option<&'a [u8]>,
}

#[cfg_attr(not(feature = "server"), allow(dead_code))]
#[derive(Debug)]
pub(crate) enum UserPart<'a> {
    Name(&'a str),
    Details(&'a [u8]),
}

impl<'a> ContextParts<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut parts = Self::default();
        let mut global = None;
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => set_once(&mut global, field)?,
                2 => set_once(&mut parts.state, field)?,
                3 => set_once(&mut parts.metadata, field)?,
                _ => {}
            }
        }
        let mut reader = Reader::new(global.unwrap_or_default());
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => parts.request_id = field.str()?,
                2 => parts.server_id = field.str()?,
                3 => parts.tenant_id = field.str()?,
                4 => parts.user = Some(UserPart::Name(field.str()?)),
                5 if parts.user.is_some() => return Err(DecodeError::Unusual),
                5 => parts.user = Some(UserPart::Details(field.bytes()?)),
                6 => set_once(&mut parts.global_metadata, field)?,
                7 => set_once(&mut parts.global_state, field)?,
                _ => {}
            }
        }
        Ok(parts)
    }
}

/// Takes a nested message that may come once; a second one would have to be
/// merged, which is left to prost.
pub(super) fn set_once<'a>(
    slot: &mut Option<&'a [u8]>,
    field: Field<'a>,
) -> Result<(), DecodeError> {
    match slot.replace(field.bytes()?) {
        None => Ok(()),
        Some(_) => Err(DecodeError::Unusual),
    }
}
