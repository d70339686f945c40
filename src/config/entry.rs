//! An entry as it was written, before anything is known to be right.
//!
//! Typed deserialisation stops at its first problem. So an entry is taken in as
//! plain JSON values first, whatever format it is in, and its keys are then read
//! one by one, each adding its problem to those found before.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Number, Value};

use super::problem::Problems;
use super::setting::Setting;

/// A JSON object.
pub(super) type Object = serde_json::Map<String, Value>;

/// A value of any self-describing format.
///
/// YAML and TOML can say `.inf` and `nan`. JSON cannot, and turns them into null,
/// which would silently stand for the default; here they stay visible.
#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Number(Number),
    NotFinite(f64),
    Section(BTreeMap<String, Raw>),
    Other(Value),
    NotJson(IgnoredAny),
}

impl From<Raw> for Value {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::Number(number) => Self::Number(number),
            Raw::NotFinite(number) => Self::String(number.to_string()),
            Raw::Section(section) => Self::Object(object(section)),
            Raw::Other(value) => value,
            // No setting accepts this, and an unknown key may hold anything.
            Raw::NotJson(_) => Self::Array(vec![Self::Null]),
        }
    }
}

fn object(section: BTreeMap<String, Raw>) -> Object {
    section.into_iter().map(|(key, value)| (key, value.into())).collect()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
    BTreeMap::deserialize(deserializer).map(object)
}

/// Reads the keys of one section and notes what is wrong with them.
pub(super) struct Section<'a> {
    prefix: &'static str,
    entry: &'a Object,
    problems: &'a mut Problems,
}

impl<'a> Section<'a> {
    /// `prefix` is what the keys of this section are called by in problems.
    pub(super) fn new(prefix: &'static str, entry: &'a Object, problems: &'a mut Problems) -> Self {
        Self { prefix, entry, problems }
    }

    /// The value as it was written. Null means "not set": so the wire says it.
    pub(super) fn raw(&self, key: &str) -> Option<&'a Value> {
        self.entry.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.entry.keys().map(String::as_str)
    }

    /// The value of a key; `None` where it is not set, or refused.
    pub(super) fn read<T: Setting>(&mut self, key: &str, bounds: &T::Bounds) -> Option<T> {
        let raw = self.raw(key)?;
        let value = T::read(raw, bounds);
        if value.is_none() {
            self.refuse(key, format!("must be {}", T::rule(bounds)));
        }
        value
    }

    /// As [`read`](Self::read), of a key whose value may be a secret.
    pub(super) fn read_unshown<T: Setting>(&mut self, key: &str, bounds: &T::Bounds) -> Option<T> {
        let value = T::read(self.raw(key)?, bounds);
        if value.is_none() {
            self.complain(key, format!("must be {}", T::rule(bounds)));
        }
        value
    }

    /// Notes that the value of a key is not acceptable.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        let value = self.entry.get(key).unwrap_or(&Value::Null);
        self.problems.refused(format!("{}{key}", self.prefix), value, reason);
    }

    /// Notes that a key is missing, or should not be there.
    pub(super) fn complain(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.key(format!("{}{key}", self.prefix), reason);
    }
}

/// The known key that looks most like `key`, with the likeness from 0 to 1.
///
/// Edit distance finds typing errors, shared pairs of letters find parts of a
/// name (`backoff` for `max_backoff`): the better of both counts.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> (&'k str, f64) {
    let key = key.to_lowercase();
    let likeness = |known: &str| {
        strsim::normalized_damerau_levenshtein(&key, known).max(strsim::sorensen_dice(&key, known))
    };
    known
        .iter()
        .map(|known| (*known, likeness(known)))
        .fold(("", -1.0), |best, candidate| if candidate.1 > best.1 { candidate } else { best })
}
