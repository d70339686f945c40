//! How the plugins fared at the start.

use crate::error::PluginError;

/// What to do with a plugin that cannot be connected to.
///
/// ```
/// assert_eq!(hookwire::OnConnectFailure::default(), hookwire::OnConnectFailure::FailAll);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnConnectFailure {
    /// Give up: all plugins or none. Each plugin has its `timeout` for connecting and once
    /// more for answering, and the slowest is waited for.
    #[default]
    FailAll,
    /// Take the plugin in all the same. It is tried again in the background and checked once
    /// it is there; while it cannot be reached its calls fail at once.
    ///
    /// A plugin that needs longer than its `connect_timeout` (default 5 s) counts as absent,
    /// so the start is bounded by the largest of them. A check that has begun goes on in the
    /// background. Calls are let through meanwhile, each with its own deadline, but
    /// **what only the server knows is missing until
    /// [`is_checked`](crate::PluginHandle::is_checked)**: its
    /// [`hooks`](crate::PluginHandle::hooks) are unknown until then, which counts for every
    /// hook.
    KeepRetrying,
}

/// How one plugin fared.
///
/// ```no_run
/// use hookwire::PluginReport;
///
/// fn tell(report: &PluginReport) {
///     match &report.outcome {
///         Ok(()) => println!("{} is ready", report.plugin),
///         Err(error) if report.pending => println!("not yet: {error}"),
///         Err(error) => println!("of no use as it is configured: {error}"),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PluginReport {
    /// The plugin's name.
    pub plugin: String,
    /// Whether it is connected and checked, or why not; `Ok` for one that is disabled. A
    /// plugin that is not checked yet, and waited for no longer, has a
    /// [`Timeout`](crate::ErrorKind::Timeout) here.
    pub outcome: Result<(), PluginError>,
    /// Whether the check goes on in the background. Never with
    /// [`OnConnectFailure::FailAll`], nor for a plugin whose server has told that it cannot
    /// be used as it is configured.
    pub pending: bool,
}

/// Why the plugins were not taken in.
///
/// ```no_run
/// use hookwire::{ConnectError, PluginConfig, Plugins};
///
/// async fn add(plugins: &Plugins, config: PluginConfig) {
///     match plugins.add(config).await {
///         Ok(report) => println!("{} is taken in", report.plugin),
///         Err(ConnectError::Failed(reports)) => {
///             for error in reports.iter().filter_map(|report| report.outcome.as_ref().err()) {
///                 println!("{error}");
///             }
///         }
///         Err(error) => println!("{error}"),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Two plugins have one name.
    #[error("two plugins are named `{0}`; a name must be unique")]
    Duplicate(String),
    /// No plugin has this name.
    #[error("no plugin is named `{0}`")]
    Unknown(String),
    /// Nothing can be connected to without a runtime.
    #[error(
        "there is no Tokio runtime to connect on; connect inside of one, or name one in the builder"
    )]
    NoRuntime,
    /// At least one plugin could not be connected to; the others were closed again.
    #[error("{}", failures(.0))]
    Failed(Vec<PluginReport>),
}

fn failures(reports: &[PluginReport]) -> String {
    let failed: Vec<_> =
        reports.iter().filter_map(|report| report.outcome.as_ref().err()).collect();
    let lines: Vec<_> = failed.iter().map(ToString::to_string).collect();
    format!("{} of {} plugins failed to connect: {}", failed.len(), reports.len(), lines.join("; "))
}
