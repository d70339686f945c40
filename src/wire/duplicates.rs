//! Finds repeated keys of a map before it is read.
//!
//! In protobuf the last of several entries with one key wins; serde's derived
//! types refuse a second. No encoder writes a key twice, so the check must cost
//! next to nothing: a filter of 128 bits, and a real comparison only behind it.

use std::collections::HashSet;

use super::DecodeError;
use super::reader::{Reader, read_entry};

/// Up to so many entries a suspicion is settled by comparing keys pairwise.
const FEW: usize = 32;

/// Walks over the entries of a Struct: how many there are.
///
/// [`DecodeError::Unusual`] if a key comes twice or a field is no map entry.
#[inline]
pub(super) fn check_unique_keys(message: &[u8]) -> Result<usize, DecodeError> {
    let mut seen = 0_u128;
    let mut suspicious = false;
    let mut count = 0;
    let mut reader = Reader::new(message);
    while !reader.is_empty() {
        if !reader.take_tag(0x0a) {
            return Err(DecodeError::Unusual);
        }
        let (key, _) = read_entry(reader.length_delimited()?)?;
        let bit = 1 << fingerprint(key);
        suspicious |= seen & bit != 0;
        seen |= bit;
        count += 1;
    }
    if suspicious && has_duplicate(message, count)? {
        return Err(DecodeError::Unusual);
    }
    Ok(count)
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

#[cold]
fn has_duplicate(message: &[u8], count: usize) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(message);
    let mut next = || -> Result<Option<&[u8]>, DecodeError> {
        if !reader.take_tag(0x0a) {
            return Ok(None);
        }
        Ok(Some(read_entry(reader.length_delimited()?)?.0))
    };
    if count > FEW {
        let mut keys = HashSet::with_capacity(count);
        while let Some(key) = next()? {
            if !keys.insert(key) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let mut keys = [&[][..]; FEW];
    let mut known = 0;
    while let Some(key) = next()? {
        if keys[..known].contains(&key) {
            return Ok(true);
        }
        keys[known] = key;
        known += 1;
    }
    Ok(false)
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

    #[test]
    fn a_repeated_key_is_found_among_few_and_among_many() {
        for count in [2, FEW - 1, FEW, FEW + 1, 500] {
            let unique = || (0..count).map(|i| format!("key{i}"));
            assert_eq!(check_unique_keys(&message(unique())), Ok(count));
            let repeated = message(unique().chain([String::from("key1")]));
            assert_eq!(check_unique_keys(&repeated), Err(DecodeError::Unusual), "{count}");
        }
    }

    #[test]
    fn keys_that_only_look_alike_to_the_filter_are_unique() {
        let keys = ["abc", "axc", "ayc", "azc"].map(String::from);
        assert_eq!(check_unique_keys(&message(keys)), Ok(4));
    }
}
