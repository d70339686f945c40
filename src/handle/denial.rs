//! Why a request must not go on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::PluginError;
use crate::model::{DenialMetadata, Headers, Object, PluginResult, PluginViolation};

/// Why [`enforce`](crate::PluginHandle::enforce) lets a request not go on.
///
/// It is an error, so `?` stops the request in both cases. A gateway that takes its own
/// view of a failed check, as `on_error: ignore` does, looks at them apart:
///
/// ```
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::{PluginContext, PluginHandle, Stopped};
///
/// # async fn check(
/// #     guard: PluginHandle,
/// #     payload: ToolPreInvokePayload,
/// #     mut context: PluginContext,
/// # ) -> Result<ToolPreInvokePayload, (u16, String)> {
/// guard.enforce::<ToolPreInvoke>(payload, &mut context).await.map_err(|stopped| match stopped {
///     Stopped::Denied(denial) => {
///         let status = denial.violation().and_then(|violation| violation.http_status_code);
///         (status.and_then(|status| status.try_into().ok()).unwrap_or(403), denial.to_string())
///     }
///     Stopped::Failed(error) => {
///         eprintln!("{error}");
///         (503, error.public_message().to_owned())
///     }
/// })
/// # }
/// ```
#[derive(Debug, Clone)]
pub enum Stopped {
    /// The plugin denied it, be it beside an [error](Denial::error).
    Denied(Box<Denial>),
    /// The plugin could not be asked, or gave no answer. Silence is never "allow".
    Failed(PluginError),
}

impl Stopped {
    /// The plugin that was asked.
    #[must_use]
    pub fn plugin(&self) -> &str {
        match self {
            Self::Denied(denial) => denial.plugin(),
            Self::Failed(error) => error.plugin(),
        }
    }
}

impl From<PluginError> for Stopped {
    fn from(error: PluginError) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stopped {}

/// A plugin's denial of a request, and what it tells about it. See [`Stopped`] for an
/// example.
///
/// `Display` names plugin, hook and the violation's code. Reason and description are the
/// plugin's words and may quote the request, so they are left out, as in `Debug`.
#[derive(Debug, Clone)]
pub struct Denial {
    plugin: Arc<str>,
    hook: &'static str,
    // Without a payload: there is nothing to go on with.
    result: PluginResult<()>,
    error: Option<PluginError>,
}

impl Denial {
    pub(super) fn new(plugin: Arc<str>, hook: &'static str, result: PluginResult<()>) -> Self {
        Self { plugin, hook, result, error: None }
    }

    /// The denial beside `error`, if there is one.
    pub(super) fn beside(
        error: PluginError,
        plugin: Arc<str>,
        hook: &'static str,
    ) -> Result<Self, PluginError> {
        match error.plugin_fault().and_then(|fault| fault.refusal.as_deref().cloned()) {
            Some(result) => Ok(Self { plugin, hook, result, error: Some(error) }),
            None => Err(error),
        }
    }

    /// The plugin that denied.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The hook type that was called.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        self.hook
    }

    /// Why, where the plugin tells: code, reason, HTTP status, headers.
    #[must_use]
    pub fn violation(&self) -> Option<&PluginViolation> {
        self.result.violation()
    }

    /// The error that came beside the denial, if one did: what the plugin tells about its
    /// denial may be incomplete then. See [`PluginError::is_denial`].
    #[must_use]
    pub fn error(&self) -> Option<&PluginError> {
        self.error.as_ref()
    }

    /// What the plugin tells about its work.
    #[must_use]
    pub fn metadata(&self) -> &Object {
        self.result.metadata()
    }

    /// Metrics of the denial.
    #[must_use]
    pub fn denial_metadata(&self) -> Option<&DenialMetadata> {
        self.result.denial_metadata()
    }

    /// HTTP headers for the gateway's client, beside those of the violation.
    #[must_use]
    pub fn http_headers(&self) -> Option<&Headers> {
        self.result.http_headers()
    }

    /// How long the gateway should wait before it calls the tool again; `None` if the
    /// plugin asks for no delay.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.result.retry_delay()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}` denied `{}`", self.plugin, self.hook)?;
        match self.violation().map(|violation| violation.code.as_str()) {
            None | Some("") => Ok(()),
            Some(code) => write!(f, " (code `{}`)", code.escape_debug()),
        }
    }
}

impl std::error::Error for Denial {}
