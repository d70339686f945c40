//! A plugin's verdict.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DenialMetadata, Headers, Object, PluginViolation, Redacted, null_as_default};

/// What a plugin answered: may the request go on, and with which payload?
///
/// `P` is the hook's [`Modified`](crate::Hook::Modified), or [`Value`] where the hook is
/// known by name only.
///
/// A denial is a successful call: `Ok` alone lets nothing pass. There is no way to a
/// payload but through the [`verdict`](Self::verdict);
/// [`PluginHandle::enforce`](crate::PluginHandle::enforce) is the short one.
///
/// ## Behavior
/// - Reading a result without `continue_processing`, or with null there, is an error:
///   silence is never taken for "allow", and there is no `Default`.
/// - An answer that is a [refusal](crate::Hook::refusal) by itself, such as a permission
///   that is not granted, makes the result of a call a denial.
/// - Any other key may be absent or null; unknown keys are ignored.
/// - Writing a result writes every key, as the reference server does: null, `{}` or `[]`
///   where nothing is set.
///
/// ```
/// use hookwire::{PluginResult, PluginViolation, Verdict};
///
/// let denied: PluginResult<()> =
///     PluginResult::deny(PluginViolation::new("CLOSED").with_reason("no").with_description("not on a Sunday"));
/// assert!(!denied.is_allowed());
///
/// let modified = PluginResult::modify("HELLO");
/// match modified.verdict() {
///     Verdict::Allowed(Some(payload)) => println!("go on with {payload}"),
///     Verdict::Allowed(None) => println!("go on with the payload as it was"),
///     Verdict::Denied(violation) => println!("stop: {:?}", violation.map(|v| &v.code)),
/// }
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[must_use = "a request that is denied must not go on: look at the verdict"]
pub struct PluginResult<P> {
    pub(crate) continue_processing: bool,
    pub(crate) modified_payload: Option<P>,
    pub(crate) modified_extensions: Option<Value>,
    /// In a box, because it is rare and large, and a result is moved a few times on its
    /// way.
    pub(crate) violation: Option<Box<PluginViolation>>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) metadata: Object,
    pub(crate) denial_metadata: Option<DenialMetadata>,
    pub(crate) http_headers: Option<Headers>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) retry_delay_ms: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) executions: Vec<Value>,
    #[serde(skip)]
    pub(crate) inexact: bool,
}

/// Whether a request may go on. See [`PluginResult`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a request that is denied must not go on"]
pub enum Verdict<P, V = Box<PluginViolation>> {
    /// The request may go on, with this in place of its payload if the plugin changed it.
    Allowed(Option<P>),
    /// The request must stop, for this reason if the plugin gave one.
    Denied(Option<V>),
}

