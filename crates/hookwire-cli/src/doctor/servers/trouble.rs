//! Why a server cannot be used, and how bad that is.

use std::io;
use std::time::Duration;

use hookwire::ConfigError;

use crate::doctor::finding::Finding;

/// Why a server cannot be used. How bad that is depends on the others.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    check: &'static str,
    message: String,
    advice: String,
}

impl Trouble {
    pub(super) fn new(
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check, message: message.into(), advice: advice.into() }
    }

    pub(super) fn name(host: &str, reason: &str) -> Self {
        let advice = format!(
            "correct `target`, or let this machine know the name (`getent hosts {host}` asks as the gateway does)"
        );
        Self::new("name", format!("the name `{host}` cannot be resolved: {reason}"), advice)
    }

    pub(super) fn unknown() -> Self {
        Self::new(
            "target",
            "it is a target of a kind that this command does not know",
            "look at it with the version of this command that the gateway's hookwire has",
        )
    }

    /// Nothing could be connected to; `None` if the time ran out.
    pub(super) fn connect(error: Option<&io::Error>, limit: Duration) -> Self {
        let Some(error) = error else {
            return Self::new(
                "connect",
                format!("no answer to a connect within {} s", limit.as_secs_f64()),
                "see whether the machine is up, and whether something on the way drops what goes to this port",
            );
        };
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::new(
                "connect",
                format!("nobody listens there: {error}"),
                "start the plugin's server, or correct `target`; a server that listens on 127.0.0.1 only is not there for others",
            ),
            _ => Self::new(
                "connect",
                format!("cannot be connected to: {error}"),
                "correct `target`, or the way to that network",
            ),
        }
    }

    /// The address that a name leads to is none to connect to.
    pub(super) fn address(reason: &ConfigError) -> Self {
        let reasons: Vec<_> = reason.problems().iter().map(|problem| problem.reason()).collect();
        Self::new(
            "address",
            format!("cannot be asked: the address {}", reasons.join("; ")),
            "let the name lead to the server's own address",
        )
    }

    /// As a finding, which depends on the other servers.
    pub(super) fn finding(self, others: Others, guards: bool) -> Finding {
        let Self { check, message, advice } = self;
        match others {
            Others::None => Finding::broken(guards, check, message, advice),
            Others::Answer => Finding::warn(check, message, advice),
            Others::AnswerByName => Finding::note(
                check,
                format!("asked by its address, not by its name: {message}"),
                "nothing, if a proxy there goes by the name: by that, a server answers",
            ),
        }
    }
}

/// Who answers beside a server that does not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Others {
    None,
    Answer,
    /// Asked by its name, one does that was not heard by its address.
    AnswerByName,
}
