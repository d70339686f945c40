//! What the doctor has found, and what to do about it.

use serde::Serialize;

/// How much it matters. The worst one of a plugin is the plugin's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Note,
    Warn,
    /// A guard would not guard.
    Fail,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What it is about, for scripts.
    pub(crate) check: &'static str,
    pub(crate) message: String,
    pub(crate) advice: String,
}

impl Finding {
    /// Something that keeps a plugin from its work: it fails the doctor if that is to guard.
    pub(crate) fn broken(
        guards: bool,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let level = if guards { Level::Fail } else { Level::Warn };
        Self { level, check, message: message.into(), advice: advice.into() }
    }

    pub(crate) fn warn(
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warn, check, message: message.into(), advice: advice.into() }
    }

    pub(crate) fn note(
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Note, check, message: message.into(), advice: advice.into() }
    }
}
