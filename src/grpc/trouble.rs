//! Why servers cannot be reached, and when a plugin is down for that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::shared::Locked;
use crate::error::Cause;

/// How attempts to connect to a server went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    /// Failures in a row.
    pub(crate) attempts: u32,
    pub(crate) is_down: bool,
    pub(crate) error: Option<Arc<io::Error>>,
    pub(crate) next: Option<Instant>,
}

impl Locked {
    /// Why no call can be made now and none may wait, if that is so: every server is down.
    pub(crate) fn down(&self) -> Option<Down> {
        if self.admission.is_connected() || !self.troubles().all(|trouble| trouble.is_down) {
            return None;
        }
        let first = self.troubles().min_by_key(|trouble| trouble.next)?;
        let attempts = self.troubles().map(|trouble| trouble.attempts).max()?;
        let delay = first.next.map(|next| next.saturating_duration_since(Instant::now()));
        Some(Down { attempts, error: self.why()?, delay })
    }

    /// Why there is no connection.
    pub(crate) fn why(&self) -> Option<Arc<io::Error>> {
        self.troubles().find_map(|trouble| trouble.error.clone())
    }

    /// Those of the servers that there are, or, where there are none, why not.
    fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        let none = self.members.iter().next().is_none().then_some(&self.not_found);
        self.members.iter().map(|(index, _)| &self.troubles[index]).chain(none)
    }
}

/// A plugin none of whose servers can be reached.
pub(crate) struct Down {
    pub(crate) attempts: u32,
    pub(crate) error: Arc<io::Error>,
    /// How long until the next attempt.
    pub(crate) delay: Option<Duration>,
}

impl From<Down> for Cause {
    fn from(Down { attempts, error, delay }: Down) -> Self {
        Self::unreachable(attempts, error, delay)
    }
}
