//! A way to a server, and the connection that is there: of one plugin, or of all whose way is
//! equal.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use http::Uri;
use tokio::sync::watch;
use tokio::time::Instant;

use super::flight::Flight;
use super::open::{Opened, Opener};
use super::session::Session;
use crate::unix::connect::Connect;
use crate::unix::slot::Slot;

/// What an attempt of one plugin has shown a moment ago is true for the others too. They hear at
/// once when one of them is through.
const LATELY: Duration = Duration::from_millis(50);

/// So many times the calls under way are streams that were reset remembered, so that late frames
/// of theirs are known as such.
const RESETS: usize = 8;
/// The calls under way of several plugins, for that.
const MANY: usize = 1024;

pub(crate) struct Subchannel {
    opener: Opener,
    opening: Flight<Opened>,
    last: Mutex<Last>,
    /// How many connections there have been.
    openings: watch::Sender<u64>,
}

/// How the last attempts went.
#[derive(Default)]
struct Last {
    session: Weak<Session>,
    failure: Option<(Instant, Arc<io::Error>)>,
}

impl Subchannel {
    /// For one plugin, with so many calls at a time.
    pub(crate) fn own(
        connector: Arc<dyn Connect>,
        check: Uri,
        owner: Arc<Slot>,
        max_in_flight: usize,
    ) -> Self {
        Self::new(Opener::new(connector, check, Some(owner), RESETS * max_in_flight))
    }

    pub(crate) fn shared(connector: Arc<dyn Connect>, check: Uri) -> Self {
        Self::new(Opener::new(connector, check, None, RESETS * MANY))
    }

    fn new(opener: Opener) -> Self {
        let (opening, last, openings) = Default::default();
        Self { opener, opening, last, openings }
    }

    /// The connection that is there, or else one that is made now, by whoever asks first.
    /// `patience` is how long the caller waits for it.
    ///
    /// # Cancel safety
    /// An attempt that nobody waits for any more leaves nothing behind.
    pub(crate) async fn session(self: &Arc<Self>, patience: Duration) -> Opened {
        let work = {
            let last = self.lock();
            let takes_calls = |session: &Arc<Session>| session.takes_calls(patience);
            if let Some(session) = last.session.upgrade().filter(takes_calls) {
                return Ok(session);
            }
            if let Some((at, error)) = &last.failure
                && self.opener.is_shared()
                && at.elapsed() < LATELY
            {
                return Err(Arc::clone(error));
            }
            // Under the lock: an attempt that ends now is either joined or seen.
            let subchannel = Arc::clone(self);
            self.opening.join(patience, || subchannel.attempt().boxed())
        };
        work.await
    }

    async fn attempt(self: Arc<Self>) -> Opened {
        let opened = self.opener.open().await;
        let mut last = self.lock();
        match &opened {
            Ok(session) => {
                let new = Last { session: Arc::downgrade(session), failure: None };
                let before = std::mem::replace(&mut *last, new).session.upgrade();
                drop(last);
                // One for whom the other was too slow has made it: all others follow.
                if let Some(before) = before {
                    let reason = "there is a newer connection to the server";
                    before.retire(Arc::new(io::Error::other(reason)));
                }
                self.openings.send_modify(|openings| *openings += 1);
            }
            Err(error) => last.failure = Some((Instant::now(), Arc::clone(error))),
        }
        opened
    }

    /// Why there is no connection after so long.
    pub(super) fn late(&self, patience: Duration) -> Arc<io::Error> {
        self.opener.late(patience)
    }

    /// Tells of every connection that is made from now on.
    pub(crate) fn openings(&self) -> watch::Receiver<u64> {
        self.openings.subscribe()
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        let last = self.lock().session.upgrade();
        last.is_some_and(|session| session.takes_calls(Duration::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Subchannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subchannel").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}
