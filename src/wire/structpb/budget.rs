//! What a message may cost in memory, charged while it is read.
//!
//! A Struct becomes maps and lists, and six bytes of a message can ask for a tree node
//! of six hundred. So whatever is kept is charged before it is read: entries and items
//! by the size of the caller's types, strings by their length. What a type skips costs
//! nothing. Rather more is charged than less, and nothing is given back before the end,
//! so a budget bounds the memory at any moment of the reading. It notes, too, whether there
//! was a number that JSON does not have.

use std::cell::Cell;

use super::error::DecodeError;

/// A message of any size may cost this much.
pub(crate) const LIMIT: usize = 256 * 1024 * 1024;

/// A large message may cost more, in proportion to its bytes.
const LIMIT_FACTOR: usize = 16;

/// What an allocator adds to a string, or to anything small.
const ALLOCATION: usize = 32;

/// The entries of a B-tree's node, used or not.
const NODE: usize = 11;

/// What is left for the contents of one message.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
    limit: usize,
    not_finite: Cell<bool>,
}

impl Budget {
    /// For a message of `size` bytes.
    pub(crate) fn of(size: usize) -> Self {
        Self::limited(LIMIT.max(size.saturating_mul(LIMIT_FACTOR)))
    }

    fn limited(limit: usize) -> Self {
        Self { left: Cell::new(limit), limit, not_finite: Cell::new(false) }
    }

    #[cold]
    pub(super) fn note_not_finite(&self) {
        self.not_finite.set(true);
    }

    /// Whether NaN or an infinity was handed to a type that takes any number: JSON has
    /// neither, and makes it null.
    pub(crate) fn not_finite(&self) -> bool {
        self.not_finite.get()
    }

    /// # Errors
    /// [`DecodeError::TooHeavy`] once the budget is spent, and from then on for
    /// whatever is charged.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), DecodeError> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.spend_all()),
        }
    }

    #[cold]
    fn spend_all(&self) -> DecodeError {
        self.left.set(0);
        DecodeError::TooHeavy { limit: self.limit }
    }

    /// A string of this length.
    #[inline]
    pub(super) fn charge_text(&self, length: usize) -> Result<(), DecodeError> {
        self.charge(text(length))
    }

    /// The item of this number, from 1, in a list of `T`, which doubles its room when
    /// it is full and for a moment has both. The first makes room for four.
    #[inline]
    pub(crate) fn charge_item<T>(&self, number: usize) -> Result<(), DecodeError> {
        let first = if number == 1 { size_of::<T>() + ALLOCATION } else { 0 };
        self.charge(3 * size_of::<T>() + first)
    }

    /// The entry of this number, from 1, in a map whose entries are of this size, with
    /// its key. The twelfth splits the first node; entries that come in order leave
    /// their nodes half full.
    #[inline]
    pub(super) fn charge_entry(
        &self,
        number: usize,
        size: usize,
        key: usize,
    ) -> Result<(), DecodeError> {
        let nodes = match number {
            1 => NODE * size + ALLOCATION,
            2..=NODE => 0,
            12 => 2 * NODE * size,
            _ => NODE * size / 4,
        };
        self.charge(nodes + text(key))
    }

    /// Runs `read`. If it fails, what it kept is gone, and not charged.
    pub(crate) fn attempt<T, E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let before = self.left.get();
        let outcome = read();
        if outcome.is_err() {
            self.left.set(before);
        }
        outcome
    }

    /// Never spent; for what is measured.
    #[cfg(test)]
    pub(crate) fn unlimited() -> Self {
        Self::limited(usize::MAX)
    }

    #[cfg(test)]
    pub(crate) fn spent(&self) -> usize {
        self.limit - self.left.get()
    }
}

