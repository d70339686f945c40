//! What travels on the socket.
//!
//! Every message is one frame, `[u32 big-endian length][protobuf]`. Frames have
//! no tag and no id: the server tells requests apart by trying them in order,
//! the client knows what a reply answers from the order of its own requests.
//! `proto/plugin_service.proto` is the schema, `proto.rs` what prost makes of it, and prost
//! the judge. Payloads, results and contexts are `google.protobuf.Struct`, JSON in protobuf.
//! The server's side of the messages is in `crate::server`.
//!
//! | file | role |
//! |---|---|
//! | `codec` | frames |
//! | `request`, `reply`, `context` | the messages of a call |
//! | `deep_nesting` | what becomes of values that nest too deep for the server |
//! | `lenient_denial` | what becomes of a result that cannot be read whole |
//! | `stamp` | what ties a reply to its call |
//! | `structpb/` | serde to and from Struct |

pub(crate) mod codec;
pub(crate) mod context;
mod deep_nesting;
#[cfg(test)]
mod hostile_tests;
mod lenient_denial;
pub(crate) mod reply;
pub(crate) mod reply_fault;
pub(crate) mod request;
pub(crate) mod stamp;
pub(crate) mod structpb;
#[cfg(test)]
mod tests;

pub use deep_nesting::DeepNesting;
pub use structpb::big_integers::BigIntegers;
pub(crate) use structpb::budget::Budget;
pub(crate) use structpb::error::{DecodeError, EncodeError, TypeMessage};
pub(crate) use structpb::writer::FRAME_HEADER;

/// The generated messages.
pub(crate) mod proto {
    // Generated; and the schema is whole, though the socket does not speak all of it.
    #![allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::pedantic)]
    #[cfg(feature = "compile-schema")]
    include!(concat!(env!("OUT_DIR"), "/cpex.rs"));
    #[cfg(not(feature = "compile-schema"))]
    include!("proto.rs");
}

/// The largest message that is laid out anew. No encoder writes one that needs it, and
/// it costs memory and, where it nests, time out of proportion.
pub(crate) const MAX_UNUSUAL: usize = 1024 * 1024;

/// Runs `read` on `message` and, where that fails, on the layout that prost gives it:
/// `read` need not merge what is repeated, nor order what is not.
pub(crate) fn read_any_layout<M: prost::Message + Default, T>(
    message: &[u8],
    read: impl Fn(&[u8], &Budget) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    read(message, &Budget::of(message.len())).or_else(|error| match laid_out_anew::<M>(message) {
        Some(anew) => read(&anew, &Budget::of(anew.len())),
        None => Err(error),
    })
}

/// `message` as an encoder writes it: prost merges and orders, as protobuf demands.
/// `None` where prost refuses it, or it is too large.
#[cold]
fn laid_out_anew<M: prost::Message + Default>(message: &[u8]) -> Option<Vec<u8>> {
    let parsed = (message.len() <= MAX_UNUSUAL).then(|| M::decode(message))?;
    parsed.ok().map(|parsed| parsed.encode_to_vec())
}
