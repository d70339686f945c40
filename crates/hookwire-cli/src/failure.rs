//! Why a command ended without a result: exit code, and one line for a person or
//! one JSON object for a script.

use std::io::{self, Write};
use std::process::ExitCode;

use hookwire::{ConfigError, ErrorKind, PluginError, Sent};
use serde::Serialize;

use crate::text;

/// Exit code of a failed call or connection.
const FAILED: u8 = 1;
/// Exit code of wrong usage, as clap's own.
const USAGE: u8 = 2;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    reason: &'static str,
    message: String,
    sent: Sent,
    code: u8,
}

impl Failure {
    /// The command was not used as it is meant to be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: "usage",
            reason: "usage",
            message: message.into(),
            sent: Sent::No,
            code: USAGE,
        }
    }

    /// A configuration cannot be used.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self {
            kind: "config",
            reason: "config",
            message: message.into(),
            sent: Sent::No,
            code: USAGE,
        }
    }

    /// The server does not have what was asked for.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self {
            kind: "not_found",
            reason: "not_found",
            message: message.into(),
            sent: Sent::Maybe,
            code: FAILED,
        }
    }

    /// The hook is no built-in one, and --any-hook was not given.
    pub(crate) fn unknown_hook(hook: &str, nearest: Option<&str>) -> Self {
        let meant = match nearest {
            Some(name) => format!(", did you mean `{name}`?"),
            None => ";".to_owned(),
        };
        Self {
            kind: ErrorKind::Config.as_str(),
            reason: "unregistered_hook",
            message: format!(
                "`{hook}` is no built-in hook{meant} --any-hook calls it all the same"
            ),
            sent: Sent::No,
            code: FAILED,
        }
    }

    /// This machine did not let us do `what`.
    pub(crate) fn io(what: &str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self {
            kind: "io",
            reason: "io",
            message: format!("cannot {what}: {error}"),
            sent: Sent::No,
            code: FAILED,
        }
    }

    /// The demo server cannot serve, in its own words.
    pub(crate) fn server(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidInput {
            return Self::config(error.to_string());
        }
        Self { kind: "io", reason: "io", message: error.to_string(), sent: Sent::No, code: FAILED }
    }

    /// Adds what may be the reason.
    pub(crate) fn with_advice(mut self, advice: Option<String>) -> Self {
        if let Some(advice) = advice {
            self.message = format!("{}; {advice}", self.message);
        }
        self
    }

    /// Tells it in other words.
    pub(crate) fn told(mut self, words: impl FnOnce(&str) -> String) -> Self {
        self.message = words(&self.message);
        self
    }

    /// Ends the command with another exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The command is what has to change.
    pub(crate) fn of_usage(self) -> Self {
        self.with_code(USAGE)
    }

    /// Tells it on stderr.
    pub(crate) fn print(&self, json: bool) -> ExitCode {
        let message = text::one_line(&self.message);
        let line = if json {
            let Self { kind, reason, sent, .. } = self;
            serde_json::json!({
                "kind": kind, "reason": reason, "message": message, "sent": sent.as_str(),
            })
            .to_string()
        } else {
            format!("hookwire: {message}")
        };
        note(line);
        ExitCode::from(self.code)
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        Self {
            kind: error.kind().as_str(),
            reason: error.reason(),
            // Nothing is tried again by a process that ends.
            message: format!("{error:#}"),
            sent: error.sent(),
            code: FAILED,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error.to_string())
    }
}

/// Writes a line to stderr; nobody has to be there to read it.
pub(crate) fn note(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Tells on stderr what a result leaves in doubt.
pub(crate) fn warn(json: bool, warning: &str) {
    let warning = text::one_line(warning);
    if json {
        note(serde_json::json!({"warning": warning}));
    } else {
        note(format_args!("hookwire: warning: {warning}"));
    }
}

/// Writes a line to stdout, where a missing reader is a failure.
pub(crate) fn print(line: impl std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(Failure::io("write to stdout"))
}

/// Writes a result to stdout: JSON, on one line unless it is to be `pretty`.
pub(crate) fn print_json(result: &impl Serialize, pretty: bool) -> Result<(), Failure> {
    let text =
        if pretty { serde_json::to_string_pretty(result) } else { serde_json::to_string(result) };
    print(text.map_err(io::Error::from).map_err(Failure::io("write the result as JSON"))?)
}
