//! Why servers cannot be reached, and when a plugin is down for that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::server::Trouble;
use super::shared::{Locked, Shared};
use crate::error::Cause;
use crate::trust::{Refusal, is_refusal};

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

    /// Why there is no connection; of several servers the one is named that it is about.
    pub(crate) fn why(&self) -> Option<Arc<io::Error>> {
        let several = self.members.iter().nth(1).is_some();
        let named = self.members.iter().find_map(|(index, server)| {
            let error = self.troubles[index].error.as_ref()?;
            Some(if several { named(&server.remote.name, error) } else { Arc::clone(error) })
        });
        named.or_else(|| self.troubles().find_map(|trouble| trouble.error.clone()))
    }

    /// Those of the servers that there are, or, where there are none, why not.
    fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        let none = self.members.iter().next().is_none().then_some(&self.not_found);
        self.members.iter().map(|(index, _)| &self.troubles[index]).chain(none)
    }
}

impl Shared {
    /// Opens the breaker, and answers who waits, if no server can be reached.
    pub(super) fn tell_if_down(&self, broken: bool) {
        let down = self.lock().down();
        if let Some(down) = down {
            let delay = down.delay.unwrap_or_default();
            self.gate.unreachable(down.attempts, &down.error, delay, broken);
            self.answer_waiting(&down.into());
        }
    }
}

fn named(server: &str, error: &io::Error) -> Arc<io::Error> {
    let words = format!("{server}: {error}");
    Arc::new(match is_refusal(error) {
        true => Refusal::Server(words).into(),
        false => io::Error::new(error.kind(), words),
    })
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
