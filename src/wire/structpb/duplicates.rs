//! Finds repeated keys of a map while it is read.
//!
//! In protobuf the last of several entries with one key wins; serde's derived
//! types refuse a second. No encoder writes a key twice, so the check must cost
//! next to nothing: a filter of 128 bits, and a real comparison only behind it.

use std::collections::HashSet;

use super::error::DecodeError;
use super::reader::{Reader, read_entry};

/// Up to so many entries a suspicion is settled by comparing keys pairwise.
const FEW: usize = 32;

/// The keys of one Struct, as they come.
#[derive(Default)]
pub(super) struct UniqueKeys {
    seen: u128,
    /// All of them were compared, and differ.
    settled: bool,
}

impl UniqueKeys {
    /// Takes in the next key of `message`.
    ///
    /// [`DecodeError::Unusual`] if any comes twice or a field is no map entry.
    #[inline]
    pub(super) fn add(&mut self, key: &[u8], message: &[u8]) -> Result<(), DecodeError> {
        let bit = 1 << fingerprint(key);
        if self.seen & bit != 0 && !self.settled {
            check_unique_keys(message)?;
            self.settled = true;
        }
        self.seen |= bit;
        Ok(())
    }
}

/// A number below 128 from a key's length and ends.
#[inline]
fn fingerprint(key: &[u8]) -> u32 {
    let ends = match key {
        [] => 0,
        [only] => u32::from(*only) * 5,
        [first, .., last] => u32::from(*first) * 5 + u32::from(*last) * 3,
    };
    (ends + key.len() as u32 * 17) % 128
}

/// Compares all keys of a Struct.
///
/// [`DecodeError::Unusual`] if any comes twice or a field is no map entry.
#[cold]
pub(super) fn check_unique_keys(message: &[u8]) -> Result<(), DecodeError> {
    let mut few = [&[][..]; FEW];
    let mut count = 0;
    let mut many = HashSet::new();
    let mut reader = Reader::new(message);
    while !reader.is_empty() {
        if !reader.take_tag(0x0a) {
            return Err(DecodeError::Unusual);
        }
        let (key, _) = read_entry(reader.length_delimited()?)?;
        let repeated = if count < FEW {
            let repeated = few[..count].contains(&key);
            few[count] = key;
            repeated
        } else {
            if many.is_empty() {
                many.extend(few);
            }
            !many.insert(key)
        };
        if repeated {
            return Err(DecodeError::Unusual);
        }
        count += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(keys: impl IntoIterator<Item = String>) -> Vec<u8> {
        let mut message = Vec::new();
        for key in keys {
            let length = key.len() as u8;
            message.extend([0x0a, length + 2, 0x0a, length]);
            message.extend(key.bytes());
        }
        message
    }

    /// As a reader does.
    fn check(keys: impl IntoIterator<Item = String>) -> Result<(), DecodeError> {
        let keys: Vec<_> = keys.into_iter().collect();
        let message = message(keys.iter().cloned());
        let mut unique = UniqueKeys::default();
        keys.iter().try_for_each(|key| unique.add(key.as_bytes(), &message))
    }

    #[test]
    fn a_repeated_key_is_found_among_few_and_among_many() {
        for count in [2, FEW - 1, FEW, FEW + 1, 500] {
            let unique = || (0..count).map(|i| format!("key{i}"));
            assert_eq!(check(unique()), Ok(()));
            let repeated = unique().chain([String::from("key1")]);
            assert_eq!(check(repeated), Err(DecodeError::Unusual), "{count}");
        }
    }

    #[test]
    fn keys_that_only_look_alike_to_the_filter_are_unique() {
        let keys = ["abc", "axc", "ayc", "azc"].map(String::from);
        assert_eq!(check(keys), Ok(()));
    }
}
