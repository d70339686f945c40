//! serde onto `google.protobuf.Struct`, without a tree in between.
//!
//! A Struct is `map<string, Value> fields = 1`; a map entry is a message of key
//! (1) and Value (2); a Value is one of null (1), number (2), string (3), bool
//! (4), Struct (5) and list (6). Whoever serialises a value also closes the
//! messages that end with it, so that their lengths are filled in together.

use serde::ser::{self, Serialize};

use super::big_integers::BigIntegers;
use super::error::{EncodeError, Refused};
use super::key::KeyEncoder;
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
pub(crate) fn write_struct<T>(writer: &mut Writer, object: &T) -> Result<(), Refused>
where
    T: Serialize + ?Sized,
{
    object.serialize(Encoder { writer, place: Place::Root })
}

/// Where the value goes.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// The open message is the Struct: only an object will do.
    Root,
    /// The map entry whose length stands there; it ends with the value.
    Entry(Mark),
    /// The open list.
    Item,
}

/// Kept small: it is handed on for every value.
pub(super) struct Encoder<'w> {
    writer: &'w mut Writer,
    place: Place,
}

impl<'w> Encoder<'w> {
    /// A Value of a few bytes; `content` is without the two bytes in front of it.
    #[inline]
    fn scalar<const N: usize>(self, content: [u8; N]) -> Result<(), Refused> {
        match self.place {
            Place::Root => Err(EncodeError::NotAnObject.into()),
            Place::Entry(mark) => {
                self.writer.check_room(2)?;
                self.writer.raw(&[ENTRY_VALUE, N as u8]);
                self.writer.raw(&content);
                self.writer.end_entry(mark)
            }
            Place::Item => {
                self.writer.check_room(1)?;
                self.writer.raw(&[ITEM, N as u8]);
                self.writer.raw(&content);
                Ok(())
            }
        }
    }

    #[inline]
    fn number(self, value: f64) -> Result<(), Refused> {
        if !value.is_finite() {
            return Err(EncodeError::NotFinite.into());
        }
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.scalar([NUMBER, a, b, c, d, e, f, g, h])
    }

    #[inline]
    fn integer(self, magnitude: u128, value: f64) -> Result<(), Refused> {
        if magnitude > u128::from(MAX_EXACT_INTEGER)
            && self.writer.big_integers == BigIntegers::Refuse
        {
            return Err(EncodeError::BigInteger.into());
        }
        self.number(value)
    }

    /// A number that serde_json holds as text.
    fn digits(self, text: &serde_json::Result<serde_json::Value>) -> Result<(), Refused> {
        let text = text.as_ref().ok().and_then(|text| text.as_str()).ok_or(EncodeError::Number)?;
        if let Ok(integer) = text.parse::<i128>() {
            return ser::Serializer::serialize_i128(self, integer);
        }
        self.number(text.parse().map_err(|_| EncodeError::Number)?)
    }