#[inline]
fn text(length: usize) -> usize {
    if length == 0 { 0 } else { length + ALLOCATION }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::super::{de::read_struct, ser::write_struct, writer::Writer};
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// No message that is read as JSON costs more times its bytes: six of them can be an
    /// object in a list.
    const WORST: usize = 128;

    fn field(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![tag];
        prost::encoding::encode_varint(content.len() as u64, &mut field);
        field.extend_from_slice(content);
        field
    }

    /// A Struct with this list under an empty key.
    fn with_list(items: &[u8]) -> Vec<u8> {
        field(0x0a, &field(0x12, &field(0x32, items)))
    }

    fn charged<T: DeserializeOwned>(message: &[u8]) -> Result<usize, DecodeError> {
        let budget = Budget::unlimited();
        read_struct::<T>(message, &budget)?;
        Ok(budget.spent())
    }

    fn is_read(message: &[u8]) -> Result<(), DecodeError> {
        read_struct::<Value>(message, &Budget::of(message.len())).map(drop)
    }

    /// In a list: an object with an entry without key and value.
    const OBJECT_ITEM: [u8; 6] = [0x0a, 4, 0x2a, 2, 0x0a, 0];

    #[test]
    fn a_long_string_costs_little_more_than_its_bytes() {
        let mut writer = Writer::with_capacity(0);
        write_struct(&mut writer, &json!({"text": "x".repeat(1_000_000)})).unwrap();
        let charged = charged::<Value>(&writer.into_message()).unwrap();
        assert!((1_000_000..1_001_000).contains(&charged), "{charged}");
    }

    #[test]
    fn no_shape_costs_more_times_its_bytes_than_the_worst_factor() {
        for item in
            [&OBJECT_ITEM[..], &[0x0a, 0], &[0x0a, 2, 0x32, 0], &[0x0a, 4, 0x32, 2, 0x0a, 0]]
        {
            let message = with_list(&item.repeat(1000));
            let charged = charged::<Value>(&message).unwrap();
            assert!(charged <= WORST * message.len(), "{charged} for {} bytes", message.len());
        }
    }

    #[test]
    fn small_messages_pass_whatever_they_hold_and_large_ones_by_what_they_cost() {
        let objects = |bytes: usize| with_list(&OBJECT_ITEM.repeat(bytes / 6));
        assert_eq!(is_read(&objects(LIMIT / WORST - 32)), Ok(()));
        let refused = is_read(&objects(3 * LIMIT / WORST));
        assert_eq!(refused, Err(DecodeError::TooHeavy { limit: LIMIT }));
    }

    /// Possible only where `max_frame_len` is raised.
    #[test]
    fn beyond_the_protocols_size_a_message_may_cost_sixteen_times_its_bytes() {
        // Nulls cost more than that, and a string less.
        let message = |nulls: usize| {
            let nulls = [0x0a, 0].repeat(nulls);
            let text = field(0x1a, &vec![b'x'; 24 * MIB - nulls.len()]);
            with_list(&[nulls, field(0x0a, &text)].concat())
        };
        let (light, heavy) = (message(3 * MIB), message(4 * MIB));
        for message in [&light, &heavy] {
            let charged = charged::<Value>(message).unwrap();
            assert!(charged > LIMIT, "too light to show anything: {charged}");
        }
        assert_eq!(is_read(&light), Ok(()));
        let limit = 16 * heavy.len();
        assert_eq!(is_read(&heavy), Err(DecodeError::TooHeavy { limit }));
    }

    #[test]
    fn what_a_type_skips_costs_nothing_and_what_it_keeps_by_its_own_size() {
        #[derive(serde::Deserialize)]
        struct Skips {}
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Large {
            _numbers: [u64; 32],
        }
        #[derive(serde::Deserialize)]
        struct Keeps {
            #[serde(rename = "")]
            _items: Vec<Large>,
        }
        let message = with_list(&[0x0a, 2, 0x2a, 0].repeat(1000));
        assert_eq!(charged::<Skips>(&message), Ok(0));
        let charged = charged::<Keeps>(&message).unwrap();
        assert!(charged >= 1000 * size_of::<Large>(), "{charged}");
    }

    #[test]
    fn a_budget_that_is_spent_stays_so_and_an_attempt_that_fails_is_not_charged() {
        let budget = Budget::limited(100);
        let fails = budget.attempt(|| budget.charge(90).and(Err::<(), _>(DecodeError::Unusual)));
        assert_eq!(fails, Err(DecodeError::Unusual));
        assert_eq!(budget.charge(90), Ok(()));
        let spent = Err(DecodeError::TooHeavy { limit: 100 });
        assert_eq!((budget.charge(11), budget.charge(1)), (spent.clone(), spent));
    }

    #[test]
    fn what_nests_without_end_is_refused_and_not_followed() {
        let nested =
            (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| field(0x0a, &field(0x32, &inner)));
        assert_eq!(is_read(&with_list(&nested)), Err(DecodeError::TooDeep));
    }
}
