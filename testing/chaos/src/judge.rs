//! Holds what a caller was told against what it had asked for.

use std::fmt;
use std::time::Duration;

use hookwire::{PluginContext, PluginError, PluginResult, Sent};
use serde_json::Value;

use crate::ledger::Ledger;
use crate::site::Contexts;
use crate::work::{Answer, Marker, Verdict, unsigned, work};

/// A call as its caller knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) marker: Marker,
    pub(crate) filler: &'static str,
    /// What the reply brings back.
    pub(crate) contexts: Contexts,
    /// Its servers keep their word: what they say was not begun has not run.
    pub(crate) proves_unstarted: bool,
}

/// What a plugin answered, typed or not.
pub(crate) type Told = Result<PluginResult<Answer>, PluginError>;

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not the answer to this call.
    Mismatched(String),
    /// It is an answer, and no hook ran for it.
    NeverRan,
    /// It is an answer, and its server gave none.
    Void,
    /// The call's time is said to be over, and is not.
    TooSoon,
    /// Another server had taken the path over so long before the call.
    Outdated(Duration),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatched(what) => f.write_str(what),
            Self::NeverRan => f.write_str("an answer although the hook did not run"),
            Self::Void => f.write_str("an answer although the server took it back, or gave none"),
            Self::TooSoon => f.write_str("timed out before its deadline"),
            Self::Outdated(since) => write!(f, "answered by a server replaced {since:?} before"),
        }
    }
}

/// The name of the outcome, for counting; and what is wrong with it.
pub(crate) fn judge(
    asked: &Asked,
    told: &Told,
    context: &PluginContext,
    ledger: &Ledger,
) -> (&'static str, Option<Wrong>) {
    let (verdict, number) = work(asked.marker, asked.filler);
    let (outcome, fits) = match told {
        Ok(result) if result.is_allowed() => ("allowed", allows(asked, result, verdict, &number)),
        Ok(result) => ("denied", denies(asked, result, verdict, &number)),
        Err(error) => match error.plugin_fault() {
            Some(fault) => (
                "plugin_error",
                verdict == Verdict::Fault
                    && fault.message == asked.marker.to_string()
                    && unsigned(&fault.code).0 == number,
            ),
            None => (error.reason(), true),
        },
    };
    if !fits && outcome == "plugin_error" && asked.contexts == Contexts::Stamped {
        // An error carries no stamp. Whose it is nobody knows; it allows nothing.
        return ("unproven_error", None);
    }
    if !fits {
        return (outcome, mismatch(format!("{outcome}, should be {verdict:?} of {number}")));
    }
    if context.state != expected_state(asked, told.is_ok(), &number) {
        return (outcome, mismatch("the context is not the one of this call".into()));
    }
    match told {
        Err(error) if error.plugin_fault().is_none() => {
            let unsent = match error.sent() {
                Sent::No => true,
                Sent::Unstarted => asked.proves_unstarted,
                _ => false,
            };
            if unsent {
                ledger.unsent(asked.marker);
            }
            (outcome, None)
        }
        // Of one that may be repeated, the next server may have given it.
        _ if !asked.marker.may_repeat && ledger.is_void(asked.marker) => {
            (outcome, Some(Wrong::Void))
        }
        _ => (outcome, (!ledger.has_run(asked.marker)).then_some(Wrong::NeverRan)),
    }
}

/// The version of the server that answered.
pub(crate) fn version_of(told: &Told) -> Option<usize> {
    let signed = match told {
        Ok(result) => match result.verdict() {
            hookwire::Verdict::Allowed(answer) => &answer.as_ref()?.number,
            hookwire::Verdict::Denied(_) => &result.violation()?.code,
        },
        Err(error) => &error.plugin_fault()?.code,
    };
    unsigned(signed).1
}

/// The state that a call goes out with.
pub(crate) fn first_state(marker: Marker) -> serde_json::Map<String, Value> {
    [("asked".to_owned(), Value::from(marker.to_string()))].into_iter().collect()
}

fn expected_state(asked: &Asked, answered: bool, number: &str) -> serde_json::Map<String, Value> {
    if answered && asked.contexts == Contexts::Returned {
        return [("number".to_owned(), Value::from(number))].into_iter().collect();
    }
    first_state(asked.marker)
}

fn allows(asked: &Asked, result: &PluginResult<Answer>, verdict: Verdict, number: &str) -> bool {
    let Verdict::Allow { echo } = verdict else { return false };
    let hookwire::Verdict::Allowed(Some(answer)) = result.verdict() else { return false };
    answer.marker == asked.marker.to_string()
        && unsigned(&answer.number).0 == number
        && answer.filler.as_deref() == echo.then_some(asked.filler)
}

fn denies(asked: &Asked, result: &PluginResult<Answer>, verdict: Verdict, number: &str) -> bool {
    verdict == Verdict::Deny
        && result.violation().is_some_and(|violation| {
            violation.reason == asked.marker.to_string() && unsigned(&violation.code).0 == number
        })
}

fn mismatch(what: String) -> Option<Wrong> {
    Some(Wrong::Mismatched(what))
}
