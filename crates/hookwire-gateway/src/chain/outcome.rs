//! What a run of a chain comes to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookwire::model::DenialMetadata;
use hookwire::{PluginError, PluginViolation};

use super::report::Report;

/// A request that may go on: with this payload, or with this decision. See
/// [`Chain`](crate::Chain) for an example.
#[must_use = "it holds the payload to go on with, which plugins may have changed"]
#[derive(Debug, Clone)]
pub struct Passed<T> {
    pub(crate) value: T,
    pub(crate) report: Report,
}

impl<T> Passed<T> {
    /// What to go on with: the payload with all changes, or the decision.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The same, owned.
    pub fn into_value(self) -> T {
        self.value
    }

    /// What the plugins tell beside it.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Both, owned.
    pub fn into_parts(self) -> (T, Report) {
        (self.value, self.report)
    }
}

/// A request that must stop: there is no payload here to go on with. It is an error, so `?`
/// stops the request.
///
/// For access logs: [`outcome`](Self::outcome), and the [records](Report::records), which are
/// names, codes and times. `Display` and `Debug` are for the operator who looks for a fault: they
/// show what a [`PluginError`](hookwire::PluginError) does, with the path of the socket, and of a
/// plugin that failed its own words, which may quote the request.
///
/// ```
/// use hookwire_gateway::{HaltReason, Halted};
///
/// fn status(halted: &Halted) -> u16 {
///     match halted.reason() {
///         HaltReason::Denied(denial) => {
///             let status = denial.violation().and_then(|violation| violation.http_status_code);
///             status.and_then(|status| status.try_into().ok()).unwrap_or(403)
///         }
///         HaltReason::OutOfTime(_) => 504,
///         _ => 503,
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Halted {
    pub(crate) reason: HaltReason,
    pub(crate) report: Report,
}

impl Halted {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> &HaltReason {
        &self.reason
    }

    /// The stable snake_case word for it, as the span of the run has it: `denied`, `too_large`,
    /// `out_of_time`, `unfilterable`, `shut_down`, or the
    /// [reason](hookwire::PluginError::reason) of the failure that ended it; and
    /// `invalid_header`, which is found after the run.
    ///
    /// ```
    /// fn log(halted: &hookwire_gateway::Halted) {
    ///     println!("{} {}", halted.outcome(), halted.plugin().unwrap_or("-"));
    /// }
    /// ```
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.reason.outcome()
    }

    /// The plugin whose denial, failure or change it is; `None` if it is no single one's.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        self.reason.plugin()
    }

    /// The denial, if it is one.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match &self.reason {
            HaltReason::Denied(denial) => Some(denial),
            _ => None,
        }
    }

    /// What the plugins tell beside it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Both, owned.
    #[must_use]
    pub fn into_parts(self) -> (HaltReason, Report) {
        (self.reason, self.report)
    }
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Halted {}

/// Why a request must stop. See [`Halted`] for an example.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HaltReason {
    /// A plugin denied it.
    #[error(transparent)]
    Denied(Denial),
    /// A plugin with `on_error: fail` could not be asked, or gave no answer.
    #[error(transparent)]
    Failed(PluginError),
    /// The payload is larger than [`max_payload`](crate::ChainBuilder::max_payload) allows, in
    /// bytes: no plugin was asked.
    #[error("the payload is larger than {0} bytes, which is all that this chain takes")]
    TooLarge(usize),
    /// The time of the chain was over before all its plugins had answered, whatever their
    /// `on_error` is.
    #[error("the plugins of this hook did not all answer within {0:?}")]
    OutOfTime(Duration),
    /// A plugin's change could not be held against the [`FieldPolicy`](crate::FieldPolicy):
    /// the payload does not survive JSON.
    #[error("the change of plugin `{plugin}` cannot be filtered: {message}")]
    Unfilterable {
        /// The plugin.
        plugin: Arc<str>,
        /// In the words of the payload's own `Serialize` or `Deserialize`.
        message: String,
    },
    /// A plugin has set this header, which HTTP does not know: its name is none, or its value
    /// holds a line break.
    #[error("a plugin set the header `{}`, which is none of HTTP: its name, or its value", .0.escape_debug())]
    InvalidHeader(String),
    /// The [`Gateway`](crate::Gateway) is shut down.
    #[error("the gateway is shut down: no plugin is asked any more")]
    ShutDown,
}

/// A plugin's denial. See [`Halted`] for an example.
///
/// `Display` names the plugin and the violation's code. The reason in the plugin's words may
/// quote the request, so it is in the [`violation`](Self::violation) only.
#[derive(Debug, Clone)]
pub struct Denial {
    pub(crate) plugin: Arc<str>,
    pub(crate) violation: Option<Box<PluginViolation>>,
    pub(crate) metrics: Option<DenialMetadata>,
}

impl HaltReason {
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Failed(error) => error.reason(),
            Self::TooLarge(_) => "too_large",
            Self::OutOfTime(_) => "out_of_time",
            Self::InvalidHeader(_) => "invalid_header",
            Self::ShutDown => "shut_down",
            Self::Unfilterable { .. } => "unfilterable",
        }
    }

    pub(super) fn plugin(&self) -> Option<&str> {
        match self {
            Self::Denied(denial) => Some(denial.plugin()),
            Self::Failed(error) => Some(error.plugin()),
            Self::Unfilterable { plugin, .. } => Some(plugin),
            _ => None,
        }
    }
}

impl Denial {
    /// The plugin that denied.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Why, where the plugin tells; with its name.
    #[must_use]
    pub fn violation(&self) -> Option<&PluginViolation> {
        self.violation.as_deref()
    }

    /// Metrics of the denial.
    #[must_use]
    pub fn denial_metadata(&self) -> Option<&DenialMetadata> {
        self.metrics.as_ref()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}` denied the request", self.plugin)?;
        match self.violation().map(|violation| violation.code.as_str()) {
            None | Some("") => Ok(()),
            Some(code) => write!(f, " (code `{}`)", code.escape_debug()),
        }
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_plugin_and_code_and_keeps_the_plugins_words_to_itself() {
        let violation = PluginViolation::new("NO").with_reason("hunter2");
        let plugin = "Guard".into();
        let denial = Denial { plugin, violation: Some(Box::new(violation)), metrics: None };
        assert_eq!(denial.to_string(), "plugin `Guard` denied the request (code `NO`)");
        assert!(!format!("{denial:?}").contains("hunter2"));
        let silent = Denial { violation: None, ..denial };
        assert_eq!(silent.to_string(), "plugin `Guard` denied the request");
    }
}
