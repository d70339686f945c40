//! What is inside an object or a list, read one by one and charged.

use serde::de::{self, DeserializeSeed};

use super::budget::Budget;
use super::de::Decoder;
use super::error::DecodeError;
use super::key::KeyDecoder;
use super::reader::{Reader, read_entry, utf8};

/// What bounds the reading of whatever is nested in a value.
#[derive(Clone, Copy)]
pub(super) struct Scope<'b> {
    pub(super) budget: &'b Budget,
    pub(super) depth: u8,
}

impl Scope<'_> {
    #[inline]
    pub(super) fn deeper(&self) -> Result<Self, DecodeError> {
        let depth = self.depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        Ok(Self { depth, ..*self })
    }
}

/// The entries of an object.
pub(super) struct EntryAccess<'de, 'b> {
    reader: Reader<'de>,
    /// The value of the entry whose key was read last.
    value: &'de [u8],
    scope: Scope<'b>,
    /// The keys that are known, for a type with fields of its own. Another type keeps its
    /// entries as such, and they are charged.
    fields: Option<&'static [&'static str]>,
    /// How many entries were read.
    number: usize,
    /// Of the key that was read last: the length of its text, and the size of its type.
    key: (usize, usize),
}

impl<'de, 'b> EntryAccess<'de, 'b> {
    #[inline]
    pub(super) fn new(
        message: &'de [u8],
        scope: Scope<'b>,
        fields: Option<&'static [&'static str]>,
    ) -> Self {
        let reader = Reader::new(message);
        Self { reader, value: &[], scope, fields, number: 0, key: (0, 0) }
    }

    /// The text of a key. One that is equal to a known one is UTF-8: to compare it costs less
    /// than to look at each byte.
    #[inline]
    fn text(&self, key: &'de [u8]) -> Result<&'de str, DecodeError> {
        let known = self.fields.unwrap_or_default();
        match known.iter().find(|field| field.as_bytes() == key) {
            Some(field) => Ok(field),
            None => utf8(key),
        }
    }
}

impl<'de> de::MapAccess<'de> for EntryAccess<'de, '_> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        if !self.reader.take_tag(0x0a) {
            return Err(DecodeError::Unusual);
        }
        let (key, value) = read_entry(self.reader.length_delimited()?)?;
        self.value = value;
        self.number += 1;
        self.key = (key.len(), size_of::<K::Value>());
        seed.deserialize(KeyDecoder(self.text(key)?)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        if self.fields.is_none() {
            let (length, size) = self.key;
            let size = size + size_of::<V::Value>();
            self.scope.budget.charge_entry(self.number, size, length)?;
        }
        seed.deserialize(Decoder { message: self.value, scope: &self.scope })
    }
}

/// The items of a list.
pub(super) struct ItemAccess<'de, 'b> {
    reader: Reader<'de>,
    scope: Scope<'b>,
    /// How many items were read.
    number: usize,
}

impl<'de, 'b> ItemAccess<'de, 'b> {
    pub(super) fn new(message: &'de [u8], scope: Scope<'b>) -> Self {
        Self { reader: Reader::new(message), scope, number: 0 }
    }

    /// A tuple takes as many items as it has, and there must be no more.
    #[inline]
    pub(super) fn end(self) -> Result<(), DecodeError> {
        match self.reader.is_empty() {
            true => Ok(()),
            false => Err(DecodeError::Shape(format!("found more than {} items", self.number))),
        }
    }
}

impl<'de> de::SeqAccess<'de> for ItemAccess<'de, '_> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        if !self.reader.take_tag(0x0a) {
            return Err(DecodeError::Unusual);
        }
        let message = self.reader.length_delimited()?;
        self.number += 1;
        self.scope.budget.charge_item::<T::Value>(self.number)?;
        seed.deserialize(Decoder { message, scope: &self.scope }).map(Some)
    }
}
