//! JSON from the command line: written out, in a file, or on stdin.

use std::io::Read;
use std::time::Duration;

use hookwire::PluginContext;
use hookwire::model::Object;
use serde_json::Value;

use crate::failure::Failure;

/// The keys of a context and of its global part. Others would be ignored by the
/// reader, and a value in the wrong place would be missed without a word.
const CONTEXT_KEYS: [&str; 3] = ["global_context", "state", "metadata"];
const GLOBAL_KEYS: [&str; 6] =
    ["request_id", "server_id", "tenant_id", "user", "metadata", "state"];

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

/// Reads a context; the request id is made up where none is given.
pub(crate) fn context(source: Option<&str>) -> Result<PluginContext, Failure> {
    let mut context =
        source.map_or_else(|| Ok(Object::new()), |source| object("--context", source))?;
    refuse_unknown(&context, "", &CONTEXT_KEYS)?;
    let global = context.entry("global_context").or_insert_with(|| Object::new().into());
    if let Value::Object(global) = global {
        refuse_unknown(global, "global_context.", &GLOBAL_KEYS)?;
        global.entry("request_id").or_insert_with(|| request_id().into());
    }
    serde_json::from_value(context.into())
        .map_err(|error| Failure::usage(format!("--context is not a plugin context: {error}")))
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
        _ => Err("must be a number of calls per second above 0, such as 500".to_owned()),
    }
}

/// A number of seconds above 0, such as 0.5.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "not a number of seconds, such as 0.5".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be a number of seconds above 0".to_owned()),
    }
}
