//! A section as it was written, in any self-describing format, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Number, Value};

use super::problem::{Problems, shown};
use crate::model::Object;

/// YAML and TOML have `.inf` and `nan`. JSON has neither and turns them into null,
/// which would silently stand for the default; here they stay visible.
#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Number(Number),
    NotFinite(f64),
    Section(BTreeMap<Key, Raw>),
    List(Vec<Raw>),
    Other(Value),
    NotJson(IgnoredAny),
}

/// YAML has keys of any type.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(from = "Raw")]
enum Key {
    Text(String),
    /// As it is shown.
    Odd(String),
}

impl From<Raw> for Key {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::Other(Value::String(text)) => Self::Text(text),
            Raw::Section(section) => Self::Odd(braces(&section).unwrap_or("an object".into())),
            other => Self::Odd(shown(&other.into_json("", &mut Problems::default()))),
        }
    }
}

/// Text in braces that lacks its quotes is a map of keys without values; in double braces,
/// one whose key is such a map.
fn braces(section: &BTreeMap<Key, Raw>) -> Option<String> {
    let text = match section.keys().next()? {
        _ if section.len() > 1 => "{ … }".into(),
        Key::Odd(key) if key.starts_with('{') => format!("{{{key}}}"),
        Key::Text(key) | Key::Odd(key) => format!("{{ {key} }}"),
    };
    section.values().all(|value| matches!(value, Raw::Other(Value::Null))).then_some(text)
}

impl Raw {
    fn into_json(self, place: &str, problems: &mut Problems) -> Value {
        match self {
            Self::Number(number) => number.into(),
            Self::NotFinite(number) => number.to_string().into(),
            Self::Section(section) => match braces(&section) {
                Some(template) if template.starts_with("{{") => template.into(),
                _ => object(section, place, problems).into(),
            },
            Self::List(list) => {
                list.into_iter().map(|item| item.into_json(place, problems)).collect()
            }
            Self::Other(value) => value,
            // No rule accepts this, and an unknown key may hold anything.
            Self::NotJson(_) => Value::Array(vec![Value::Null]),
        }
    }
}

fn object(section: BTreeMap<Key, Raw>, place: &str, problems: &mut Problems) -> Object {
    let mut object = Object::new();
    for (key, raw) in section {
        match key {
            Key::Text(key) => {
                let within = if place.is_empty() { format!("{key}.") } else { place.into() };
                let value = raw.into_json(&within, problems);
                object.insert(key, value);
            }
            Key::Odd(key) => {
                problems.add(
                    format!("{place}{key}"),
                    None,
                    "a key must be a string; put it in quotes",
                );
            }
        }
    }
    object
}

/// A section; a key that is not known may hold anything.
pub(super) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    place: &str,
    known: &[&[&str]],
    problems: &mut Problems,
) -> Result<Object, D::Error> {
    let mut section = BTreeMap::<Key, Raw>::deserialize(deserializer)?;
    for (key, raw) in &mut section {
        if matches!(key, Key::Text(key) if !known.concat().contains(&key.as_str())) {
            *raw = Raw::Other(Value::Null);
        }
    }
    Ok(object(section, place, problems))
}
