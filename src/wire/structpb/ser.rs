//! serde onto `google.protobuf.Struct`, without a tree in between.
//!
//! A Struct is `map<string, Value> fields = 1`; a map entry is a message of key
//! (1) and Value (2); a Value is one of null (1), number (2), string (3), bool
//! (4), Struct (5) and list (6). Serialising a value also closes the
//! messages that end with it, so that their lengths are filled in together.

use serde::ser::{self, Serialize};

use super::big_integers::BigIntegers;
use super::compound::{Compound, Entries, Fields};
use super::error::{EncodeError, EncodeFailure};
use super::writer::{Mark, Writer};

/// The integer up to which a double carries every integer exactly.
pub(crate) const MAX_EXACT_INTEGER: u64 = 1 << 53;

/// How serde_json presents a number where any crate of the program has turned
/// on its `arbitrary_precision`: an object of this name with the digits in it.
const JSON_NUMBER: &str = "$serde_json::private::Number";
const JSON_RAW: &str = "$serde_json::private::RawValue";

/// Strings up to here make no entry's length longer than a byte, whatever the
/// key: the usual case.
const SHORT: usize = 0x70;

const ENTRY_VALUE: u8 = 0x12;
const ITEM: u8 = 0x0a;
const NULL: u8 = 0x08;
const NUMBER: u8 = 0x11;
const BOOL: u8 = 0x20;
const OBJECT: u8 = 0x2a;
const LIST: u8 = 0x32;

/// Writes the fields of `object` into the Struct that is open in `writer`.
pub(crate) fn write_struct<T>(writer: &mut Writer, object: &T) -> Result<(), EncodeFailure>
where
    T: Serialize + ?Sized,
{
    object.serialize(Encoder { writer, position: Position::Root })
}

/// Where the value goes.
#[derive(Clone, Copy)]
pub(super) enum Position {
    /// The open message is the Struct: only an object will do.
    Root,
    /// The map entry whose length stands there; it ends with the value.
    Entry(Mark),
    /// The open list.
    Item,
}

/// Kept small: it is handed on for every value.
pub(super) struct Encoder<'w> {
    pub(super) writer: &'w mut Writer,
    pub(super) position: Position,
}

impl<'w> Encoder<'w> {
    /// A Value of a few bytes; `content` is without the two bytes in front of it.
    #[inline]
    fn scalar<const N: usize>(self, content: [u8; N]) -> Result<(), EncodeFailure> {
        match self.position {
            Position::Root => Err(EncodeError::NotAnObject.into()),
            Position::Entry(mark) => {
                self.writer.check_room(2)?;
                self.writer.raw(&[ENTRY_VALUE, N as u8]);
                self.writer.raw(&content);
                self.writer.end_entry(mark)
            }
            Position::Item => {
                self.writer.check_room(1)?;
                self.writer.raw(&[ITEM, N as u8]);
                self.writer.raw(&content);
                Ok(())
            }
        }
    }

    #[inline]
    fn number(self, value: f64) -> Result<(), EncodeFailure> {
        if !value.is_finite() {
            return Err(self.refuse(EncodeError::NotFinite));
        }
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.scalar([NUMBER, a, b, c, d, e, f, g, h])
    }

    #[inline]
    fn integer(self, magnitude: u128, value: f64) -> Result<(), EncodeFailure> {
        if magnitude > u128::from(MAX_EXACT_INTEGER) {
            if self.writer.big_integers == BigIntegers::Refuse {
                return Err(self.refuse(EncodeError::BigInteger));
            }
            self.writer.inexact |= value.abs() as u128 != magnitude;
        }
        self.number(value)
    }

    /// The entry is counted as open, so that its key can be told.
    #[cold]
    fn refuse(self, error: EncodeError) -> EncodeFailure {
        if let Position::Entry(mark) = self.position {
            // Where there is no room for it, it is not at the top.
            let _ = self.writer.adopt(mark);
        }
        error.into()
    }

    /// A number that serde_json holds as text.
    pub(super) fn digits(
        self,
        text: &serde_json::Result<serde_json::Value>,
    ) -> Result<(), EncodeFailure> {
        let text = text.as_ref().ok().and_then(|text| text.as_str()).ok_or(EncodeError::Number)?;
        if let Ok(integer) = text.parse::<i128>() {
            return ser::Serializer::serialize_i128(self, integer);
        }
        self.number(text.parse().map_err(|_| EncodeError::Number)?)
    }

