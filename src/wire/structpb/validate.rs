//! Whether a Struct parses at all, by the rules of the reference's parser.
//!
//! Types read what they ask for and skip the rest. The reference parses every byte
//! before it looks at any: text that is not UTF-8 or a message nested too deep spoils
//! the whole, wherever it stands. So a Struct is walked over once, without building
//! anything.

use super::error::DecodeError;
use super::reader::{Field, Reader, utf8};
use super::writer::MAX_LEVELS;

/// What a walk over Structs found.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// `NaN` or `Infinity`, if a number is one of them. Only the server asks.
    #[allow(dead_code)]
    pub(crate) not_finite: Option<&'static str>,
}

impl Validation {
    /// A Struct at `level`, counted from the message that has no other around it.
    pub(crate) fn structure(&mut self, message: &[u8], level: usize) -> Result<(), DecodeError> {
        descend(level)?;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            if let (1, Field::Bytes(entry)) = field {
                self.entry(entry, level + 1)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, message: &[u8], level: usize) -> Result<(), DecodeError> {
        descend(level)?;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match field {
                (1, Field::Bytes(key)) => drop(utf8(key)?),
                (2, Field::Bytes(value)) => self.value(value, level + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn value(&mut self, message: &[u8], level: usize) -> Result<(), DecodeError> {
        descend(level)?;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match field {
                (2, Field::Fixed64(bytes)) => self.number(f64::from_le_bytes(bytes)),
                (3, Field::Bytes(text)) => drop(utf8(text)?),
                (5, Field::Bytes(object)) => self.structure(object, level + 1)?,
                (6, Field::Bytes(list)) => self.list(list, level + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&mut self, message: &[u8], level: usize) -> Result<(), DecodeError> {
        descend(level)?;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            if let (1, Field::Bytes(item)) = field {
                self.value(item, level + 1)?;
            }
        }
        Ok(())
    }

    fn number(&mut self, number: f64) {
        if !number.is_finite() {
            self.not_finite.get_or_insert(if number.is_nan() { "NaN" } else { "Infinity" });
        }
    }
}

fn descend(level: usize) -> Result<(), DecodeError> {
    if level > MAX_LEVELS { Err(DecodeError::TooDeep) } else { Ok(()) }
}
