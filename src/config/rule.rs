//! What the value of each key must be.
//!
//! A section has a table with one rule for each key. Every value is held to its rule
//! before serde's derived code reads the section, so each wrong value of an entry is a
//! problem of its own, reported in the words of its rule.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Number, Value};

use super::problem::{ConfigError, Problems};
use crate::model::Object;

pub(super) type Table = &'static [(&'static str, Rule)];

/// Short enough that a point in time plus a wait can never overflow.
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `Display` completes the words "must be".
pub(super) enum Rule {
    Any,
    Path,
    Text,
    Texts,
    Word(&'static [&'static str]),
    Switch,
    Whole(RangeInclusive<i128>),
    /// Above 0, up to this.
    Seconds(Duration),
    SecondsOrOff(Duration),
    Ids,
    Object,
    Objects,
    /// An object whose value is never shown.
    Secrets,
}

const MERGE_KEY: &str = "<<";

/// Without the largest number, the system's "no id".
const IDS: RangeInclusive<i128> = 0..=u32::MAX as i128 - 1;

impl Rule {
    /// The value as the derived code reads it; `None` where it is refused.
    fn accept(&self, value: &Value) -> Option<Value> {
        let fits = match self {
            Self::Any => true,
            Self::Path | Self::Text => value.is_string(),
            Self::Texts => all(value, |item| item.as_str().is_some_and(|text| !text.is_empty())),
            Self::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            // YAML 1.2 has no booleans `on` and `off`: there they arrive as strings.
            Self::Switch => match value.as_str() {
                Some("on") => return Some(true.into()),
                Some("off") => return Some(false.into()),
                _ => value.is_boolean(),
            },
            Self::Whole(range) => return whole(value, range),
            Self::Seconds(most) => value
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .is_some_and(|duration| !duration.is_zero() && duration <= *most),
            // YAML 1.1 takes `off` for a boolean.
            Self::SecondsOrOff(_) if *value == false || *value == "off" => {
                return Some(Value::Null);
            }
            Self::SecondsOrOff(most) => return Self::Seconds(*most).accept(value),
            Self::Ids => return value.as_array()?.iter().map(|id| whole(id, &IDS)).collect(),
            Self::Object | Self::Secrets => value.is_object(),
            Self::Objects => all(value, Value::is_object),
        };
        fits.then(|| value.clone())
    }
}

fn all(list: &Value, fits: impl Fn(&Value) -> bool) -> bool {
    list.as_array().is_some_and(|items| items.iter().all(fits))
}

/// Whole numbers may come as floats (`100.0`): that is how the wire carries them.
fn whole(value: &Value, range: &RangeInclusive<i128>) -> Option<Value> {
    let number = value.as_number()?;
    let float = || number.as_f64().filter(|float| float.fract() == 0.0);
    let number = number.as_i128().or_else(|| float().map(|float| float as i128))?;
    range.contains(&number).then(|| Number::from_i128(number).map(Value::Number))?
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Path => f.write_str("a string, in UTF-8"),
            Self::Text => f.write_str("a string (in quotes if it looks like a number)"),
            Self::Texts => f.write_str("a list of non-empty strings"),
            Self::Word(words) => write!(f, "one of `{}`", words.join("`, `")),
            Self::Switch => f.write_str("true, false, `on` or `off`"),
            Self::Whole(range) => {
                write!(f, "a whole number from {} to {}", range.start(), range.end())
            }
            Self::Seconds(most) => {
                write!(f, "a number of seconds above 0 and at most {}", most.as_secs_f64())
            }
            Self::SecondsOrOff(most) => write!(f, "{}, or `off`", Self::Seconds(*most)),
            Self::Ids => {
                write!(f, "a list of ids, whole numbers from {} to {}", IDS.start(), IDS.end())
            }
            Self::Object | Self::Secrets => f.write_str("an object"),
            Self::Objects => f.write_str("a list of objects"),
        }
    }
}

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

/// Durations are seconds in a file.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        duration: &(impl Copy + Into<Option<Duration>>),
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (*duration).into().as_ref().map(Duration::as_secs_f64).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<Duration>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map(T::from).map_err(D::Error::custom)
    }
}