    /// Opens an object or a list, as `kind` says.
    fn open(self, kind: u8) -> Result<Compound<'w>, Refused> {
        let Self { writer, place } = self;
        let (tag, close) = match place {
            Place::Root if kind == OBJECT => return Ok(Compound { writer, close: 0 }),
            Place::Root => return Err(EncodeError::NotAnObject.into()),
            Place::Item => (ITEM, 2),
            Place::Entry(mark) => {
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
    fn open_variant(self, variant: &'static str, kind: u8) -> Result<Compound<'w>, Refused> {
        let Compound { writer, close } = self.open(OBJECT)?;
        let entry = writer.begin_entry(variant.as_bytes());
        writer.also = close;
        Encoder { writer, place: Place::Entry(entry) }.open(kind)
    }
}

impl<'w> ser::Serializer for Encoder<'w> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Compound<'w>;
    type SerializeTuple = Compound<'w>;
    type SerializeTupleStruct = Compound<'w>;
    type SerializeTupleVariant = Compound<'w>;
    type SerializeMap = Entries<'w>;
    type SerializeStruct = Fields<'w>;
    type SerializeStructVariant = Compound<'w>;

    #[inline]
    fn serialize_bool(self, v: bool) -> Result<(), Refused> {
        self.scalar([BOOL, u8::from(v)])
    }
    #[inline]
    fn serialize_i8(self, v: i8) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_i16(self, v: i16) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_i32(self, v: i32) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_i64(self, v: i64) -> Result<(), Refused> {
        self.integer(u128::from(v.unsigned_abs()), v as f64)
    }
    #[inline]
    fn serialize_i128(self, v: i128) -> Result<(), Refused> {
        self.integer(v.unsigned_abs(), v as f64)
    }
    #[inline]
    fn serialize_u8(self, v: u8) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_u16(self, v: u16) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_u32(self, v: u32) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_u64(self, v: u64) -> Result<(), Refused> {
        self.integer(u128::from(v), v as f64)
    }
    #[inline]
    fn serialize_u128(self, v: u128) -> Result<(), Refused> {
        self.integer(v, v as f64)
    }
    #[inline]
    fn serialize_f32(self, v: f32) -> Result<(), Refused> {
        self.number(f64::from(v))
    }
    #[inline]
    fn serialize_f64(self, v: f64) -> Result<(), Refused> {
        self.number(v)
    }
    #[inline]
    fn serialize_char(self, v: char) -> Result<(), Refused> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }
    #[inline]
    fn serialize_str(self, v: &str) -> Result<(), Refused> {
        match self.place {
            Place::Root => Err(EncodeError::NotAnObject.into()),
            Place::Entry(mark) if v.len() < SHORT => {
                self.writer.check_room(2)?;
                self.writer.value_string(ENTRY_VALUE, v.as_bytes());
                self.writer.end_entry(mark)
            }
            Place::Entry(mark) => {
                // A long string has to find the entry among the open messages.
                self.writer.adopt(mark)?;
                self.writer.check_room(1)?;
                self.writer.value_string(ENTRY_VALUE, v.as_bytes());
                self.writer.end(1);
                Ok(())
            }
            Place::Item => {
                self.writer.check_room(1)?;
                self.writer.value_string(ITEM, v.as_bytes());
                Ok(())
            }
        }
    }
    #[inline]
    fn serialize_bytes(self, v: &[u8]) -> Result<(), Refused> {
        // As serde_json does: JSON has no bytes.
        self.collect_seq(v)
    }
    #[inline]
    fn serialize_none(self) -> Result<(), Refused> {
        self.serialize_unit()
    }
    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }
    #[inline]
    fn serialize_unit(self) -> Result<(), Refused> {
        self.scalar([NULL, 0])
    }
    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.serialize_unit()
    }
    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.serialize_str(variant)
    }
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }
    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        let mut object = self.open(OBJECT)?;
        object.entry(variant, value)?;
        object.close();
        Ok(())
    }
    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'w>, Refused> {
        self.open(LIST)
    }
    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Compound<'w>, Refused> {
        self.open(LIST)
    }
    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'w>, Refused> {
        self.open(LIST)
    }
    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'w>, Refused> {
        self.open_variant(variant, LIST)
    }
    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'w>, Refused> {
        Ok(Entries { object: self.open(OBJECT)?, entry: None })
    }
    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'w>, Refused> {
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
    ) -> Result<Compound<'w>, Refused> {
        self.open_variant(variant, OBJECT)
    }
}

/// An object or a list under way; `close` messages end with it.
pub(super) struct Compound<'w> {
    writer: &'w mut Writer,
    close: usize,
}

impl Compound<'_> {
    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, place: Place, value: &T) -> Result<(), Refused> {
        value.serialize(Encoder { writer: self.writer, place })
    }

    #[inline]
    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Refused> {
        let entry = self.writer.begin_entry(key.as_bytes());
        self.value(Place::Entry(entry), value)
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(Place::Item, value)
    }

    #[inline]
    fn close(self) {
        self.writer.end(self.close);
    }
}

/// A map under way: an object whose entry was begun by its key.
pub(super) struct Entries<'w> {
    object: Compound<'w>,
    entry: Option<Mark>,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.entry = Some(key.serialize(KeyEncoder(self.object.writer))?);
        Ok(())
    }
    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let entry = self.entry.take().ok_or(EncodeError::KeyNotAString)?;
        self.object.value(Place::Entry(entry), value)
    }
    #[inline]
    fn end(self) -> Result<(), Refused> {
        self.object.close();
        Ok(())
    }
}

/// The list-like and struct-like traits differ in the names of their methods only.
macro_rules! impl_compound {
    ($($name:ident :: $method:ident ( $($key:ident)? ) => $write:ident;)*) => {$(
        impl ser::$name for Compound<'_> {
            type Ok = ();
            type Error = Refused;
            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), Refused> {
                self.$write($($key,)? value)
            }
            #[inline]
            fn end(self) -> Result<(), Refused> {
                self.close();
                Ok(())
            }
        }
    )*};
}

impl_compound! {
    SerializeSeq::serialize_element() => item;
    SerializeTuple::serialize_element() => item;
    SerializeTupleStruct::serialize_field() => item;
    SerializeTupleVariant::serialize_field() => item;
    SerializeStructVariant::serialize_field(key) => entry;
}

/// A struct under way: nearly always an object, or a number of serde_json.
pub(super) enum Fields<'w> {
    Object(Compound<'w>),
    Number(Encoder<'w>),
    NumberWritten,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        if let Self::Object(object) = self {
            return object.entry(key, value);
        }
        match std::mem::replace(self, Self::NumberWritten) {
            Self::Number(encoder) => {
                encoder.digits(&value.serialize(serde_json::value::Serializer))
            }
            _ => Err(EncodeError::Number.into()),
        }
    }
    #[inline]
    fn end(self) -> Result<(), Refused> {
        if let Self::Object(object) = self {
            object.close();
        }
        Ok(())
    }
}
