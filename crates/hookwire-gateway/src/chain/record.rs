//! What became of each plugin in one run of a chain.

use std::sync::Arc;
use std::time::Duration;

use hookwire::config::PluginMode;

/// What one plugin did in one run of a chain. See [`Report::records`](crate::Report::records).
///
/// It holds names, codes and times, nothing of the payload: it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// How it was run.
    pub mode: PluginMode,
    /// How far it came.
    pub status: Status,
    /// The plugin's own verdict; `None` if it gave none.
    pub requested: Option<Decision>,
    /// What it meant for the request: a denial of a plugin that may not deny is an allow,
    /// and a failure that ends the chain is a denial.
    pub effective: Decision,
    /// Whether the chain went another way because of it: it denied, it ended the chain by its
    /// failure, or it changed the payload or the extensions.
    pub applied: bool,
    /// Whether it changed the payload, or decided where the hook asks for a decision.
    pub modified: bool,
    /// How long its call took; zero where there was none, or where nobody waited for it.
    pub duration: Duration,
    /// The violation's code, or the [reason](hookwire::PluginError::reason) of its failure.
    pub code: Option<String>,
}

impl Record {
    /// Of a plugin that was not asked, or not waited for.
    pub(crate) fn without_answer(plugin: &Arc<str>, mode: PluginMode, status: Status) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            mode,
            status,
            requested: None,
            effective: Decision::Allow,
            applied: false,
            modified: false,
            duration: Duration::ZERO,
            code: None,
        }
    }
}

/// How far a plugin came in one run of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It gave a verdict.
    Completed,
    /// It was started in the background. Its answer is not waited for.
    Started,
    /// Its call failed.
    Error,
    /// Its call, or the chain's time, was over before it answered.
    Timeout,
    /// It was not asked: its conditions did not match, the chain had ended, or there was no
    /// room in the background.
    Skipped,
    /// It was asked beside others, and one of those ended the chain.
    Cancelled,
    /// It was not asked: it is disabled by its mode, or by an earlier error.
    Disabled,
}

impl Status {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Completed,
        Self::Started,
        Self::Error,
        Self::Timeout,
        Self::Skipped,
        Self::Cancelled,
        Self::Disabled,
    ];

    /// The stable snake_case word for it, for logs and metrics.
    ///
    /// ```
    /// assert_eq!(hookwire_gateway::Status::Cancelled.as_str(), "cancelled");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Started => "started",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Disabled => "disabled",
        }
    }
}

/// A verdict without what came with it. See [`Record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The request may go on.
    Allow,
    /// The request must stop.
    Deny,
}
