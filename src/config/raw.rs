//! An entry as it was written, in any self-describing format, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Number, Value};

use crate::model::Object;

/// YAML and TOML have `.inf` and `nan`. JSON has neither and turns them into null,
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
            // No rule accepts this, and an unknown key may hold anything.
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
