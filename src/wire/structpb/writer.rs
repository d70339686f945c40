//! Writes nested protobuf messages forward, into one buffer, in one pass.
//!
//! A nested message is preceded by its length, which is known only at its end.
//! The writer leaves one byte for it and closes up later: contents below 128
//! bytes cost nothing, longer ones are moved once. Before a long string is
//! written, the lengths of everything that is open are widened, so the string
//! itself is never moved. The bytes that come out are minimal protobuf.

use arrayvec::ArrayVec;
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

use super::big_integers::BigIntegers;
use super::error::{EncodeError, EncodeFailure};

/// How deep messages may nest, counted from the request or reply itself: the
/// reference server's parser gives up beyond it, and answers with an empty frame.
pub(crate) const MAX_LEVELS: usize = 100;

/// Strings from this size on widen the open lengths before they are written.
const LONG_STRING: usize = 2048;

/// The most messages that end together: value, object, entry, and the same
/// again around them where an enum variant wraps its content.
const MAX_END: usize = 6;

/// The room in front of the message for the frame's length.
pub(crate) const FRAME_HEADER: usize = 4;

/// The last position that a [`Mark`] can name. What grows beyond it is refused as a
/// whole at its end, so its lengths need not be right: nothing is moved for them.
const FARTHEST: usize = u32::MAX as usize;

/// Where the length of a message stands. Positions beyond [`FARTHEST`] are all that one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u32);

impl Mark {
    #[inline]
    fn of(position: usize) -> Self {
        Self(u32::try_from(position).unwrap_or(u32::MAX))
    }
}

/// A message that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Where its length stands.
    at: u32,
    /// How many bytes are left for the length.
    width: u8,
}

impl Open {
    #[inline]
    fn start(self) -> usize {
        self.at as usize + usize::from(self.width)
    }
}

/// One growing request or reply. It stays where it was made: the room for open
/// messages is much to move, and nothing to set up.
pub(crate) struct Writer {
    buf: Vec<u8>,
    /// The last is the innermost.
    open: ArrayVec<Open, MAX_LEVELS>,
    /// More messages that end with the map entry that was begun last: those
    /// around the content of an enum variant.
    pub(super) also: usize,
    pub(super) big_integers: BigIntegers,
    /// Whether an integer was rounded.
    pub(super) inexact: bool,
}

