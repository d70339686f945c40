//! The keys of an entry beside its transport: who the plugin is, and what the gateway is
//! told about it.

use serde_json::Value;

use super::builder::PluginConfigBuilder;
use super::keys::keys;
use super::plugin::PluginConfig;
use super::rule::{name, object, objects, some, text, texts, whole, word};
use super::words::{OnError, PluginMode};
use crate::model::Object;

/// The kind of every plugin that is reached over a transport.
pub(super) const EXTERNAL: &str = "external";

// Always local.
keys! {
    struct Local, local of PluginConfig and PluginConfigBuilder;

    /// The name that the plugin's server knows it by, with exact case.
    pub fn name: String = String::new(), name => &str, |all| &all.name;
    /// What kind of plugin it is. Default: `external`.
    pub fn kind: String = EXTERNAL.into(), name => &str, |all| &all.kind;
}

// Filled by the plugin's server where the entry does not set them; `None` is "not set".
keys! {
    struct Settings, settings of PluginConfig and PluginConfigBuilder;

    /// What the plugin does, for people.
    pub fn description: Option<String> = None, some(text)
        => Option<&str>, |all| all.description.as_deref();
    /// Who wrote it.
    pub fn author: Option<String> = None, some(text) => Option<&str>, |all| all.author.as_deref();
    /// The namespace it lives in.
    pub fn namespace: Option<String> = None, some(text)
        => Option<&str>, |all| all.namespace.as_deref();
    /// Its version.
    pub fn version: Option<String> = None, some(text) => Option<&str>, |all| all.version.as_deref();
    /// The hook types that this entry names. Default: none; then those count that the plugin's
    /// server lists, which [`PluginHandle::hooks`](crate::PluginHandle::hooks) has.
    pub fn hooks: Option<Vec<String>> = None, some(texts)
        => &[String], |all| all.hooks.as_deref().unwrap_or_default();
    /// Words to find it by. Default: none.
    pub fn tags: Option<Vec<String>> = None, some(texts)
        => &[String], |all| all.tags.as_deref().unwrap_or_default();
    /// How the gateway runs it. Default: [`PluginMode::Sequential`].
    pub fn mode: Option<PluginMode> = None, some(word(PluginMode::WORDS))
        => PluginMode, |all| all.mode.unwrap_or_default();
    /// What the gateway does when it fails. Default: [`OnError::Fail`].
    pub fn on_error: Option<OnError> = None, some(word(OnError::WORDS))
        => OnError, |all| all.on_error.unwrap_or_default();
    /// Its place among the plugins of a hook, lower runs first. Default: 100.
    pub fn priority: Option<i32> = None, some(whole(i32::MIN.into()..=i32::MAX.into()))
        => i32, |all| all.priority.unwrap_or(100);
    /// The most content that the gateway passes to it, in bytes. Default: 10000000.
    /// hookwire's own limit is [`max_frame_len`](super::UnixSocketConfig::max_frame_len).
    pub fn max_content_size: Option<u64> = None, some(whole(0..=u64::MAX.into()))
        => u64, |all| all.max_content_size.unwrap_or(10_000_000);
    /// When the gateway runs it, as JSON: hookwire does not interpret it. Default: always.
    pub fn conditions: Option<Vec<Object>> = None, some(objects)
        => &[Object], |all| all.conditions.as_deref().unwrap_or_default();
    /// What the gateway applies it to, as JSON: hookwire does not interpret it.
    pub fn applied_to: Option<Object> = None, some(object)
        => Option<&Object>, |all| all.applied_to.as_ref();
    /// What it may see and change, as the gateway defines it: hookwire does not
    /// interpret it. Default: none.
    pub fn capabilities: Option<Vec<String>> = None, some(texts)
        => &[String], |all| all.capabilities.as_deref().unwrap_or_default();
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
