//! What the value of each key must be.
//!
//! A rule judges a value as it is in a file, puts it into the form that serde's derived
//! code reads, and has the words for a refusal.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Number, Value};

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
    /// One of these words; the first two may be false and true.
    SwitchOr(&'static [&'static str]),
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

/// Without the largest number, the system's "no id".
const IDS: RangeInclusive<i128> = 0..=u32::MAX as i128 - 1;

impl Rule {
    /// The value as the derived code reads it; `None` where it is refused.
    pub(super) fn accept(&self, value: &Value) -> Option<Value> {
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
            Self::SwitchOr(words) => match value.as_bool() {
                Some(on) => return words.get(usize::from(on)).map(|word| (*word).into()),
                None => value.as_str().is_some_and(|word| words.contains(&word)),
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
            Self::SwitchOr(words) => write!(f, "true, false or one of `{}`", words.join("`, `")),
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
