//! `google.protobuf.Struct` to serde, in place: no tree, strings borrowed.
//!
//! This reader follows the layout that every protobuf encoder writes (a map
//! entry is key then value, a Value has one field, keys are unique). Bytes that
//! are valid but laid out otherwise end as [`DecodeError::Unusual`]; the caller
//! then has prost, the judge of the format, lay them out anew. So the common
//! case is fast and the rest is right.

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::duplicates::{UniqueKeys, check_unique_keys};
use super::error::DecodeError;
use super::key::KeyDecoder;
use super::reader::{Reader, read_entry, utf8};
use super::ser::MAX_EXACT_INTEGER;

/// How deep objects and lists may nest in what is read, so that no reply can
/// exhaust the stack. Beyond what a parser of protobuf takes by default (100
/// messages, at least two for each level).
const MAX_DEPTH: u8 = 64;

/// Reads the Struct in `message` as a `T`.
pub(crate) fn read_struct<'de, T: de::Deserialize<'de>>(
    message: &'de [u8],
) -> Result<T, DecodeError> {
    T::deserialize(StructDecoder { message, depth: MAX_DEPTH })
}

/// A Struct: always an object.
struct StructDecoder<'de> {
    message: &'de [u8],
    depth: u8,
}

/// A Value.
struct Decoder<'de> {
    message: &'de [u8],
    depth: u8,
}

enum Kind<'de> {
    Null,
    Number(f64),
    Str(&'de str),
    Bool(bool),
    Object(StructDecoder<'de>),
    List(ItemAccess<'de>),
}

impl<'de> Decoder<'de> {
    #[inline]
    fn kind(&self) -> Result<Kind<'de>, DecodeError> {
        let mut reader = Reader::new(self.message);
        let kind = match reader.tag() {
            // A Value with no field set is read as null.
            None => return Ok(Kind::Null),
            Some(0x08) => {
                reader.varint()?;
                Kind::Null
            }
            Some(0x11) => Kind::Number(f64::from_le_bytes(reader.fixed64()?)),
            Some(0x1a) => Kind::Str(utf8(reader.length_delimited()?)?),
            Some(0x20) => Kind::Bool(reader.varint()? != 0),
            Some(0x2a) => Kind::Object(StructDecoder {
                message: reader.length_delimited()?,
                depth: self.deeper()?,
            }),
            Some(0x32) => Kind::List(ItemAccess::new(reader.length_delimited()?, self.deeper()?)),
            Some(_) => return Err(DecodeError::Unusual),
        };
        if reader.is_empty() { Ok(kind) } else { Err(DecodeError::Unusual) }
    }

    /// The content of the Value if it has this one field of bytes: the short way for
    /// those who know what they expect.
    #[inline]
    fn only(&self, tag: u8) -> Option<&'de [u8]> {
        let mut reader = Reader::new(self.message);
        if !reader.take_tag(tag) {
            return None;
        }
        reader.length_delimited().ok().filter(|_| reader.is_empty())
    }

    #[inline]
    fn deeper(&self) -> Result<u8, DecodeError> {
        self.depth.checked_sub(1).ok_or(DecodeError::TooDeep)
    }
}

/// Visits a number as the integer that it is, where it is one that a double
/// carries exactly: the reference server writes 0 as 0.0. It also lets NaN
/// through from a plugin; that stays NaN for a float, and JSON makes it null.
fn visit_number<'de, V: Visitor<'de>>(value: f64, visitor: V) -> Result<V::Value, DecodeError> {
    let integral = value.trunc() == value && value.abs() <= MAX_EXACT_INTEGER as f64;
    if !integral || (value == 0.0 && value.is_sign_negative()) {
        visitor.visit_f64(value)
    } else if value < 0.0 {
        visitor.visit_i64(value as i64)
    } else {
        visitor.visit_u64(value as u64)
    }
}

/// Where an integer is wanted, one beyond 2^53 is taken too if it is integral.
fn visit_integer<'de, V: Visitor<'de>>(value: f64, visitor: V) -> Result<V::Value, DecodeError> {
    const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;
    if value.trunc() != value || !(-BEYOND_I64..BEYOND_I64 * 2.0).contains(&value) {
        return visit_number(value, visitor);
    }
    if value < 0.0 { visitor.visit_i64(value as i64) } else { visitor.visit_u64(value as u64) }
}

macro_rules! deserialize_integer {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.kind()? {
                Kind::Number(value) => visit_integer(value, visitor),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Decoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind()? {
            Kind::Null => visitor.visit_unit(),
            Kind::Number(value) => visit_number(value, visitor),
            Kind::Str(value) => visitor.visit_borrowed_str(value),
            Kind::Bool(value) => visitor.visit_bool(value),
            Kind::Object(object) => object.deserialize_any(visitor),
            Kind::List(items) => visitor.visit_seq(items),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.message.first() {
            None => visitor.visit_none(),
            // What follows a null would win over it.
            Some(0x08) => self.kind().and_then(|_| visitor.visit_none()),
            Some(_) => visitor.visit_some(self),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.only(0x1a) {
            Some(text) => visitor.visit_borrowed_str(utf8(text)?),
            None => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.only(0x2a) {
            Some(message) => {
                visitor.visit_map(StructDecoder { message, depth: self.deeper()? }.entries())
            }
            None => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind()? {
            Kind::Number(value) => visitor.visit_f64(value),
            _ => self.deserialize_any(visitor),
        }
    }

    deserialize_integer! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.kind()? {
            Kind::Str(variant) => visitor.visit_enum(variant.into_deserializer()),
            Kind::Object(object) => {
                visitor.visit_enum(de::value::MapAccessDeserializer::new(object.variant()?))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// Skips without looking: the frame bounds what is skipped.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool f32 char bytes byte_buf unit unit_struct seq tuple tuple_struct identifier
    }
}

impl<'de> StructDecoder<'de> {
    #[inline]
    fn entries(self) -> EntryAccess<'de> {
        let Self { message, depth } = self;
        EntryAccess {
            message,
            reader: Reader::new(message),
            keys: UniqueKeys::default(),
            value: &[],
            depth,
        }
    }

    /// The entry that an enum is: its reader looks at one only, so the others are
    /// looked at here.
    fn variant(self) -> Result<EntryAccess<'de>, DecodeError> {
        check_unique_keys(self.message)?;
        Ok(self.entries())
    }
}

impl<'de> de::Deserializer<'de> for StructDecoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.entries())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(de::value::MapAccessDeserializer::new(self.variant()?))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct EntryAccess<'de> {
    /// The whole Struct.
    message: &'de [u8],
    reader: Reader<'de>,
    keys: UniqueKeys,
    /// The value of the entry whose key was read last.
    value: &'de [u8],
    depth: u8,
}

impl<'de> de::MapAccess<'de> for EntryAccess<'de> {
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
        self.keys.add(key, self.message)?;
        self.value = value;
        seed.deserialize(KeyDecoder(utf8(key)?)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let value = seed.deserialize(Decoder { message: self.value, depth: self.depth });
        // What does not fit may be repeated further on, and only the last counts.
        value.map_err(|error| check_unique_keys(self.message).err().unwrap_or(error))
    }
}

struct ItemAccess<'de> {
    reader: Reader<'de>,
    depth: u8,
}

impl<'de> ItemAccess<'de> {
    fn new(message: &'de [u8], depth: u8) -> Self {
        Self { reader: Reader::new(message), depth }
    }
}

impl<'de> de::SeqAccess<'de> for ItemAccess<'de> {
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
        seed.deserialize(Decoder { message, depth: self.depth }).map(Some)
    }
}
