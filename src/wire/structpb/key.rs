//! Map keys: a Struct has strings as keys, so take strings and what reads like one.
//!
//! Integers, booleans and unit variants become text and are read back from it,
//! as serde_json does it.

use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::ser::{Impossible, Serialize, Serializer};

use super::error::{DecodeError, EncodeError, EncodeFailure};
use super::writer::{Mark, Writer};

/// Begins a map entry with its key: where the entry's length stands.
pub(super) struct KeyEncoder<'w>(pub(super) &'w mut Writer);

macro_rules! as_text {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, v: $ty) -> Result<Mark, EncodeFailure> {
            self.serialize_str(&v.to_string())
        }
    )*};
}

macro_rules! refused {
    ($($method:ident($($ty:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $ty),*) -> Result<$ok, EncodeFailure> {
            Err(EncodeError::KeyNotAString.into())
        }
    )*};
}

impl Serializer for KeyEncoder<'_> {
    type Ok = Mark;
    type Error = EncodeFailure;
    type SerializeSeq = Impossible<Mark, EncodeFailure>;
    type SerializeTuple = Impossible<Mark, EncodeFailure>;
    type SerializeTupleStruct = Impossible<Mark, EncodeFailure>;
    type SerializeTupleVariant = Impossible<Mark, EncodeFailure>;
    type SerializeMap = Impossible<Mark, EncodeFailure>;
    type SerializeStruct = Impossible<Mark, EncodeFailure>;
    type SerializeStructVariant = Impossible<Mark, EncodeFailure>;

    #[inline]
    fn serialize_str(self, v: &str) -> Result<Mark, EncodeFailure> {
        Ok(self.0.begin_entry(v.as_bytes()))
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Mark, EncodeFailure> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Mark, EncodeFailure> {
        value.serialize(self)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Mark, EncodeFailure> {
        Err(EncodeError::KeyNotAString.into())
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Mark, EncodeFailure> {
        Err(EncodeError::KeyNotAString.into())
    }

    as_text! {
        serialize_bool: bool, serialize_char: char,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128
    }

    refused! {
        serialize_f32(f32) -> Mark;
        serialize_f64(f64) -> Mark;
        serialize_bytes(&[u8]) -> Mark;
        serialize_none() -> Mark;
        serialize_unit() -> Mark;
        serialize_unit_struct(&'static str) -> Mark;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

/// Reads the key of a map entry: text, or what its text reads like.
pub(super) struct KeyDecoder<'de>(pub(super) &'de str);

macro_rules! parsed {
    ($($method:ident => $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyDecoder<'de> {
    type Error = DecodeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.0)
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
        visitor.visit_enum(self.0.into_deserializer())
    }

    parsed! {
        deserialize_bool => visit_bool;
        deserialize_i8 => visit_i8;
        deserialize_i16 => visit_i16;
        deserialize_i32 => visit_i32;
        deserialize_i64 => visit_i64;
        deserialize_i128 => visit_i128;
        deserialize_u8 => visit_u8;
        deserialize_u16 => visit_u16;
        deserialize_u32 => visit_u32;
        deserialize_u64 => visit_u64;
        deserialize_u128 => visit_u128;
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
