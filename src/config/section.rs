//! Reads the keys of a section, and collects everything that is wrong with it.
//!
//! Builders write the section that a file would have, and it is read in the same way.

use serde::Serialize;
use serde_json::Value;

use super::problem::{ConfigError, Problems};
use super::rule::{Held, MERGE_KEY, replaced};
use crate::model::Object;

/// A section as it was written, and where its problems go.
pub(super) struct Section<'a> {
    keys: &'a Object,
    prefix: &'static str,
    problems: &'a mut Problems,
}

impl<'a> Section<'a> {
    pub(super) fn new(keys: &'a Object, prefix: &'static str, problems: &'a mut Problems) -> Self {
        Self { keys, prefix, problems }
    }

    /// A section in this one.
    pub(super) fn within(&mut self, keys: &'a Object, prefix: &'static str) -> Section<'_> {
        Section { keys, prefix, problems: self.problems }
    }

    /// Null counts as not set: so the wire has it.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// Sets a key to what its rule makes of the value, if there is one.
    pub(super) fn read<T>(&mut self, key: &str, held: &mut T, rule: impl Fn(&Value) -> Held<T>) {
        match self.get(key).map(|value| (rule(value), value)) {
            Some((Ok(accepted), _)) => *held = accepted,
            Some((Err(reason), value)) => {
                self.refuse(key, replaced(value).err().unwrap_or(reason));
            }
            None => {}
        }
    }

    /// Refuses that a key is not set.
    pub(super) fn needs(&mut self, key: &str, why: &str) {
        if self.get(key).is_none() {
            self.refuse(key, format!("missing; {why}"));
        }
    }

    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.add(format!("{}{key}", self.prefix), self.get(key), reason);
    }

    /// Without the value: the key itself is the problem, or the value may be a secret.
    pub(super) fn refuse_key(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.add(format!("{}{key}", self.prefix), None, reason);
    }

    /// The keys that are not known, each with a known one that is much like it.
    ///
    /// A reader of YAML that leaves merge keys alone would have their contents ignored: they
    /// are refused here.
    pub(super) fn unknown(
        &mut self,
        known: &[&[&'static str]],
    ) -> Vec<(&'a str, Option<&'static str>)> {
        if self.keys.contains_key("<<") {
            self.refuse_key("<<", MERGE_KEY);
        }
        unknown(self.keys, known)
    }

    /// Refuses the keys that are not known, each with the known one that was probably meant.
    pub(super) fn refuse_unknown(&mut self, known: &[&[&'static str]]) {
        for (key, nearest) in self.unknown(known) {
            let meant = nearest.map(|known| format!(", did you mean `{known}`?"));
            self.refuse_key(key, format!("unknown key{}", meant.unwrap_or_default()));
        }
    }
}

/// The keys that are not known, but for the merge key, each with a known one that is much
/// like it.
pub(super) fn unknown<'a>(
    keys: &'a Object,
    known: &[&[&'static str]],
) -> Vec<(&'a str, Option<&'static str>)> {
    let known = known.concat();
    let keys = keys.keys().map(String::as_str);
    let unknown = keys.filter(|key| *key != "<<" && !known.contains(key));
    unknown.map(|key| (key, nearest(key, &known))).collect()
}

/// Edit distance finds typing errors, shared pairs of letters find parts of a name
/// (`backoff` for `max_backoff`). Of two keys that have little in common, neither is meant.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key = key.to_lowercase();
    let likeness = |known: &str| {
        let typed = strsim::normalized_damerau_levenshtein(&key, known);
        typed.max(strsim::sorensen_dice(&key, known))
    };
    let known = known.iter().map(|known| (likeness(known), *known));
    let (likeness, nearest) = known.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= 0.4).then_some(nearest)
}

/// The keys as a file would have them, without those that are not set.
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
    prefix: &'static str,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> Result<T, ConfigError> {
    let mut problems = Problems::default();
    let built = read(&mut Section::new(&written(values), prefix, &mut problems));
    problems.unless_any(None, Some(built))
}
