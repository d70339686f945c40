//! What the engine is told when a plugin could not be asked.
//!
//! The engine puts an error's text into the reason of the denial, which a host may show to its
//! client. So these are constant sentences, without a path and without the plugin's words,
//! which may quote the payload. What is finer is in `code` and `details`.

use std::collections::HashMap;

use hookwire::{ErrorKind, Sent};
use praxis_policy_core::error::PluginError;
use serde_json::Value;

/// A call that failed on its way, or in the plugin.
pub(crate) fn failed(plugin: &str, error: &hookwire::PluginError) -> Box<PluginError> {
    tracing::debug!(
        plugin,
        endpoint = %error.endpoint(),
        reason = error.reason(),
        "a call of the plugin failed"
    );
    let mut details = told(error.reason(), error.sent());
    if let Some(after) = error.retry_after() {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        details.insert("retry_after_ms".to_owned(), after.into());
    }
    Box::new(PluginError::Execution {
        plugin_name: plugin.to_owned(),
        message: error.public_message().to_owned(),
        // Its `Display` has the path, and may have the plugin's words.
        source: None,
        code: Some(error.kind().as_str().to_owned()),
        details,
        proto_error_code: error.plugin_fault().map(|fault| fault.mcp_error_code.into()),
    })
}

/// A payload that cannot be sent, in a constant sentence; nothing was.
pub(crate) fn unsendable(plugin: &str, why: &'static str) -> Box<PluginError> {
    execution(plugin, why, ErrorKind::InvalidRequest, "not_sayable", Sent::No)
}

/// An answer that the engine's message has no place for; the hook has run.
pub(crate) fn unusable(plugin: &str, why: &'static str) -> Box<PluginError> {
    execution(plugin, why, ErrorKind::BadReply, "not_applicable", Sent::Maybe)
}

/// The plugin is not to be called as it is configured, or not any more.
pub(crate) fn unusable_plugin(
    plugin: &str,
    kind: ErrorKind,
    why: &'static str,
) -> Box<PluginError> {
    execution(plugin, why, kind, kind.as_str(), Sent::No)
}

/// At the start: for the operator, with everything.
pub(crate) fn not_started(plugin: &str, error: &hookwire::PluginError) -> Box<PluginError> {
    Box::new(PluginError::Execution {
        plugin_name: plugin.to_owned(),
        message: format!("{error:#}"),
        source: None,
        code: Some(error.kind().as_str().to_owned()),
        details: told(error.reason(), error.sent()),
        proto_error_code: None,
    })
}

/// The entry cannot be used.
pub(crate) fn entry(plugin: &str, problems: &[String]) -> Box<PluginError> {
    let message = format!("plugin `{plugin}`: {}", problems.join("; "));
    Box::new(PluginError::Config { message })
}

fn execution(
    plugin: &str,
    why: &'static str,
    kind: ErrorKind,
    reason: &'static str,
    sent: Sent,
) -> Box<PluginError> {
    Box::new(PluginError::Execution {
        plugin_name: plugin.to_owned(),
        message: why.to_owned(),
        source: None,
        code: Some(kind.as_str().to_owned()),
        details: told(reason, sent),
        proto_error_code: None,
    })
}

/// Why, and the one question that decides whether the call may be made again.
fn told(reason: &str, sent: Sent) -> HashMap<String, Value> {
    let sent = sent.as_str();
    [("reason".to_owned(), reason.into()), ("was_sent".to_owned(), sent.into())].into()
}
