//! `google.protobuf.Struct` to serde, in place: no tree, strings borrowed.
//!
//! This reader follows the layout that every protobuf encoder writes (a map
//! entry is key then value, a Value has one field, keys are unique). Bytes that
//! are valid but laid out otherwise end as an error, mostly as
//! [`DecodeError::Unusual`]; the caller then has prost, the judge of the format,
//! lay them out anew. So the common case is fast and the rest is right. Of a map
//! that repeats a key, the last entry counts.

use serde::de::{self, IntoDeserializer, Visitor};

use super::access::{EntryAccess, ItemAccess, Scope};
use super::budget::Budget;
use super::error::DecodeError;
use super::reader::{Reader, utf8};
use super::ser::MAX_EXACT_INTEGER;

/// How deep objects and lists may nest in what is read, so that no reply can
/// exhaust the stack. Beyond what a parser of protobuf takes by default (100
/// messages, at least two for each level).
const MAX_DEPTH: u8 = 64;

/// Reads the Struct in `message` as a `T`, which may take what is left of `budget`.
pub(crate) fn read_struct<'de, T: de::Deserialize<'de>>(
    message: &'de [u8],
    budget: &Budget,
) -> Result<T, DecodeError> {
    T::deserialize(StructDecoder { message, scope: Scope { budget, depth: MAX_DEPTH } })
}

/// A Struct: always an object.
struct StructDecoder<'de, 'b> {
    message: &'de [u8],
    scope: Scope<'b>,
}

/// A Value.
pub(super) struct Decoder<'de, 'b> {
    pub(super) message: &'de [u8],
    /// Behind a reference: a decoder is handed on for every value.
    pub(super) scope: &'b Scope<'b>,
}

enum Kind<'de, 'b> {
    Null,
    Number(f64),
    Str(&'de str),
    Bool(bool),
    Object(StructDecoder<'de, 'b>),
    List(ItemAccess<'de, 'b>),
}

impl<'de, 'b> Decoder<'de, 'b> {
    #[inline]
    fn kind(&self) -> Result<Kind<'de, 'b>, DecodeError> {
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
                scope: self.scope.deeper()?,
            }),
            Some(0x32) => {
                Kind::List(ItemAccess::new(reader.length_delimited()?, self.scope.deeper()?))
            }
            Some(_) => return Err(DecodeError::Unusual),
        };
        if reader.is_empty() { Ok(kind) } else { Err(DecodeError::Unusual) }
    }

    /// The content of the Value if it has this one field of bytes: the short way for
    /// a type that knows what it expects.
    #[inline]
    fn only(&self, tag: u8) -> Option<&'de [u8]> {
        let mut reader = Reader::new(self.message);
        if !reader.take_tag(tag) {
            return None;
        }
        reader.length_delimited().ok().filter(|_| reader.is_empty())
    }

    #[inline]
    fn visit_str<V: Visitor<'de>>(
        &self,
        text: &'de str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.scope.budget.charge_text(text.len())?;
        visitor.visit_borrowed_str(text)
    }

    /// The object that the Value is; `None` for anything else.
    #[inline]
    fn object(&self) -> Result<Option<StructDecoder<'de, 'b>>, DecodeError> {
        let Some(message) = self.only(0x2a) else { return Ok(None) };
        Ok(Some(StructDecoder { message, scope: self.scope.deeper()? }))
    }
}

/// Visits a number as the integer that it is, where it is one that a double
/// carries exactly: the reference server writes 0 as 0.0. It also lets NaN
/// through from a plugin, which is noted: that stays NaN for a float, and JSON makes it null.
fn visit_number<'de, V: Visitor<'de>>(
    value: f64,
    visitor: V,
    budget: &Budget,
) -> Result<V::Value, DecodeError> {
    let integral = value.trunc() == value && value.abs() <= MAX_EXACT_INTEGER as f64;
    if !integral || (value == 0.0 && value.is_sign_negative()) {
        if !value.is_finite() {
            budget.note_not_finite();
        }
        visitor.visit_f64(value)
    } else if value < 0.0 {
        visitor.visit_i64(value as i64)
    } else {
        visitor.visit_u64(value as u64)
    }
}

/// Where an integer is wanted, one beyond 2^53 is taken too if it is integral.
fn visit_integer<'de, V: Visitor<'de>>(
    value: f64,
    visitor: V,
    budget: &Budget,
) -> Result<V::Value, DecodeError> {
    const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;
    if value.trunc() != value || !(-BEYOND_I64..BEYOND_I64 * 2.0).contains(&value) {
        return visit_number(value, visitor, budget);
    }
    if value < 0.0 { visitor.visit_i64(value as i64) } else { visitor.visit_u64(value as u64) }
}

macro_rules! deserialize_integer {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.kind()? {
                Kind::Number(value) => visit_integer(value, visitor, self.scope.budget),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Decoder<'de, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind()? {
            Kind::Null => visitor.visit_unit(),
            Kind::Number(value) => visit_number(value, visitor, self.scope.budget),
            Kind::Str(value) => self.visit_str(value, visitor),
            Kind::Bool(value) => visitor.visit_bool(value),
            Kind::Object(object) => object.deserialize_any(visitor),
            Kind::List(mut items) => {
                let list = visitor.visit_seq(&mut items)?;
                items.end().map(|()| list)
            }
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
            Some(text) => self.visit_str(utf8(text)?, visitor),
            None => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.object()? {
            Some(object) => object.deserialize_map(visitor),
            None => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.object()? {
            Some(object) => object.deserialize_struct(name, fields, visitor),
            None => self.deserialize_any(visitor),
        }
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

impl<'de, 'b> StructDecoder<'de, 'b> {
    #[inline]
    fn entries(self, fields: Option<&'static [&'static str]>) -> EntryAccess<'de, 'b> {
        EntryAccess::new(self.message, self.scope, fields)
    }

    /// The entry that an enum is: its reader looks at one only, so that there is no
    /// other is looked at here.
    fn variant(self) -> Result<EntryAccess<'de, 'b>, DecodeError> {
        let mut reader = Reader::new(self.message);
        reader.next()?;
        if !reader.is_empty() {
            return Err(DecodeError::Shape("found several keys, expected one variant".to_owned()));
        }
        Ok(self.entries(Some(&[])))
    }
}

impl<'de> de::Deserializer<'de> for StructDecoder<'de, '_> {
    type Error = DecodeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.entries(None))
    }

    /// A type with fields of its own keeps no entries.
    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.entries(Some(fields)))
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
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}
