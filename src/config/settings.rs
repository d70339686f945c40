//! The keys of an entry beside its transport: who the plugin is, and what the gateway is
//! told about it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Problems;
use super::rule::Rule;
use super::section::{self, Table};
use super::words::{OnError, PluginMode};
use crate::model::Object;

/// Always local. The transports are known here and read elsewhere.
pub(super) const LOCAL: Table = &[
    ("name", Rule::Text),
    ("kind", Rule::Text),
    ("mcp", Rule::Any),
    ("grpc", Rule::Any),
    ("unix_socket", Rule::Object),
];

/// What the plugin's server fills where the entry does not set it.
pub(super) const SHARED: Table = &[
    ("description", Rule::Text),
    ("author", Rule::Text),
    ("namespace", Rule::Text),
    ("version", Rule::Text),
    ("hooks", Rule::Texts),
    ("tags", Rule::Texts),
    ("mode", Rule::Word(PluginMode::WORDS)),
    ("on_error", Rule::Word(OnError::WORDS)),
    ("priority", Rule::Whole(i32::MIN as i128..=i32::MAX as i128)),
    ("max_content_size", Rule::Whole(0..=u64::MAX as i128)),
    ("conditions", Rule::Objects),
    ("applied_to", Rule::Object),
    ("capabilities", Rule::Texts),
    ("config", Rule::Secrets),
];

/// The keys of [`LOCAL`] and [`SHARED`], checked or not; `None` is "not set".
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) description: Option<String>,
    pub(super) author: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) version: Option<String>,
    pub(super) hooks: Option<Vec<String>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) mode: Option<PluginMode>,
    pub(super) on_error: Option<OnError>,
    pub(super) priority: Option<i32>,
    pub(super) max_content_size: Option<u64>,
    pub(super) conditions: Option<Vec<Object>>,
    pub(super) applied_to: Option<Object>,
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) config: Option<Object>,
}

/// The kind of every plugin that is reached over a transport.
pub(super) const EXTERNAL: &str = "external";

impl Settings {
    pub(super) fn read(entry: &Object, problems: &mut Problems) -> Self {
        let mut settings: Self = section::read(entry, "", &[LOCAL, SHARED], problems);
        let set = |key: &str| entry.get(key).filter(|value| !value.is_null());
        if set("name").is_none() {
            problems.add("name", None, "missing; it must be the plugin's name on its server");
        } else if entry["name"] == "" {
            problems.add("name", Some(&entry["name"]), "must not be empty");
        }
        if settings.kind.get_or_insert_with(|| EXTERNAL.into()) != EXTERNAL {
            return settings;
        }
        // As in the reference, an empty section is as good as none.
        if settings.config.take().is_some_and(|config| !config.is_empty()) {
            problems.add("config", set("config"), "refused for an external plugin; set it in the configuration of the plugin's server");
        }
        // Without a `unix_socket`, that it is missing is enough to know.
        for other in ["mcp", "grpc"] {
            if set("unix_socket").is_some() && set(other).is_some() {
                problems.add(other, None, "an external plugin has exactly one transport, this one also has `unix_socket`; remove one of them");
            }
        }
        settings
    }

    /// Fills what is not set here. What cannot be read is left out, as a problem.
    pub(super) fn fill(&mut self, reported: &Object, problems: &mut Problems) {
        let mut keys = section::accepted(reported, "", &[SHARED], problems);
        // The server's own; local values win over the others.
        keys.remove("config");
        keys.extend(section::written(self));
        if let Ok(filled) = serde_json::from_value(Value::Object(keys)) {
            *self = filled;
        }
    }
}

/// Reads a mode in its older words as its successor.
pub(super) fn with_present_mode(mut entry: Object) -> Object {
    let (mode, on_error) = match entry.get("mode").and_then(Value::as_str) {
        Some("enforce") => ("sequential", Value::Null),
        Some("enforce_ignore_error") => ("sequential", "ignore".into()),
        Some("permissive") => ("transform", Value::Null),
        _ => return entry,
    };
    entry.insert("mode".into(), mode.into());
    let set = entry.entry("on_error").or_insert(Value::Null);
    if set.is_null() {
        *set = on_error;
    }
    entry
}
