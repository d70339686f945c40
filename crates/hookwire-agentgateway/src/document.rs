//! A JSON object of which some fields change, and all others stay as they came.

use std::fmt;

use bytes::Bytes;
use hookwire::model::Object;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON object, field by field as it was written: in its order, with its own spelling of
/// numbers, with what nobody here knows.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// No two of one name: which of them counts is not the same everywhere, so a guard could be
    /// shown the other one.
    fields: Vec<(String, Box<RawValue>)>,
}

impl Document {
    pub(crate) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// A field as it is written; null is none.
    pub(crate) fn raw(&self, name: &str) -> Option<&RawValue> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| &**value).filter(|value| value.get() != "null")
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> serde_json::Result<Option<T>> {
        self.raw(name).map(|value| serde_json::from_str(value.get())).transpose()
    }

    pub(crate) fn to_object(&self) -> serde_json::Result<Object> {
        let read = |(name, value): &(String, Box<RawValue>)| {
            serde_json::from_str(value.get()).map(|value| (name.clone(), value))
        };
        self.fields.iter().map(read).collect()
    }

    pub(crate) fn set(&mut self, name: &str, value: &impl Serialize) -> serde_json::Result<()> {
        let value = to_raw_value(value)?;
        match self.fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, slot)) => *slot = value,
            None => self.fields.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Makes it say `after`, where it says `before` now: what is the same in both stays as it
    /// is written. True if that changes anything.
    pub(crate) fn update(&mut self, before: &Object, after: Object) -> serde_json::Result<bool> {
        let mut after = after;
        let mut changed = false;
        let mut fields = Vec::with_capacity(self.fields.len());
        for (name, value) in std::mem::take(&mut self.fields) {
            match (before.get(&name), after.remove(&name)) {
                (Some(before), Some(after)) if same(before, &after) => fields.push((name, value)),
                (before, Some(after)) => {
                    let after = keep(before.unwrap_or(&Value::Null), after);
                    fields.push((name, to_raw_value(&after)?));
                    changed = true;
                }
                (_, None) => changed = true,
            }
        }
        changed |= !after.is_empty();
        for (name, value) in after {
            fields.push((name, to_raw_value(&value)?));
        }
        self.fields = fields;
        Ok(changed)
    }

    pub(crate) fn to_bytes(&self) -> serde_json::Result<Bytes> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                let mut names = Vec::from_iter(fields.iter().map(|(name, _)| name));
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(de::Error::custom("a field twice"));
                }
                Ok(Document { fields })
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Whether a plugin sees no difference: numbers reach it as floats.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// `after`, with the numbers of `before` where a plugin has left them as they were.
fn keep(before: &Value, after: Value) -> Value {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keep = |(key, after)| match before.get(&key) {
                Some(before) => (key, keep(before, after)),
                None => (key, after),
            };
            Value::Object(after.into_iter().map(keep).collect())
        }
        // Which is which can be told only if none came or went.
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).map(|(before, after)| keep(before, after)).collect()
        }
        (before, after) if same(before, &after) => before.clone(),
        (_, after) => after,
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