impl Writer {
    /// Starts a message with room for the frame header in front of it.
    #[inline]
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut buf = Vec::with_capacity(capacity.max(FRAME_HEADER));
        buf.extend_from_slice(&[0; FRAME_HEADER]);
        Self {
            buf,
            open: ArrayVec::new(),
            also: 0,
            big_integers: BigIntegers::Refuse,
            inexact: false,
        }
    }

    /// What becomes of integers that a double does not carry exactly.
    #[inline]
    pub(crate) fn big_integers(&mut self, big_integers: BigIntegers) {
        self.big_integers = big_integers;
    }

    /// Whether something else was written than was given.
    pub(crate) fn is_inexact(&self) -> bool {
        self.inexact
    }

    /// The key of the map entry that is open below `level` other messages. For errors.
    #[cold]
    pub(crate) fn key_at(&self, level: usize) -> Option<&[u8]> {
        let entry = self.buf.get(self.open.get(level)?.start()..)?;
        let mut rest = entry.strip_prefix(&[0x0a])?;
        let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        rest.get(..length)
    }

    /// Takes what was written, with the frame header filled in: four bytes, big-endian.
    #[inline]
    pub(crate) fn take_frame(&mut self) -> Result<Vec<u8>, EncodeFailure> {
        debug_assert!(self.open.is_empty(), "a message was left open");
        if self.buf.len() > FARTHEST {
            return Err(EncodeError::TooLarge.into());
        }
        let length = (self.buf.len() - FRAME_HEADER) as u32;
        self.buf[..FRAME_HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(std::mem::take(&mut self.buf))
    }

    #[cfg(test)]
    pub(crate) fn into_message(mut self) -> Vec<u8> {
        self.take_frame().unwrap().split_off(FRAME_HEADER)
    }

    /// Opens a nested message under `tag`.
    #[inline]
    pub(crate) fn begin(&mut self, tag: u8) -> Result<(), EncodeFailure> {
        self.buf.extend_from_slice(&[tag, 0]);
        self.adopt(Mark::of(self.buf.len() - 1))
    }

    /// Opens a nested message under `tag`, and in it at once another under `inner`.
    #[inline]
    pub(crate) fn begin_two(&mut self, tag: u8, inner: u8) -> Result<(), EncodeFailure> {
        let (at, width) = (Mark::of(self.buf.len() + 1).0, 1);
        let both = [Open { at, width }, Open { at: at.saturating_add(2), width }];
        self.open.try_extend_from_slice(&both).map_err(|_| self.too_deep())?;
        self.buf.extend_from_slice(&[tag, 0, inner, 0]);
        Ok(())
    }

    /// Counts the message whose one-byte length stands at `mark` as open.
    #[inline]
    pub(crate) fn adopt(&mut self, mark: Mark) -> Result<(), EncodeFailure> {
        let open = Open { at: mark.0, width: 1 };
        self.open.try_push(open).map_err(|_| self.too_deep())
    }

    /// Begins a map entry with its key: where its length stands. It is not
    /// counted as open until it is [adopted](Self::adopt): the entry of a short
    /// scalar is over before anybody has to know of it.
    #[inline]
    pub(crate) fn begin_entry(&mut self, key: &[u8]) -> Mark {
        if key.len() >= 0x80 {
            return self.begin_long_entry(key);
        }
        let mark = Mark::of(self.buf.len() + 1);
        self.buf.extend_from_slice(&[0x0a, 0, 0x0a, key.len() as u8]);
        self.buf.extend_from_slice(key);
        mark
    }

    /// Widening moves what is behind the open lengths, so it comes before the
    /// entry's own place is taken down.
    #[cold]
    fn begin_long_entry(&mut self, key: &[u8]) -> Mark {
        if key.len() >= LONG_STRING {
            self.widen_open(key.len());
            self.buf.reserve(key.len() + 16);
        }
        let mark = Mark::of(self.buf.len() + 1);
        self.buf.extend_from_slice(&[0x0a, 0, 0x0a]);
        self.varint(key.len() as u64);
        self.buf.extend_from_slice(key);
        mark
    }

    /// Ends an entry that was not adopted.
    #[inline]
    pub(crate) fn end_entry(&mut self, mark: Mark) -> Result<(), EncodeFailure> {
        let at = mark.0 as usize;
        let length = self.buf.len() - at - 1;
        if length < 0x80 {
            self.buf[at] = length as u8;
            return Ok(());
        }
        self.adopt(mark)?;
        self.end(1);
        Ok(())
    }

    /// Refuses what needs `more` nested messages where there is no level left for them.
    #[inline]
    pub(crate) fn check_room(&self, more: usize) -> Result<(), EncodeFailure> {
        if self.open.len() + more > MAX_LEVELS { Err(self.too_deep()) } else { Ok(()) }
    }

    #[cold]
    fn too_deep(&self) -> EncodeFailure {
        // Objects and lists stand in Values, under these tags; the first one is
        // the top-level field, and the one that was refused is not open yet.
        let container = |open: &&Open| matches!(self.buf[open.at as usize - 1], 0x2a | 0x32);
        let depth = self.open.iter().filter(container).count();
        EncodeError::TooDeep { depth, limit: MAX_LEVELS }.into()
    }

    /// Closes the `count` innermost messages, which all end here.
    #[inline]
    pub(crate) fn end(&mut self, count: usize) {
        let end = self.buf.len();
        let first = self.open.len() - count;
        // The outermost is the longest: if that is short, all are, and the one
        // byte that was left for each is enough.
        let Some(outermost) = self.open.get(first) else { return };
        if end - outermost.at as usize > 0x80 {
            return self.end_long(first);
        }
        for open in &self.open[first..] {
            self.buf[open.at as usize] = (end - open.at as usize - 1) as u8;
        }
        self.open.truncate(first);
    }

    /// Lengths are filled in from the inside out, and what has to make room for
    /// longer lengths is moved once, from its end towards its start.
    fn end_long(&mut self, first: usize) {
        let end = self.buf.len();
        if end > FARTHEST {
            return self.open.truncate(first);
        }
        let ending = &self.open[first..];
        let mut needed = [0_u8; MAX_END];
        let mut length = [0_usize; MAX_END];
        let mut extra = 0;
        for (k, open) in ending.iter().enumerate().rev() {
            length[k] = end + extra - open.start();
            // A widened length is never wider than needed: contents only grow.
            needed[k] = (encoded_len_varint(length[k] as u64) as u8).max(open.width);
            extra += usize::from(needed[k] - open.width);
        }
        if extra > 0 {
            self.buf.resize(end + extra, 0);
        }
        let (mut until, mut shift) = (end, extra);
        for (k, open) in ending.iter().enumerate().rev() {
            let (at, start) = (open.at as usize, open.start());
            if shift > 0 {
                self.buf.copy_within(start..until, start + shift);
            }
            shift -= usize::from(needed[k] - open.width);
            let slot = &mut self.buf[at + shift..at + shift + usize::from(needed[k])];
            fill(slot, length[k] as u64);
            until = at;
        }
        self.open.truncate(first);
    }

    /// A field of type string or bytes.
    #[inline]
    pub(crate) fn string(&mut self, tag: u8, value: &[u8]) {
        if value.len() < 0x80 {
            self.buf.extend_from_slice(&[tag, value.len() as u8]);
        } else {
            self.long_string_header(tag, value.len());
        }
        self.buf.extend_from_slice(value);
    }

    /// A Value under `tag` that holds a string: a message around a string field.
    #[inline]
    pub(crate) fn value_string(&mut self, tag: u8, value: &[u8]) {
        if value.len() >= 0x7e {
            return self.value_long_string(tag, value);
        }
        // Both lengths take one byte: the usual case, and a fast one.
        let length = value.len() as u8;
        self.buf.extend_from_slice(&[tag, length + 2, 0x1a, length]);
        self.buf.extend_from_slice(value);
    }

    fn value_long_string(&mut self, tag: u8, value: &[u8]) {
        let inner = 1 + encoded_len_varint(value.len() as u64) + value.len();
        self.buf.push(tag);
        self.varint(inner as u64);
        self.string(0x1a, value);
    }

    #[inline]
    pub(crate) fn varint(&mut self, value: u64) {
        encode_varint(value, &mut self.buf);
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    #[cold]
    fn long_string_header(&mut self, tag: u8, length: usize) {
        if length >= LONG_STRING {
            self.widen_open(length);
            self.buf.reserve(length + 16);
        }
        self.buf.push(tag);
        self.varint(length as u64);
    }

    /// Gives every open length the width that it will have once `coming` bytes are added.
    #[cold]
    fn widen_open(&mut self, coming: usize) {
        if self.buf.len() + coming > FARTHEST {
            return;
        }
        let mut total = 0;
        let mut wanted = [0_u8; MAX_LEVELS];
        for (open, wanted) in self.open.iter().zip(&mut wanted).rev() {
            let width =
                encoded_len_varint((self.buf.len() + total - open.start() + coming) as u64) as u8;
            *wanted = width.max(open.width);
            total += usize::from(*wanted - open.width);
        }
        if total == 0 {
            return;
        }
        let mut until = self.buf.len();
        self.buf.resize(until + total, 0);
        let mut shift = total;
        for (open, wanted) in self.open.iter_mut().zip(wanted).rev() {
            let at = open.at as usize;
            self.buf.copy_within(open.start()..until, open.start() + shift);
            shift -= usize::from(wanted - open.width);
            until = at;
            *open = Open { at: (at + shift) as u32, width: wanted };
        }
    }
}

/// Writes a varint into exactly `slot.len()` bytes.
fn fill(slot: &mut [u8], mut value: u64) {
    let last = slot.len() - 1;
    for byte in &mut slot[..last] {
        *byte = (value as u8 & 0x7f) | 0x80;
        value >>= 7;
    }
    slot[last] = value as u8;
}

#[cfg(test)]
mod tests;
