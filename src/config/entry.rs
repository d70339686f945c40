//! Reads an entry of the gateway's list of plugins, and fills it from what the plugin's server
//! reports.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::plugin::{EXTERNAL, Local, PluginConfig, Settings};
use super::problem::{ConfigError, Problems};
use super::raw;
use super::section::{self, Section};
use super::transport::Reach;
use super::unix_socket::PREFIX;
use super::words::with_present_mode;
use crate::endpoint::Escaped;
use crate::model::Object;

pub(super) const KEYS: &[&[&str]] =
    &[Local::KEYS, Settings::KEYS, &["unix_socket", "mcp", "grpc", "config"]];

impl PluginConfig {
    /// Reads one entry.
    ///
    /// # Errors
    /// All problems of the entry, together.
    pub fn from_value(entry: Value) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        match entry {
            Value::Object(entry) => Self::from_entry(entry, problems),
            other => {
                problems.add("entry", Some(&other), "must be an object");
                problems.unless_any(None, None)
            }
        }
    }

    /// The keys of an entry that are not known, which are ignored: each with a known one that is
    /// much like it, if there is one. For who reads a file and can tell the line.
    ///
    /// ```
    /// use hookwire::PluginConfig;
    /// use serde_json::json;
    ///
    /// let entry = json!({"name": "Guard", "prioritty": 5, "unix_socket": {"path": "/run/g.sock"}});
    /// let unknown = PluginConfig::unknown_keys(entry.as_object().unwrap());
    /// assert_eq!(unknown, [("prioritty", Some("priority"))]);
    /// assert!(PluginConfig::from_value(entry).is_ok());
    /// ```
    #[must_use]
    pub fn unknown_keys(entry: &Object) -> Vec<(&str, Option<&'static str>)> {
        section::unknown(entry, KEYS)
    }

    pub(super) fn from_entry(entry: Object, mut problems: Problems) -> Result<Self, ConfigError> {
        let entry = with_present_mode(entry);
        let mut section = Section::new(&entry, "", &mut problems);
        section.needs("name", "it must be the plugin's name on its server");
        let local = Local::read(&mut section);
        let settings = Settings::read(&mut section);
        let config = own_config(&mut section);
        check_kind(&local, config.as_ref(), &mut section);
        warn_of_unknown_keys(&local.name, section.unknown(KEYS));
        let reach = reach(&mut section);
        let name = Some(&local.name).filter(|name| !name.is_empty()).cloned();
        // As in the reference, an empty section is as good as none.
        let config = config.filter(|_| local.kind != EXTERNAL);
        let read = |reach| Self { local, settings, config, reported: None, reach };
        problems.unless_any(name, reach.map(read))
    }

    /// This configuration, filled from what the plugin's server reported.
    ///
    /// The name, the kind and the transport are always local; `config` is the server's
    /// wherever it reported one. A value that cannot be read is left out, with a note for
    /// the log: it never stops a plugin that is configured here.
    pub(crate) fn merged_with_remote(&self, remote: &Object) -> (Self, Vec<String>) {
        let mut problems = Problems::default();
        let remote = &with_present_mode(remote.clone());
        let mut section = Section::new(remote, "", &mut problems);
        Settings::read(&mut section);
        let reported = own_config(&mut section);
        // Local values win.
        let mut keys = remote.clone();
        keys.extend(section::written(&self.settings));
        let mut merged = self.clone();
        merged.settings = Settings::read(&mut Section::new(&keys, "", &mut Problems::default()));
        merged.reported = reported.or(merged.reported);
        let note = |problem| format!("ignored what the server reported for {problem}");
        (merged, problems.into_vec().iter().map(note).collect())
    }
}

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut problems = Problems::default();
        let entry = raw::read(deserializer, "", KEYS, &mut problems)?;
        Self::from_entry(entry, problems).map_err(serde::de::Error::custom)
    }
}

/// The section of the transport, if there is exactly one.
fn reach(section: &mut Section<'_>) -> Option<Reach> {
    if section.get("unix_socket").is_none() && section.get("grpc").is_some() {
        return over_grpc(section);
    }
    section.needs(
        "unix_socket",
        "hookwire needs this section, with the `path` of the plugin's socket",
    );
    match section.get("unix_socket")? {
        Value::Object(keys) => Some(Reach::over_a_socket(&mut section.within(keys, PREFIX))),
        _ => {
            section.refuse("unix_socket", "must be an object");
            None
        }
    }
}

#[cfg(feature = "grpc")]
fn over_grpc(section: &mut Section<'_>) -> Option<Reach> {
    match section.get("grpc")? {
        Value::Object(keys) => {
            Some(Reach::over_grpc(&mut section.within(keys, super::grpc::PREFIX)))
        }
        // A URI may have a password in it.
        _ => {
            section.refuse_key("grpc", "must be an object, with the `target` where the server is");
            None
        }
    }
}

#[cfg(not(feature = "grpc"))]
fn over_grpc(section: &mut Section<'_>) -> Option<Reach> {
    section.refuse_key("grpc", "this program was built without gRPC; build it with the feature `grpc` of the package `hookwire`, or reach the plugin over a `unix_socket`");
    None
}

/// What an external plugin must not have, and what another kind hardly means to have.
fn check_kind(local: &Local, config: Option<&Object>, section: &mut Section<'_>) {
    let is_external = local.kind == EXTERNAL;
    if is_external && config.is_some_and(|config| !config.is_empty()) {
        section.refuse(
            "config",
            "refused for an external plugin; set it in the configuration of the plugin's server",
        );
    }
    // That there is no transport at all is known already.
    let reached = ["unix_socket", "grpc"].into_iter().find(|key| section.get(key).is_some());
    let Some(reached) = reached else { return };
    if !is_external {
        let (plugin, kind) = (&local.name, &local.kind);
        tracing::warn!(
            plugin,
            kind,
            "the plugin's kind is not `external`, but it has a `{reached}`: it is called there, and its class is not loaded; write `kind: external`, or remove the section"
        );
    }
    for other in ["mcp", "grpc"] {
        // Of another kind nothing is known to need just one; but it is called over just one.
        let matters = is_external || (cfg!(feature = "grpc") && other == "grpc");
        if matters && other != reached && section.get(other).is_some() {
            section.refuse_key(other, format!("an external plugin has exactly one transport, this one also has `{reached}`; remove one of them"));
        }
    }
}

/// May hold secrets: what is not an object is not shown either.
fn own_config(section: &mut Section<'_>) -> Option<Object> {
    match section.get("config")? {
        Value::Object(config) => Some(config.clone()),
        _ => {
            section.refuse_key("config", "must be an object");
            None
        }
    }
}

/// Newer gateways add keys, so these stop nobody.
fn warn_of_unknown_keys(plugin: &str, unknown: Vec<(&str, Option<&str>)>) {
    let shown = |(key, nearest): (&str, Option<&str>)| match nearest {
        Some(nearest) => format!("`{}` (did you mean `{nearest}`?)", Escaped(key)),
        None => format!("`{}`", Escaped(key)),
    };
    if !unknown.is_empty() {
        let unknown = Vec::from_iter(unknown.into_iter().map(shown)).join(", ");
        tracing::warn!(plugin, "unknown keys in the plugin's configuration are ignored: {unknown}");
    }
}
