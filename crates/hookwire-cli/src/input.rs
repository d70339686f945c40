//! Values from the command line: numbers, and JSON that is written out, in a file, or on
//! stdin.

use std::io::Read;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::Duration;

use hookwire::model::Object;
use hookwire::{CallPolicy, PluginContext};
use serde_json::Value;

use crate::failure::Failure;

/// The keys of a context and of its global part. Others would be ignored by the
/// reader, and a value in the wrong place would be missed without a word.
const CONTEXT_KEYS: [&str; 3] = ["global_context", "state", "metadata"];
const GLOBAL_KEYS: [&str; 6] =
    ["request_id", "server_id", "tenant_id", "user", "metadata", "state"];

/// What the global part of the reference's contexts has beside them: the library tells why
/// it cannot be sent.
const NOT_ON_THE_WIRE: [&str; 2] = ["user_context", "content_type"];

/// Reads a JSON object given as itself, as `@FILE`, or as `-` for stdin.
pub(crate) fn object(what: &str, source: &str) -> Result<Object, Failure> {
    let text = match (source, source.strip_prefix('@')) {
        ("-", _) => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map(|_| text).map_err(|error| format!("stdin cannot be read: {error}"))
        }
        (_, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| format!("the file {path} cannot be read: {error}")),
        _ => Ok(source.to_owned()),
    };
    let text = text.map_err(|reason| Failure::usage(format!("{what}: {reason}")))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::usage(format!(
            "{what} must be a JSON object, such as {{\"name\": \"search\"}}"
        ))),
        Err(error) => Err(Failure::usage(format!("{what} is not valid JSON: {error}"))),
    }
}

/// Reads a context; the request id is made up where none is given. A null is "not set",
/// whatever its key is: the reference's contexts have all of them.
pub(crate) fn context(source: Option<&str>) -> Result<PluginContext, Failure> {
    let mut context =
        source.map_or_else(|| Ok(Object::new()), |source| object("--context", source))?;
    context.retain(|_, value| !value.is_null());
    refuse_unknown(&context, "", &CONTEXT_KEYS)?;
    let global = context.entry("global_context").or_insert_with(|| Object::new().into());
    if let Value::Object(global) = global {
        global.retain(|_, value| !value.is_null());
        if !NOT_ON_THE_WIRE.iter().any(|key| global.contains_key(*key)) {
            refuse_unknown(global, "global_context.", &GLOBAL_KEYS)?;
        }
        global.entry("request_id").or_insert_with(|| request_id().into());
    }
    serde_path_to_error::deserialize(Value::from(context))
        .map_err(|error| Failure::usage(format!("--context: {error}")))
}

fn refuse_unknown(object: &Object, prefix: &str, known: &[&str]) -> Result<(), Failure> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let known = known.join(", ");
            Err(Failure::usage(format!(
                "--context: unknown key `{prefix}{key}`; known are {known}"
            )))
        }
        None => Ok(()),
    }
}

fn request_id() -> String {
    format!("hookwire-{:032x}", fastrand::u128(..))
}

/// Calls per second: above 0, and no more than a billion.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(rate),
        _ => {
            Err("must be a number of calls per second above 0 and at most 1000000000, such as 500"
                .to_owned())
        }
    }
}

/// A whole number within bounds.
pub(crate) fn whole<N: TryFrom<u64>>(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        let number = text.parse::<u64>().ok().filter(|number| bounds.contains(number));
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            match *most {
                u64::MAX => format!("must be a whole number, at least {least}"),
                _ => format!("must be a whole number from {least} to {most}"),
            }
        })
    }
}

/// The library's own time for a call, as it is written on the command line.
pub(crate) static TIMEOUT: LazyLock<String> = LazyLock::new(|| {
    let policy = CallPolicy::builder().build();
    policy.map(|policy| policy.timeout().as_secs_f64().to_string()).unwrap_or_default()
});

/// The library's bounds of a message, in bytes.
pub(crate) const FRAME_LEN: RangeInclusive<u64> = 1024..=u32::MAX as u64;

/// The longest time that the library takes.
const YEAR: f64 = 365.0 * 24.0 * 60.0 * 60.0;

/// A number of seconds, such as 0.5.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= YEAR);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // What is above 0, but too short to be told, is as short as can be.
    duration.map(|duration| duration.max(Duration::from_nanos(1))).ok_or_else(|| {
        format!("must be a number of seconds above 0 and at most {YEAR} (a year), such as 0.5")
    })
}
