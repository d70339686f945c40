//! What only some errors have.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::error::Stage;
use crate::model::PluginViolation;
use crate::server::HandlerError;

/// Each is taken by the cause that has it.
#[derive(Clone, Default)]
pub(super) struct Details {
    pub(super) stage: Option<Stage>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry_after: Option<Duration>,
    pub(super) attempts: Option<u32>,
    pub(super) io_error: Option<Arc<io::Error>>,
    pub(super) fault: Option<HandlerError>,
    pub(super) violation: Option<PluginViolation>,
}

impl Details {
    /// What is left over.
    pub(super) fn first(&self) -> Option<&'static str> {
        let Self { stage, timeout, retry_after, attempts, io_error, fault, violation } = self;
        let set = [
            (stage.is_some(), "stage"),
            (timeout.is_some(), "timeout"),
            (retry_after.is_some(), "retry_after"),
            (attempts.is_some(), "attempts"),
            (io_error.is_some(), "io_error"),
            (fault.is_some(), "fault"),
            (violation.is_some(), "violation"),
        ];
        set.into_iter().find(|(is_set, _)| *is_set).map(|(_, name)| name)
    }
}

/// Names only: a fault may quote a payload.
impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.first())
    }
}
