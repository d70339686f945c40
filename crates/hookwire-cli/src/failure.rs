//! Why a command ended without a result: exit code, and one line for a person or
//! one JSON object for a script.

use std::io::{self, Write};
use std::process::ExitCode;

use hookwire::{ConfigError, PluginError, Sent};
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
        Self { kind: "io", reason: "io", message: error.to_string(), sent: Sent::No, code: FAILED }
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
            message: error.to_string(),
            sent: error.sent(),
            code: FAILED,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            kind: "config",
            reason: "config",
            message: error.to_string(),
            sent: Sent::No,
            code: USAGE,
        }
    }
}

/// Writes a line to stderr; nobody has to be there to read it.
pub(crate) fn note(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line to stdout, where a missing reader is a failure.
pub(crate) fn print(line: impl std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(Failure::io("write to stdout"))
}

/// Writes a result to stdout: JSON, on one line.
pub(crate) fn print_json(result: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(result).map_err(io::Error::from);
    print(line.map_err(Failure::io("write the result as JSON"))?)
}
