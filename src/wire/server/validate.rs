//! Whether a request parses at all, by the rules of the reference server's parser.
//!
//! The server reads what a plugin's types ask for and skips the rest. The
//! reference parses every byte before it looks at any: text that is not UTF-8 or
//! a message nested too deep makes the whole request something else, wherever it
//! stands. So requests are walked over once, without building anything.

use crate::wire::DecodeError;
use crate::wire::structpb::reader::{Field, Reader, utf8};
use crate::wire::structpb::writer::MAX_LEVELS;

/// What a walk over the Structs of a request found.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// `NaN` or `Infinity`, if a number is one of them.
    pub(super) not_finite: Option<&'static str>,
}

impl Check {
    /// A Struct at `level`, counted from the request, which is level 0.
    pub(super) fn structure(&mut self, message: &[u8], level: usize) -> Result<(), DecodeError> {
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

    /// A PluginContext at level 1.
    pub(super) fn context(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match field {
                (1, Field::Bytes(global)) => self.global_context(global)?,
                (2 | 3, Field::Bytes(object)) => self.structure(object, 2)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A GlobalContext at level 2.
    fn global_context(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match field {
                (1..=4, Field::Bytes(text)) => drop(utf8(text)?),
                (5..=7, Field::Bytes(object)) => self.structure(object, 3)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn descend(level: usize) -> Result<(), DecodeError> {
    if level > MAX_LEVELS { Err(DecodeError::TooDeep) } else { Ok(()) }
}
