//! Objects, lists and numbers of serde_json under way.

use serde::ser::{self, Serialize};

use super::error::{EncodeError, EncodeFailure};
use super::key::KeyEncoder;
use super::ser::{Encoder, Position};
use super::writer::{Mark, Writer};

/// An object or a list under way; `close` messages end with it.
pub(super) struct Compound<'w> {
    pub(super) writer: &'w mut Writer,
    pub(super) close: usize,
}

impl Compound<'_> {
    #[inline]
    fn value<T: Serialize + ?Sized>(
        &mut self,
        position: Position,
        value: &T,
    ) -> Result<(), EncodeFailure> {
        value.serialize(Encoder { writer: self.writer, position })
    }

    #[inline]
    pub(super) fn entry<T: Serialize + ?Sized>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), EncodeFailure> {
        let entry = self.writer.begin_entry(key.as_bytes());
        self.value(Position::Entry(entry), value)
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeFailure> {
        self.value(Position::Item, value)
    }

    #[inline]
    pub(super) fn close(self) {
        self.writer.end(self.close);
    }
}

/// A map under way: an object whose entry was begun by its key.
pub(super) struct Entries<'w> {
    pub(super) object: Compound<'w>,
    pub(super) entry: Option<Mark>,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = EncodeFailure;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeFailure> {
        self.entry = Some(key.serialize(KeyEncoder(self.object.writer))?);
        Ok(())
    }
    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeFailure> {
        let entry = self.entry.take().ok_or(EncodeError::KeyNotAString)?;
        self.object.value(Position::Entry(entry), value)
    }
    #[inline]
    fn end(self) -> Result<(), EncodeFailure> {
        self.object.close();
        Ok(())
    }
}

/// The list-like and struct-like traits differ in the names of their methods only.
macro_rules! impl_compound {
    ($($name:ident :: $method:ident ( $($key:ident)? ) => $write:ident;)*) => {$(
        impl ser::$name for Compound<'_> {
            type Ok = ();
            type Error = EncodeFailure;
            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), EncodeFailure> {
                self.$write($($key,)? value)
            }
            #[inline]
            fn end(self) -> Result<(), EncodeFailure> {
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
    type Error = EncodeFailure;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailure> {
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
    fn end(self) -> Result<(), EncodeFailure> {
        if let Self::Object(object) = self {
            object.close();
        }
        Ok(())
    }
}
