//! Reads a section by its table, which has a rule for each key.
//!
//! Every value is held to its rule before serde's derived code reads the section, so each
//! wrong value of an entry is a problem of its own. Builders write the section that a file
//! would hold and have it read, so both pass the same checks.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::problem::{ConfigError, Problems};
use super::rule::Rule;
use crate::model::Object;

pub(super) type Table = &'static [(&'static str, Rule)];

const MERGE_KEY: &str = "<<";

/// The values that their rules accept. Null counts as not set: so the wire has it.
pub(super) fn accepted(
    section: &Object,
    prefix: &str,
    tables: &[Table],
    problems: &mut Problems,
) -> Object {
    let mut accepted = Object::new();
    for (key, rule) in tables.iter().copied().flatten() {
        let Some(value) = section.get(*key).filter(|value| !value.is_null()) else { continue };
        match rule.accept(value) {
            Some(Value::Null) => {}
            Some(value) => drop(accepted.insert((*key).to_owned(), value)),
            None => {
                let shown = (!matches!(rule, Rule::Secrets)).then_some(value);
                problems.add(format!("{prefix}{key}"), shown, format!("must be {rule}"));
            }
        }
    }
    accepted
}

/// A struct from the keys of its tables; what is missing or refused has its default.
pub(super) fn read<T: DeserializeOwned + Default>(
    section: &Object,
    prefix: &str,
    tables: &[Table],
    problems: &mut Problems,
) -> T {
    let accepted = Value::Object(accepted(section, prefix, tables, problems));
    serde_json::from_value(accepted).unwrap_or_else(|error| {
        problems.add(format!("{prefix}*"), None, error.to_string());
        T::default()
    })
}

/// The keys as a file would hold them, without those that are not set.
pub(super) fn written(values: &impl Serialize) -> Object {
    match serde_json::to_value(values) {
        Ok(Value::Object(mut section)) => {
            section.retain(|_, value| !value.is_null());
            section
        }
        _ => Object::new(),
    }
}

/// Holds what was set in code to the rules for a file.
pub(super) fn built<T>(
    values: &impl Serialize,
    read: impl FnOnce(&Object, &mut Problems) -> T,
) -> Result<T, ConfigError> {
    let mut problems = Problems::default();
    let built = read(&written(values), &mut problems);
    problems.unless_any(None, Some(built))
}

/// A reader of YAML that leaves merge keys alone would have their contents ignored.
pub(super) fn refuse_merge_key(section: &Object, prefix: &str, problems: &mut Problems) {
    if section.contains_key(MERGE_KEY) {
        problems.add(format!("{prefix}{MERGE_KEY}"), None, "a YAML merge key that was not resolved; write its keys out, or have them merged first (`apply_merge` in serde_yaml and its successors)");
    }
}

/// The keys that the tables do not have, each with the known one that is most like it,
/// and their likeness from 0 to 1.
///
/// Edit distance finds typing errors, shared pairs of letters find parts of a name
/// (`backoff` for `max_backoff`): the better of both counts.
pub(super) fn unknown<'a>(
    section: &'a Object,
    tables: &[Table],
) -> Vec<(&'a str, (&'static str, f64))> {
    let known: Vec<&'static str> = tables.iter().copied().flatten().map(|(key, _)| *key).collect();
    let likeness = |key: &str, known: &str| {
        let typed = strsim::normalized_damerau_levenshtein(key, known);
        typed.max(strsim::sorensen_dice(key, known))
    };
    let nearest = |key: &str| {
        let key = key.to_lowercase();
        let all = known.iter().map(|known| (*known, likeness(&key, known)));
        all.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap_or_default()
    };
    let unknown = section.keys().filter(|key| !known.contains(&key.as_str()) && *key != MERGE_KEY);
    unknown.map(|key| (key.as_str(), nearest(key))).collect()
}