impl<P> PluginResult<P> {
    /// The request may go on as it is.
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
            inexact: false,
        }
    }

    /// The request may go on with this payload.
    pub fn modify(payload: P) -> Self {
        Self { modified_payload: Some(payload), ..Self::allow() }
    }

    /// The request may not go on.
    pub fn deny(violation: PluginViolation) -> Self {
        Self { continue_processing: false, violation: Some(Box::new(violation)), ..Self::allow() }
    }

    /// Whether the request may go on. With which payload, the
    /// [`verdict`](Self::verdict) tells.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.continue_processing
    }

    /// The verdict, and what came with it.
    pub fn verdict(&self) -> Verdict<&P, &PluginViolation> {
        if self.continue_processing {
            Verdict::Allowed(self.modified_payload.as_ref())
        } else {
            Verdict::Denied(self.violation.as_deref())
        }
    }

    /// The same, owned.
    pub fn into_verdict(self) -> Verdict<P> {
        if self.continue_processing {
            Verdict::Allowed(self.modified_payload)
        } else {
            Verdict::Denied(self.violation)
        }
    }

    /// Why the request may not go on, where the plugin tells.
    #[must_use]
    pub fn violation(&self) -> Option<&PluginViolation> {
        self.violation.as_deref()
    }

    /// What to put in place of the message's extensions, if the request may go on.
    #[must_use]
    pub fn modified_extensions(&self) -> Option<&Value> {
        self.modified_extensions.as_ref().filter(|_| self.continue_processing)
    }

    /// What the plugin tells about its work.
    #[must_use]
    pub fn metadata(&self) -> &Object {
        &self.metadata
    }

    /// Metrics of a denial.
    #[must_use]
    pub fn denial_metadata(&self) -> Option<&DenialMetadata> {
        self.denial_metadata.as_ref()
    }

    /// HTTP headers for the gateway's client.
    #[must_use]
    pub fn http_headers(&self) -> Option<&Headers> {
        self.http_headers.as_ref()
    }

    /// How long the gateway should wait before it calls the tool again; `None` if the
    /// plugin asks for no delay.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        let milliseconds = u64::try_from(self.retry_delay_ms).ok()?;
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    /// The reference's execution records, as they are.
    #[must_use]
    pub fn executions(&self) -> &[Value] {
        &self.executions
    }

    /// Whether request and reply came over as they were. False if the plugin saw rounded
    /// integers ([`BigIntegers::Round`](crate::BigIntegers::Round)) or text in place of what
    /// nests too deep ([`DeepNesting::Text`](crate::DeepNesting::Text)), so that a payload
    /// which it changed may hold them too; or if the reply had NaN or an infinity where JSON
    /// was read, which is null now.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.inexact
    }

    /// Sets the metadata.
    pub fn with_metadata(mut self, metadata: Object) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets the metrics of a denial.
    pub fn with_denial_metadata(mut self, metrics: DenialMetadata) -> Self {
        self.denial_metadata = Some(metrics);
        self
    }

    /// Sets the HTTP headers.
    pub fn with_http_headers(mut self, headers: Headers) -> Self {
        self.http_headers = Some(headers);
        self
    }

    /// Sets the delay before the tool is called again, in whole milliseconds on the wire.
    pub fn with_retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay_ms = delay.as_millis().try_into().unwrap_or(i64::MAX);
        self
    }

    /// Sets the extensions.
    pub fn with_modified_extensions(mut self, extensions: Value) -> Self {
        self.modified_extensions = Some(extensions);
        self
    }

    /// The same without its denial: for a plugin that may not deny, as of
    /// [`PluginMode::Transform`](crate::config::PluginMode::Transform). Its changes stay.
    ///
    /// **The request goes on then.** An answer that is a [refusal](crate::Hook::refusal) by
    /// itself is still that: look at it before it is used.
    ///
    /// ```
    /// use hookwire::{PluginResult, PluginViolation};
    ///
    /// let denied: PluginResult<()> = PluginResult::deny(PluginViolation::new("CLOSED"));
    /// assert!(denied.overrule().is_allowed());
    /// ```
    pub fn overrule(self) -> Self {
        Self { continue_processing: true, violation: None, ..self }
    }

    /// All but the payload, of which there is none to go on with after a denial.
    pub(crate) fn without_payload(self) -> PluginResult<()> {
        PluginResult {
            continue_processing: self.continue_processing,
            modified_payload: None,
            modified_extensions: self.modified_extensions,
            violation: self.violation,
            metadata: self.metadata,
            denial_metadata: self.denial_metadata,
            http_headers: self.http_headers,
            retry_delay_ms: self.retry_delay_ms,
            executions: self.executions,
            inexact: self.inexact,
        }
    }

    /// Names the plugin in a violation that names none: the server leaves it out, and it can
    /// only be the one that was called.
    pub(crate) fn denied_by(&mut self, plugin: &str) {
        if let Some(violation) = &mut self.violation {
            violation.plugin_name.get_or_insert_with(|| plugin.to_owned());
        }
    }

    /// Turns an answer of `plugin` that is a refusal by itself into a denial; a violation
    /// that the plugin gave stays.
    pub(crate) fn heed(&mut self, refusal: fn(&P) -> Option<PluginViolation>, plugin: &str) {
        let Some(violation) = self.modified_payload.as_ref().and_then(refusal) else { return };
        self.continue_processing = false;
        self.violation.get_or_insert_with(|| Box::new(violation.with_plugin_name(plugin)));
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
