//! A plugin's verdict.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DenialMetadata, Headers, Object, PluginViolation, Redacted, null_as_default};

/// What a plugin answered: may the request go on, and with which payload?
///
/// `P` is the hook's [`Result`](crate::Hook::Result), or [`Value`] where the
/// hook is known by name only.
///
/// ## Behavior
/// - Reading a result without `continue_processing`, or with null there, is an
///   error: silence is never taken for "allow", and there is no `Default`.
/// - Any other key may be absent or null; unknown keys are ignored.
/// - Writing a result writes every key, as the reference server does: null,
///   `{}` or `[]` where nothing is set.
///
/// ```
/// use hookwire::{PluginResult, PluginViolation};
///
/// let denied: PluginResult<()> =
///     PluginResult::deny(PluginViolation::new("no", "not on a Sunday", "CLOSED"));
/// assert!(!denied.is_allowed());
///
/// let modified = PluginResult::modify("HELLO").with_retry_delay_ms(250);
/// assert_eq!(modified.modified_payload, Some("HELLO"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginResult<P> {
    /// Whether the request may go on. Required.
    pub continue_processing: bool,
    /// What to go on with; `None` leaves the payload as it was.
    pub modified_payload: Option<P>,
    /// What to put in place of the message's extensions.
    pub modified_extensions: Option<Value>,
    /// Why the request may not go on, where the plugin says so. In a box, because it
    /// is rare and large, and a result is moved a few times on its way.
    pub violation: Option<Box<PluginViolation>>,
    /// What the plugin says about its work.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Object,
    /// Metrics of a refusal.
    pub denial_metadata: Option<DenialMetadata>,
    /// HTTP headers for the gateway's client.
    pub http_headers: Option<Headers>,
    /// How long the gateway should wait before it calls the tool again, in milliseconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub retry_delay_ms: i64,
    /// The reference's execution records, as they are.
    #[serde(default, deserialize_with = "null_as_default")]
    pub executions: Vec<Value>,
}

impl<P> PluginResult<P> {
    /// The request may go on as it is.
    #[must_use]
    pub fn allow() -> Self {
        Self {
            continue_processing: true,
            modified_payload: None,
            modified_extensions: None,
            violation: None,
            metadata: Object::new(),
            denial_metadata: None,
            http_headers: None,
            retry_delay_ms: 0,
            executions: Vec::new(),
        }
    }

    /// The request may go on with this payload.
    #[must_use]
    pub fn modify(payload: P) -> Self {
        Self { modified_payload: Some(payload), ..Self::allow() }
    }

    /// The request may not go on.
    #[must_use]
    pub fn deny(violation: PluginViolation) -> Self {
        Self { continue_processing: false, violation: Some(Box::new(violation)), ..Self::allow() }
    }

    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.continue_processing
    }

    /// Sets the metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Object) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets the metrics of a refusal.
    #[must_use]
    pub fn with_denial_metadata(mut self, metrics: DenialMetadata) -> Self {
        self.denial_metadata = Some(metrics);
        self
    }

    /// Sets the HTTP headers.
    #[must_use]
    pub fn with_http_headers(mut self, headers: Headers) -> Self {
        self.http_headers = Some(headers);
        self
    }

    /// Sets the delay before the tool is called again, in milliseconds.
    #[must_use]
    pub fn with_retry_delay_ms(mut self, delay: i64) -> Self {
        self.retry_delay_ms = delay;
        self
    }

    /// Sets the extensions.
    #[must_use]
    pub fn with_modified_extensions(mut self, extensions: Value) -> Self {
        self.modified_extensions = Some(extensions);
        self
    }
}

// By hand: `P` may be anything, and need not be printable.
impl<P> fmt::Debug for PluginResult<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginResult")
            .field("continue_processing", &self.continue_processing)
            .field("modified", &self.modified_payload.is_some())
            .field("violation", &self.violation)
            .field("retry_delay_ms", &self.retry_delay_ms)
            .field("denial_metadata", &self.denial_metadata)
            .field("metadata", &Redacted(&self.metadata))
            .field("http_headers", &Redacted(&self.http_headers))
            .field("modified_extensions", &Redacted(&self.modified_extensions))
            .field("executions", &Redacted(&self.executions))
            .finish()
    }
}

#[cfg(test)]
mod tests;
