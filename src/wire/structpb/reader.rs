//! Reads the fields of a protobuf message in place.

use prost::encoding::decode_varint;

use super::error::DecodeError;

/// What one field holds. Groups (wire types 3 and 4) are obsolete and refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(DecodeError::Malformed("wire type")),
        }
    }

    #[inline]
    pub(crate) fn str(self) -> Result<&'a str, DecodeError> {
        utf8(self.bytes()?)
    }

    pub(crate) fn varint(self) -> Result<u64, DecodeError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(DecodeError::Malformed("wire type")),
        }
    }
}

/// The rest of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field's number and content; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| DecodeError::Malformed("field number"))?;
        if number == 0 {
            return Err(DecodeError::Malformed("field number"));
        }
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.fixed64()?),
            2 => Field::Bytes(self.length_delimited()?),
            5 => {
                self.take(4)?;
                Field::Fixed32
            }
            _ => return Err(DecodeError::Malformed("wire type")),
        };
        Ok(Some((number, field)))
    }

    /// Takes `tag` if it is next: the way through messages whose layout is known.
    #[inline]
    pub(crate) fn take_tag(&mut self, tag: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == tag => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The first byte, which is the tag of a field numbered below 16.
    #[inline]
    pub(crate) fn tag(&mut self) -> Option<u8> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(tag)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        #[cfg(test)]
        steps::count();
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// Out of line: nearly all lengths take one byte, and this is inlined everywhere.
    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        decode_varint(&mut self.rest).map_err(|_| DecodeError::Malformed("varint"))
    }

    #[inline]
    pub(crate) fn length_delimited(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        self.take(usize::try_from(length).map_err(|_| DecodeError::Malformed("length"))?)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8], DecodeError> {
        let (bytes, rest) =
            self.rest.split_first_chunk().ok_or(DecodeError::Malformed("cut off"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(DecodeError::Malformed("cut off"))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// How many varints were read: every field has one, so this is the work that a
/// message makes, without a clock.
#[cfg(test)]
pub(crate) mod steps {
    use std::cell::Cell;

    thread_local!(static STEPS: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    /// The steps that `work` takes on this thread.
    pub(crate) fn of(work: impl FnOnce()) -> usize {
        let before = STEPS.get();
        work();
        STEPS.get() - before
    }
}

/// Key and value of the map entry in `entry`; either may be left out when empty.
#[inline]
pub(super) fn read_entry(entry: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut reader = Reader::new(entry);
    let key = if reader.take_tag(0x0a) { reader.length_delimited()? } else { &[] };
    let value = if reader.take_tag(0x12) { reader.length_delimited()? } else { &[] };
    if reader.is_empty() { Ok((key, value)) } else { Err(DecodeError::Unusual) }
}

/// Protobuf strings are UTF-8; a parser refuses anything else.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed("UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wire_types_in_use_are_told_apart() {
        let message =
            [0x08, 0x05, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 0x01, b'x', 0x25, 0, 0, 0, 0];
        let mut reader = Reader::new(&message);
        assert_eq!(reader.next(), Ok(Some((1, Field::Varint(5)))));
        assert_eq!(reader.next(), Ok(Some((2, Field::Fixed64([1, 2, 3, 4, 5, 6, 7, 8])))));
        assert_eq!(reader.next(), Ok(Some((3, Field::Bytes(b"x")))));
        assert_eq!(reader.next(), Ok(Some((4, Field::Fixed32))));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn what_is_cut_off_or_no_field_is_malformed() {
        for message in [&[0x08][..], &[0x12, 5, 1], &[0x11, 1], &[0x0b], &[0x00, 0x00], &[0xff]] {
            let mut reader = Reader::new(message);
            assert!(matches!(reader.next(), Err(DecodeError::Malformed(_))), "{message:?}");
        }
    }
}
