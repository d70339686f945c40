//! What values must be: a rule takes one as it was written, and gives it as the key holds it
//! or the reason why it is refused.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::model::Object;

pub(super) type Held<T> = Result<T, String>;

/// Short enough that a point in time plus a wait can never overflow.
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) const U32: RangeInclusive<i128> = 0..=u32::MAX as i128;

/// What `sun_path` holds, without the NUL at its end.
const MAX_PATH: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

pub(super) const MERGE_KEY: &str = "a YAML merge key that was not resolved; write its keys out, or have them merged first (`apply_merge` in serde_yaml and its successors)";

/// For a key that may be not set.
pub(super) fn some<T>(rule: impl Fn(&Value) -> Held<T>) -> impl Fn(&Value) -> Held<Option<T>> {
    move |value| rule(value).map(Some)
}

pub(super) fn text(value: &Value) -> Held<String> {
    held(value, "must be a string (in quotes if it looks like a number)")
}

pub(super) fn name(value: &Value) -> Held<String> {
    match text(value)? {
        name if name.is_empty() => Err("must not be empty".into()),
        name => replaced(value).map(|()| name),
    }
}

/// Of a socket.
pub(super) fn path(value: &Value) -> Held<PathBuf> {
    let path = file(value)?;
    match path.as_os_str().len() {
        len if len > MAX_PATH => {
            Err(format!("must be at most {MAX_PATH} bytes long (a limit of the system), not {len}"))
        }
        _ => Ok(path),
    }
}

/// The path of any file.
pub(super) fn file(value: &Value) -> Held<PathBuf> {
    let path: String = held(value, "must be a string, in UTF-8")?;
    replaced(value)?;
    match path.len() {
        0 => Err("must not be empty".into()),
        _ if !path.starts_with('/') => Err("must be absolute".into()),
        _ if path.contains(char::is_control) => Err("must not contain control characters".into()),
        _ => Ok(path.into()),
    }
}

pub(super) fn texts(value: &Value) -> Held<Vec<String>> {
    let refusal = "must be a list of non-empty strings";
    let texts: Vec<String> = held(value, refusal)?;
    replaced(value)?;
    if texts.iter().any(String::is_empty) { Err(refusal.into()) } else { Ok(texts) }
}

pub(super) fn word<T: DeserializeOwned>(words: &[&str]) -> impl Fn(&Value) -> Held<T> {
    move |value| held(value, &format!("must be one of `{}`", words.join("`, `")))
}

/// YAML 1.2 has no booleans `on` and `off`: there they arrive as strings.
pub(super) fn switch(value: &Value) -> Held<bool> {
    match value.as_str() {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        _ => held(value, "must be true, false, `on` or `off`"),
    }
}

/// The first two words may be false and true.
pub(super) fn switch_or_word<T: DeserializeOwned>(words: &[&str]) -> impl Fn(&Value) -> Held<T> {
    move |value| {
        let switch = value.as_bool().map(|on| Value::from(words[usize::from(on)]));
        let refusal = format!("must be true, false or one of `{}`", words.join("`, `"));
        held(switch.as_ref().unwrap_or(value), &refusal)
    }
}

/// Whole numbers may come as floats (`100.0`): that is how the wire carries them.
pub(super) fn whole<T: TryFrom<i128>>(range: RangeInclusive<i128>) -> impl Fn(&Value) -> Held<T> {
    move |value| {
        let float = || value.as_f64().filter(|float| float.fract() == 0.0);
        let whole = value.as_number().and_then(|number| number.as_i128());
        let whole = whole.or_else(|| float().map(|float| float as i128));
        let whole = whole.filter(|whole| range.contains(whole)).map(T::try_from);
        whole.and_then(Result::ok).ok_or_else(|| {
            format!("must be a whole number from {} to {}", range.start(), range.end())
        })
    }
}

/// Above 0, up to `most`.
pub(super) fn seconds(most: Duration) -> impl Fn(&Value) -> Held<Duration> {
    move |value| {
        let duration = value.as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let fits = |duration: &Duration| !duration.is_zero() && *duration <= most;
        duration.filter(fits).ok_or_else(|| {
            let most = most.as_secs_f64();
            format!("must be a number of seconds above 0 and at most {most}")
        })
    }
}

/// YAML 1.1 takes `off` for a boolean.
pub(super) fn seconds_or_off(most: Duration) -> impl Fn(&Value) -> Held<Option<Duration>> {
    move |value| match value {
        Value::Bool(false) => Ok(None),
        off if off == "off" => Ok(None),
        _ => some(seconds(most))(value).map_err(|reason| format!("{reason}, or `off`")),
    }
}

/// Without the largest number, the system's "no id".
pub(super) fn ids(value: &Value) -> Held<Vec<u32>> {
    let most = u32::MAX - 1;
    let ids = value
        .as_array()
        .and_then(|ids| ids.iter().map(|id| whole(0..=most.into())(id).ok()).collect());
    ids.ok_or_else(|| format!("must be a list of ids, whole numbers from 0 to {most}"))
}

pub(super) fn object(value: &Value) -> Held<Object> {
    held(value, "must be an object").and_then(|object| replaced(value).map(|()| object))
}

pub(super) fn objects(value: &Value) -> Held<Vec<Object>> {
    held(value, "must be a list of objects").and_then(|list| replaced(value).map(|()| list))
}

fn held<T: DeserializeOwned>(value: &Value, refusal: &str) -> Held<T> {
    T::deserialize(value).map_err(|_| refusal.into())
}

/// Refuses what should have been replaced before, here or anywhere within: text like
/// `{{ env.DIR }}` or `{% if dev %}`, and YAML's merge keys.
pub(super) fn replaced(value: &Value) -> Held<()> {
    let is_template = |text: &str| {
        [("{{", "}}"), ("{%", "%}")].into_iter().any(|(open, close)| {
            text.split_once(open).is_some_and(|(_, after)| after.contains(close))
        })
    };
    match value {
        Value::String(text) if is_template(text) => {
            Err("a template that was not rendered; render the file before it is read here".into())
        }
        Value::Array(items) => items.iter().try_for_each(replaced),
        Value::Object(keys) if keys.contains_key("<<") => Err(MERGE_KEY.into()),
        Value::Object(keys) => keys.values().try_for_each(replaced),
        _ => Ok(()),
    }
}

/// Durations are seconds in a file.
pub(super) fn in_seconds<S: Serializer>(
    duration: &(impl Copy + Into<Option<Duration>>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    (*duration).into().map(|duration| duration.as_secs_f64()).serialize(serializer)
}

/// An empty path is one that was not set. What is not UTF-8 becomes a list of bytes, which is
/// then refused: written any other way, it would name another file.
pub(super) fn path_or_bytes<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some("") => serializer.serialize_none(),
        Some(path) => path.serialize(serializer),
        None => path.as_os_str().as_encoded_bytes().serialize(serializer),
    }
}

/// The same, of one that may be not set.
#[cfg(feature = "grpc")]
pub(super) fn some_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path_or_bytes(path.as_deref().unwrap_or(Path::new("")), serializer)
}

/// Of a key that is not off by default: what is not set would be the default.
#[cfg(feature = "grpc")]
pub(super) fn in_seconds_or_off<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(_) => in_seconds(duration, serializer),
        None => serializer.serialize_str("off"),
    }
}
