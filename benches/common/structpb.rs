//! The codec between serde and Struct, from its files: it needs nothing of the crate.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[path = "../../src/wire/structpb/mod.rs"]
// Its own tests run where it belongs.
#[allow(dead_code, unreachable_pub, unused_imports)]
mod codec;

use codec::budget::Budget;
use codec::de::read_struct;
use codec::ser::write_struct;
use codec::writer::Writer;

/// A Struct in a frame.
pub(crate) fn encode_struct<T: Serialize + ?Sized>(object: &T) -> Option<Vec<u8>> {
    let mut writer = Writer::with_capacity(256);
    write_struct(&mut writer, object).ok()?;
    writer.take_frame().ok()
}

/// Reads a Struct's message.
pub(crate) fn decode_struct<T: DeserializeOwned>(message: &[u8]) -> Option<T> {
    read_struct(message, &Budget::of(message.len())).ok()
}
