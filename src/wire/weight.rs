//! What a message costs in memory once it is read, found out before it is.
//!
//! A Struct becomes a tree of `serde_json::Value`, and six bytes of a message can
//! ask for a tree node of six hundred. So a large message is walked over first,
//! from length to length without looking at its contents, and refused if its tree
//! would be too large. A small one cannot cost much and is not weighed at all.
//!
//! The weights are those of the whole tree. A type that skips fields, or borrows
//! them, takes less.

use serde_json::Value;

use super::DecodeError;
use super::structpb::reader::{Field, Reader};

/// A message of any size may cost this much.
pub(crate) const LIMIT: usize = 256 * 1024 * 1024;

/// A large message may cost more, in proportion to its bytes.
const LIMIT_FACTOR: usize = 16;

/// No message costs more times its bytes: six of them can be an object in a list.
pub(crate) const WORST: usize = 128;

/// Objects and lists in each other, as deep as anything is read.
const MAX_DEPTH: u8 = 64;

/// What an allocator adds to a string, or to anything small.
const ALLOCATION: usize = 32;

/// A list doubles its room when it is full, and for a moment has both.
const ITEM: usize = 3 * size_of::<Value>();

/// A node of the B-tree that is an object: eleven entries, used or not.
const NODE: usize = 11 * size_of::<(String, Value)>() + ALLOCATION;

/// A metric, in the two maps on its way.
const METRIC: usize = 256;

/// The kinds of messages that hold, somewhere, a Struct.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    HookReply,
    ConfigReply,
    ConfigsReply,
    Context,
    GlobalContext,
    Fault,
    ResultBase,
    Metrics,
    Object,
    Entry,
    Value,
    List,
}

impl Part {
    /// What is in the field of this number, if it is weighed part by part.
    fn field(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::HookReply, 2) | (Self::ConfigReply, 2) | (Self::ConfigsReply, 1) => Self::Object,
            (Self::HookReply, 3) => Self::Context,
            (Self::HookReply, 4) => Self::Fault,
            (Self::HookReply, 5) => Self::ResultBase,
            (Self::Context, 1) => Self::GlobalContext,
            (Self::Context, 2 | 3) | (Self::GlobalContext, 5..=7) | (Self::Fault, 4) => {
                Self::Object
            }
            (Self::ResultBase, 4) => Self::Metrics,
            (Self::Object, 1) => Self::Entry,
            (Self::Entry, 2) | (Self::List, 1) => Self::Value,
            (Self::Value, 5) => Self::Object,
            (Self::Value, 6) => Self::List,
            _ => return None,
        })
    }
}

/// # Errors
/// [`DecodeError::TooHeavy`] if `message` would cost more than its
/// [`LIMIT`] once it is read; or what keeps it from being read at all.
pub(crate) fn check(message: &[u8], part: Part) -> Result<(), DecodeError> {
    let limit = LIMIT.max(message.len().saturating_mul(LIMIT_FACTOR));
    if message.len().saturating_mul(WORST) <= limit {
        return Ok(());
    }
    Scale { weight: 0, limit }.put(message, part, MAX_DEPTH)
}

/// About how many bytes of memory the contents of `message` take: rather more
/// than less.
#[cfg(any(test, feature = "internals"))]
pub(crate) fn weigh(message: &[u8], part: Part) -> Result<usize, DecodeError> {
    let mut scale = Scale { weight: 0, limit: usize::MAX };
    scale.put(message, part, MAX_DEPTH)?;
    Ok(scale.weight)
}

struct Scale {
    weight: usize,
    limit: usize,
}

impl Scale {
    /// Adds the weight of what is in `message`, and stops at the limit.
    fn put(&mut self, message: &[u8], part: Part, depth: u8) -> Result<(), DecodeError> {
        let mut entries = 0;
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            let Field::Bytes(content) = field else { continue };
            match part.field(number) {
                Some(inner @ (Part::Object | Part::List)) if part == Part::Value => {
                    self.put(content, inner, depth.checked_sub(1).ok_or(DecodeError::TooDeep)?)?;
                }
                Some(inner) => self.put(content, inner, depth)?,
                None if content.is_empty() => {}
                None => self.add(content.len() + ALLOCATION)?,
            }
            match part {
                Part::Object => entries += 1,
                Part::List => self.add(ITEM)?,
                Part::Metrics => self.add(METRIC)?,
                _ => {}
            }
        }
        self.add(object(entries))
    }

    fn add(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.weight = self.weight.saturating_add(bytes);
        if self.weight > self.limit {
            return Err(DecodeError::TooHeavy { limit: self.limit });
        }
        Ok(())
    }
}