    /// Opens an object or a list, according to `kind`.
    fn open(self, kind: u8) -> Result<Compound<'w>, EncodeFailure> {
        let Self { writer, position } = self;
        let (tag, close) = match position {
            Position::Root if kind == OBJECT => return Ok(Compound { writer, close: 0 }),
            Position::Root => return Err(EncodeError::NotAnObject.into()),
            Position::Item => (ITEM, 2),
            Position::Entry(mark) => {
                writer.adopt(mark)?;
                (ENTRY_VALUE, 3 + std::mem::take(&mut writer.also))
            }
        };
        // What cannot hold a value any more is refused even when empty, so that
        // the limit does not depend on what is inside.
        writer.check_room(if kind == OBJECT { 4 } else { 3 })?;
        writer.begin_two(tag, kind)?;
        Ok(Compound { writer, close })
    }

    /// Opens the content of an enum variant: the value of an object's only key.
    fn open_variant(self, variant: &'static str, kind: u8) -> Result<Compound<'w>, EncodeFailure> {
        let Compound { writer, close } = self.open(OBJECT)?;
        let entry = writer.begin_entry(variant.as_bytes());
        writer.also = close;
        Encoder { writer, position: Position::Entry(entry) }.open(kind)
    }
}

/// What a double carries exactly.
macro_rules! exact {
    ($($method:ident: $ty:ty),*) => {$(
        #[inline]
        fn $method(self, v: $ty) -> Result<(), EncodeFailure> {
            self.number(f64::from(v))
        }
    )*};
}

impl<'w> ser::Serializer for Encoder<'w> {
    type Ok = ();
    type Error = EncodeFailure;
    type SerializeSeq = Compound<'w>;
    type SerializeTuple = Compound<'w>;
    type SerializeTupleStruct = Compound<'w>;
    type SerializeTupleVariant = Compound<'w>;
    type SerializeMap = Entries<'w>;
    type SerializeStruct = Fields<'w>;
    type SerializeStructVariant = Compound<'w>;

    #[inline]
    fn serialize_bool(self, v: bool) -> Result<(), EncodeFailure> {
        self.scalar([BOOL, u8::from(v)])
    }
    exact! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_f32: f32
    }
    #[inline]
    fn serialize_i64(self, v: i64) -> Result<(), EncodeFailure> {
        self.integer(u128::from(v.unsigned_abs()), v as f64)
    }
    #[inline]
    fn serialize_i128(self, v: i128) -> Result<(), EncodeFailure> {
        self.integer(v.unsigned_abs(), v as f64)
    }
    #[inline]
    fn serialize_u64(self, v: u64) -> Result<(), EncodeFailure> {
        self.integer(u128::from(v), v as f64)
    }
    #[inline]
    fn serialize_u128(self, v: u128) -> Result<(), EncodeFailure> {
        self.integer(v, v as f64)
    }
    #[inline]
    fn serialize_f64(self, v: f64) -> Result<(), EncodeFailure> {
        self.number(v)
    }
    #[inline]
    fn serialize_char(self, v: char) -> Result<(), EncodeFailure> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }
    #[inline]
    fn serialize_str(self, v: &str) -> Result<(), EncodeFailure> {
        match self.position {
            Position::Root => Err(EncodeError::NotAnObject.into()),
            Position::Entry(mark) if v.len() < SHORT => {
                self.writer.check_room(2)?;
                self.writer.value_string(ENTRY_VALUE, v.as_bytes());
                self.writer.end_entry(mark)
            }
            Position::Entry(mark) => {
                // A long string has to find the entry among the open messages.
                self.writer.adopt(mark)?;
                self.writer.check_room(1)?;
                self.writer.value_string(ENTRY_VALUE, v.as_bytes());
                self.writer.end(1);
                Ok(())
            }
            Position::Item => {
                self.writer.check_room(1)?;
                self.writer.value_string(ITEM, v.as_bytes());
                Ok(())
            }
        }
    }
    #[inline]
    fn serialize_bytes(self, v: &[u8]) -> Result<(), EncodeFailure> {
        // As serde_json does: JSON has no bytes.
        self.collect_seq(v)
    }
    #[inline]
    fn serialize_none(self) -> Result<(), EncodeFailure> {
        self.serialize_unit()
    }
    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeFailure> {
        value.serialize(self)
    }
    #[inline]
    fn serialize_unit(self) -> Result<(), EncodeFailure> {
        self.scalar([NULL, 0])
    }
    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeFailure> {
        self.serialize_unit()
    }
    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeFailure> {
        self.serialize_str(variant)
    }
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailure> {
        value.serialize(self)
    }
    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailure> {
        let mut object = self.open(OBJECT)?;
        object.entry(variant, value)?;
        object.close();
        Ok(())
    }
    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'w>, EncodeFailure> {
        self.open(LIST)
    }
    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Compound<'w>, EncodeFailure> {
        self.open(LIST)
    }
    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Compound<'w>, EncodeFailure> {
        self.open(LIST)
    }
    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'w>, EncodeFailure> {
        self.open_variant(variant, LIST)
    }
    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'w>, EncodeFailure> {
        Ok(Entries { object: self.open(OBJECT)?, entry: None })
    }
    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'w>, EncodeFailure> {
        match name {
            JSON_NUMBER => Ok(Fields::Number(self)),
            JSON_RAW => Err(EncodeError::RawValue.into()),
            _ => self.open(OBJECT).map(Fields::Object),
        }
    }
    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'w>, EncodeFailure> {
        self.open_variant(variant, OBJECT)
    }
}
