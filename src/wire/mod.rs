//! What travels on the socket.
//!
//! Every message is one frame, `[u32 big-endian length][protobuf]`. Frames have
//! no tag and no id: the server tells requests apart by trying them in order,
//! the client knows what a reply answers from the order of its own requests.
//! `proto/plugin_service.proto` is the schema, prost its judge.
//!
//! Payloads, results and contexts are `google.protobuf.Struct`, JSON in
//! protobuf. Between the caller's types and these bytes there is no tree:
//! `ser` writes serde straight onto the wire format, `de` reads it in place.
//! Both are bound by what the reference server does: numbers are doubles, and
//! more than 100 nested messages are not understood.
//!
//! | file | role |
//! |---|---|
//! | `varint`, `reader`, `writer` | protobuf's primitives |
//! | `ser`, `key`, `de`, `duplicates` | serde to and from Struct |
//! | `context`, `request`, `reply` | the messages of a call |
//! | `refusal` | a verdict that must not get lost over its wording |
//! | `stamp` | what ties a reply to its call |
//! | `weight` | what a message may cost the one who reads it |
//! | `frame` | the codec around them |
//! | `check`, `incoming`, `outgoing` | the same messages seen from the server |

#[cfg(feature = "server")]
mod check;
pub(crate) mod context;
mod de;
mod duplicates;
mod error;
pub(crate) mod frame;
#[cfg(test)]
mod hostile_tests;
#[cfg(feature = "server")]
pub(crate) mod incoming;
mod key;
#[cfg(feature = "server")]
pub(crate) mod outgoing;
mod reader;
mod refusal;
pub(crate) mod reply;
pub(crate) mod request;
mod ser;
pub(crate) mod stamp;
#[cfg(test)]
mod tests;
mod varint;
pub(crate) mod weight;
pub(crate) mod writer;

pub(crate) use writer::FRAME_HEADER;

pub(crate) use error::DecodeError;
pub(crate) use error::{EncodeError, TypeMessage};
use weight::Part;

/// The generated messages.
pub(crate) mod proto {
    // Generated; and the schema is whole, though the socket does not speak all of it.
    #![allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/cpex.rs"));
}

/// The largest message whose layout may be unusual. No encoder writes one, and to
/// lay it out anew costs memory and, where it nests, time out of proportion.
pub(crate) const MAX_UNUSUAL: usize = 1024 * 1024;

/// Runs `read` on `message`, unless its contents would cost too much; if its
/// layout is unusual, on the layout that prost gives it. prost merges what is
/// repeated and orders what is not, as protobuf demands, so `read` never has to.
pub(crate) fn read_any_layout<M, T, E>(
    message: &[u8],
    part: Part,
    read: impl Fn(&[u8]) -> Result<T, E>,
) -> Result<T, E>
where
    M: prost::Message + Default,
    E: From<DecodeError> + PartialEq,
{
    weight::check(message, part)?;
    match read(message) {
        Err(error) if error == DecodeError::Unusual.into() => read(&laid_out_anew::<M>(message)?),
        other => other,
    }
}

#[cold]
fn laid_out_anew<M: prost::Message + Default>(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if message.len() > MAX_UNUSUAL {
        return Err(DecodeError::Malformed("an unusual layout of this size"));
    }
    let parsed = M::decode(message).map_err(|_| DecodeError::Malformed("structure"))?;
    Ok(parsed.encode_to_vec())
}

/// A Struct by itself, for benchmarks and fuzz targets.
#[cfg(feature = "internals")]
pub(crate) fn encode_struct<T: serde::Serialize + ?Sized>(object: &T) -> Option<Vec<u8>> {
    let mut writer = writer::Writer::with_capacity(256);
    ser::write_struct(&mut writer, object).ok()?;
    writer.take_frame().ok()
}

/// Reads a Struct by itself, for benchmarks and fuzz targets.
#[cfg(feature = "internals")]
pub(crate) fn decode_struct<T: serde::de::DeserializeOwned>(message: &[u8]) -> Option<T> {
    let read = |message: &[u8]| de::read_struct(message);
    read_any_layout::<prost_types::Struct, _, DecodeError>(message, Part::Object, read).ok()
}
