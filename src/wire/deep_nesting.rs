//! What happens to objects and lists that nest deeper than the server's parser goes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::structpb::writer::MAX_LEVELS;
use crate::model::Object;

/// What happens to objects and lists that nest too deep: 32 objects, or 48 lists, below a
/// payload's field. The reference server's parser gives up there, and skips the hook.
///
/// ```
/// assert_eq!(hookwire::DeepNesting::default(), hookwire::DeepNesting::Refuse);
/// assert_eq!(hookwire::DeepNesting::Text.as_str(), "text");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeepNesting {
    /// The call is refused before anything is sent. The default.
    #[default]
    Refuse,
    /// What nests too deep becomes a string, its JSON text: the plugin still sees all of it.
    /// In a payload that the plugin changes, the string stays in its place.
    Text,
}

impl DeepNesting {
    /// The words of a configuration.
    pub(crate) const WORDS: &[&str] = &["refuse", "text"];

    /// The word that stands for it in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for DeepNesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Puts its JSON text in place of whatever nests too deep in an object that is written with
/// `around` messages around it.
pub(crate) fn flatten(object: &mut Object, around: usize) {
    object.values_mut().for_each(|value| flatten_value(value, around + 1));
}

/// `open` is the number of messages that are open where the value is written. It takes two
/// itself, and what is inside an object another two, inside a list one.
fn flatten_value(value: &mut Value, open: usize) {
    let inside = match value {
        Value::Object(_) => 2,
        Value::Array(_) => 1,
        _ => return,
    };
    if open + 2 + inside > MAX_LEVELS {
        *value = Value::String(value.to_string());
        return;
    }
    match value {
        Value::Object(object) => flatten(object, open + 2),
        Value::Array(items) => items.iter_mut().for_each(|item| flatten_value(item, open + 2)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::structpb::ser::write_struct;
    use crate::wire::structpb::writer::Writer;

    fn is_written(object: &Object, around: usize) -> bool {
        let mut writer = Writer::with_capacity(256);
        (0..around).for_each(|_| writer.begin(0x0a).unwrap());
        write_struct(&mut writer, object).is_ok()
    }

    fn nested(depth: usize, of_lists: usize) -> Object {
        let lists = (0..of_lists).fold(json!({"end": [1]}), |value, _| json!([value, "beside"]));
        let value = (0..depth).fold(lists, |value, _| json!({"beside": true, "k": value}));
        json!({ "args": value }).as_object().unwrap().clone()
    }

    /// The text, and how many objects and lists are around it.
    fn text_in(value: &Value) -> Option<(usize, String)> {
        let inner = match value {
            Value::String(text) if text.starts_with(['{', '[']) => return Some((0, text.clone())),
            Value::Object(object) => object.values().find_map(text_in),
            Value::Array(items) => items.iter().find_map(text_in),
            _ => None,
        };
        inner.map(|(depth, text)| (depth + 1, text))
    }

    #[test]
    fn what_the_encoder_takes_stays_as_it_is_and_nothing_else_does() {
        for around in [1, 2, 3] {
            for (depth, lists) in (0..60).flat_map(|depth| [0, 1, 7, 60].map(|n| (depth, n))) {
                let object = nested(depth, lists);
                let mut flat = object.clone();
                flatten(&mut flat, around);
                assert_eq!(flat == object, is_written(&object, around), "{around} {depth} {lists}");
                assert!(is_written(&flat, around), "{around} {depth} {lists}");
            }
        }
    }

    #[test]
    fn the_text_is_all_that_was_there() {
        let object = nested(80, 5);
        let mut flat = object.clone();
        flatten(&mut flat, 1);
        let (depth, text) = text_in(&Value::Object(flat)).unwrap();
        let mut cut = &Value::Object(object);
        for _ in 0..depth {
            cut = cut.get("k").or_else(|| cut.get("args")).unwrap();
        }
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), *cut);
    }
}