/// Entries that come in order leave their nodes half full.
fn object(entries: usize) -> usize {
    match entries {
        0 => 0,
        1..=11 => NODE,
        _ => (entries / 5).saturating_mul(NODE + NODE / 4),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(value: &serde_json::Value) -> Vec<u8> {
        let mut writer = crate::wire::structpb::writer::Writer::with_capacity(0);
        crate::wire::structpb::ser::write_struct(&mut writer, value).unwrap();
        writer.into_message()
    }

    #[test]
    fn a_long_string_weighs_little_more_than_its_bytes() {
        let message = encoded(&json!({"text": "x".repeat(1_000_000)}));
        let weight = weigh(&message, Part::Object).unwrap();
        assert!((1_000_000..1_001_000).contains(&weight), "{weight}");
    }

    #[test]
    fn everything_that_becomes_a_tree_is_weighed_wherever_it_stands() {
        let object = encoded(&json!({"a": [{"b": 1}, {"c": [null, null]}]}));
        let weight = weigh(&object, Part::Object).unwrap();
        let within = |tags: &[u8]| {
            tags.iter().rev().fold(object.clone(), |inner, &tag| {
                [&[tag, u8::try_from(inner.len()).unwrap()][..], &inner].concat()
            })
        };
        for tags in [&[0x12][..], &[0x1a, 0x12], &[0x1a, 0x1a], &[0x22, 0x22]] {
            assert_eq!(weigh(&within(tags), Part::HookReply), Ok(weight), "{tags:02x?}");
        }
        for tag in [0x2a, 0x32, 0x3a] {
            assert_eq!(
                weigh(&within(&[0x1a, 0x0a, tag]), Part::HookReply),
                Ok(weight),
                "{tag:02x}"
            );
        }
        assert_eq!(weigh(&within(&[0x12]), Part::ConfigReply), Ok(weight));
        assert_eq!(weigh(&within(&[0x0a]), Part::ConfigsReply), Ok(weight));
    }

    #[test]
    fn no_shape_costs_more_times_its_bytes_than_the_worst_factor() {
        // In a list: an object with an entry without key and value. Around it: the
        // list itself, in an entry.
        let items = [0x0a, 4, 0x2a, 2, 0x0a, 0].repeat(1000);
        let weight = weigh(&items, Part::List).unwrap();
        assert!(weight <= WORST * items.len(), "{weight} for {} bytes", items.len());
    }

    #[test]
    fn small_messages_pass_unweighed_and_large_ones_by_their_weight() {
        let objects = |bytes: usize| {
            let items = [0x0a, 4, 0x2a, 2, 0x0a, 0].repeat(bytes / 6);
            let mut value = vec![0x32];
            crate::wire::structpb::varint::write_varint(&mut value, items.len() as u64);
            value.extend(items);
            value
        };
        assert_eq!(check(&objects(LIMIT / WORST - 16), Part::Value), Ok(()));
        assert_eq!(
            check(&objects(3 * LIMIT / WORST), Part::Value),
            Err(DecodeError::TooHeavy { limit: LIMIT })
        );
    }

    /// Possible only where `max_frame_len` is raised.
    #[test]
    fn beyond_the_protocols_size_a_message_may_cost_sixteen_times_its_bytes() {
        const MIB: usize = 1024 * 1024;
        // Nulls cost more than that, and a string less.
        let message = |nulls: usize| {
            let mut message = [0x0a, 0].repeat(nulls);
            let text = vec![b'x'; 24 * MIB - message.len()];
            for (tag, length) in [(0x0a, text.len() + 5), (0x1a, text.len())] {
                message.push(tag);
                crate::wire::structpb::varint::write_varint(&mut message, length as u64);
            }
            message.extend(text);
            message
        };
        let (light, heavy) = (message(3 * MIB), message(4 * MIB));
        for message in [&light, &heavy] {
            assert!(weigh(message, Part::List).unwrap() > 256 * MIB, "too light to show anything");
        }
        assert_eq!(check(&light, Part::List), Ok(()));
        assert_eq!(
            check(&heavy, Part::List),
            Err(DecodeError::TooHeavy { limit: 16 * heavy.len() })
        );
    }

    #[test]
    fn what_nests_without_end_is_refused_and_not_followed() {
        let nested = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut list = vec![0x32];
            crate::wire::structpb::varint::write_varint(&mut list, inner.len() as u64);
            list.extend(inner);
            let mut item = vec![0x0a];
            crate::wire::structpb::varint::write_varint(&mut item, list.len() as u64);
            item.extend(list);
            item
        });
        assert_eq!(weigh(&nested, Part::List), Err(DecodeError::TooDeep));
    }
}
