//! What an entry may leave to the plugin's server.
//!
//! The server's answer to `GetPluginConfig` fills what the local entry does not
//! set; local values win. So each setting remembers whether it was set, and the
//! defaults are applied by the getters of [`PluginConfig`].

use serde::Serialize;

use super::entry::{Object, Section};
use super::plugin::PluginConfig;
use super::problem::Problems;
use super::setting::Setting;
use super::words::{OnError, PluginMode};

/// The settings that can come from either side; `None` is "not set".
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hooks: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<PluginMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_error: Option<OnError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_content_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conditions: Option<Vec<Object>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) applied_to: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Object>,
}

impl Settings {
    pub(super) const KEYS: &[&str] = &[
        "description",
        "author",
        "namespace",
        "version",
        "hooks",
        "tags",
        "mode",
        "on_error",
        "priority",
        "max_content_size",
        "conditions",
        "applied_to",
        "capabilities",
        "config",
    ];

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mode: Option<Mode> = section.read("mode", &());
        Self {
            description: section.read("description", &()),
            author: section.read("author", &()),
            namespace: section.read("namespace", &()),
            version: section.read("version", &()),
            hooks: section.read("hooks", &()),
            tags: section.read("tags", &()),
            mode: mode.as_ref().map(|mode| mode.mode),
            on_error: section.read("on_error", &()).or(mode.and_then(|mode| mode.on_error)),
            priority: section.read("priority", &(i32::MIN..=i32::MAX)),
            max_content_size: section.read("max_content_size", &(0..=u64::MAX)),
            conditions: section.read("conditions", &()),
            applied_to: section.read("applied_to", &()),
            capabilities: section.read("capabilities", &()),
            config: section.read_unshown("config", &()),
        }
    }

    /// Fills what is not set here; `config` is the server's own and stays out of it.
    fn filled_from(self, remote: Self) -> Self {
        Self {
            description: self.description.or(remote.description),
            author: self.author.or(remote.author),
            namespace: self.namespace.or(remote.namespace),
            version: self.version.or(remote.version),
            hooks: self.hooks.or(remote.hooks),
            tags: self.tags.or(remote.tags),
            mode: self.mode.or(remote.mode),
            on_error: self.on_error.or(remote.on_error),
            priority: self.priority.or(remote.priority),
            max_content_size: self.max_content_size.or(remote.max_content_size),
            conditions: self.conditions.or(remote.conditions),
            applied_to: self.applied_to.or(remote.applied_to),
            capabilities: self.capabilities.or(remote.capabilities),
            config: self.config,
        }
    }
}

impl PluginConfig {
    /// This configuration, filled from what the plugin's server reported.
    ///
    /// The name, the kind and the transport are always local; `config` is the
    /// server's wherever it reported one. A value that cannot be read is left out,
    /// with a note for the log: it never stops a plugin that is configured here.
    pub(crate) fn merged_with_remote(&self, remote: &Object) -> (Self, Vec<String>) {
        let mut problems = Problems::default();
        let mut reported = Settings::read(&mut Section::new("", remote, &mut problems));
        let mut merged = self.clone();
        merged.remote_config = reported.config.take().or(merged.remote_config);
        merged.settings = merged.settings.filled_from(reported);
        let notes = problems
            .into_vec()
            .iter()
            .map(|problem| format!("ignored what the server reported for {problem}"))
            .collect();
        (merged, notes)
    }
}

/// A mode in its present or its older words, which may say something about errors, too.
struct Mode {
    mode: PluginMode,
    on_error: Option<OnError>,
}

impl Setting for Mode {
    type Bounds = ();

    fn read(value: &serde_json::Value, (): &()) -> Option<Self> {
        let (mode, on_error) = match value.as_str()? {
            "enforce" => (PluginMode::Sequential, None),
            "enforce_ignore_error" => (PluginMode::Sequential, Some(OnError::Ignore)),
            "permissive" => (PluginMode::Transform, None),
            _ => (PluginMode::read(value, &())?, None),
        };
        Some(Self { mode, on_error })
    }

    fn rule((): &()) -> String {
        PluginMode::rule(&())
    }
}
