//! Stamps: what ties a reply to its call where the wire has no request ids.
//!
//! A server brings a call's context back whenever its metadata is not empty. So a
//! stamp is one entry of that metadata: written behind the caller's own entries,
//! held against the reply's, and kept apart when those are read.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::EncodeError;
use super::structpb::error::EncodeFailure;
use super::structpb::writer::Writer;
use crate::model::{Object, STAMP_KEY};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The stamp of one call: 128 bits as text, since metadata is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp([u8; 32]);

impl Stamp {
    pub(crate) fn new(number: u64, hash: u64) -> Self {
        let value = u128::from(number) << 64 | u128::from(hash);
        let mut text = [0; 32];
        for (byte, digits) in value.to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(text)
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == *text.as_bytes()
    }

    /// Writes the entry into the Struct that is open: `metadata`, written already.
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        metadata: &Object,
    ) -> Result<(), EncodeFailure> {
        // Written twice, the key would be the caller's on one side and ours on the other.
        if metadata.contains_key(STAMP_KEY) {
            return Err(EncodeError::StampKey.into());
        }
        let entry = writer.begin_entry(STAMP_KEY.as_bytes());
        writer.value_string(0x12, &self.0);
        writer.end_entry(entry)
    }
}

/// The stamps of one handle.
///
/// The counter makes them differ from each other; its keyed hash (SipHash, with
/// keys that the system has drawn) from those of all other handles and processes,
/// and from what could be worked out from earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    keys: RandomState,
    given: AtomicU64,
}

impl Stamps {
    /// One that no call has had.
    pub(crate) fn next(&self) -> Stamp {
        let number = self.given.fetch_add(1, Relaxed);
        Stamp::new(number, self.keys.hash_one(number))
    }
}

/// A reply's metadata, with the stamp kept apart.
#[derive(Default)]
pub(super) struct StampedObject<'a> {
    pub(super) object: Object,
    pub(super) stamp: Option<&'a str>,
}

impl<'de> Deserialize<'de> for StampedObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = StampedObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut stamped = StampedObject::default();
                while let Some(key) = map.next_key::<&str>()? {
                    if key == STAMP_KEY {
                        stamped.stamp = map.next_value()?;
                    } else {
                        stamped.object.insert(key.to_owned(), map.next_value()?);
                    }
                }
                Ok(stamped)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn text(stamp: Stamp) -> String {
        String::from_utf8(stamp.0.to_vec()).unwrap()
    }

    #[test]
    fn a_stamp_is_32_hexadecimal_digits() {
        assert_eq!(text(Stamp::new(1, 0xa5)), "000000000000000100000000000000a5");
        assert_eq!(text(Stamp::new(u64::MAX, 0)), "ffffffffffffffff0000000000000000");
    }

    #[test]
    fn no_two_calls_of_any_handles_have_the_same_stamp() {
        let handles = [Stamps::default(), Stamps::default()];
        let stamps: HashSet<_> =
            handles.iter().flat_map(|stamps| (0..1000).map(|_| text(stamps.next()))).collect();
        assert_eq!(stamps.len(), 2000);
    }

    #[test]
    fn a_stamp_is_itself_and_nothing_else() {
        let stamps = Stamps::default();
        let (own, other) = (stamps.next(), stamps.next());
        assert!(own.is(&text(own)));
        assert!(!own.is(&text(other)) && !own.is("") && !own.is(&text(own)[..31]));
    }
}
