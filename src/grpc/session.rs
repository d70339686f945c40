//! One HTTP/2 connection to a server, and the task that drives it, whoever uses it: one plugin,
//! or all that share it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use h2::client;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::check::{self, Answer};
use super::flight::Flight;
use super::link::{Cut, Link};
use super::sender::{Body, Broken, Sender};
use super::status;
use super::streams::Streams;
use crate::error::Cause;

/// Who waits for less has no word in whether a server answers the others.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// So many streams may be left before their end on one connection: `open` holds it against what
/// that costs there.
pub(super) const MOST_RESETS: u64 = 50_000;

pub(super) type Http2 = client::Connection<Link, Body>;

/// Dropped by all who use it, it is closed.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) sender: Sender,
    pub(crate) cut: Arc<Cut>,
    pub(crate) streams: Arc<Streams>,
    /// Several plugins may use it.
    pub(crate) is_shared: bool,
    condition: Mutex<Condition>,
    /// Wakes who uses it, in the order in which they wait: with tokio's `watch`, chance would
    /// decide which plugin is first to connect anew.
    changed: Notify,
    /// Something but its first check was answered on it.
    proven: AtomicBool,
    checking: Checking,
    /// Checks that were answered well.
    checks: AtomicU64,
}

/// What those who use it have to know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    /// How many streams the server takes at a time.
    max_streams: usize,
    users: usize,
    /// The last of those has closed it.
    is_left: bool,
    /// It takes no more calls, whatever becomes of those that are on it.
    retired: Option<Arc<io::Error>>,
    /// How long somebody has waited in vain for the server to say that it is there.
    silent_for: Duration,
    ended: Option<Ended>,
}

/// Why it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) error: Arc<io::Error>,
    pub(crate) is_panic: bool,
}

impl Condition {
    /// How many streams one of those who use it may have. Where there are others it is half: one
    /// plugin whose hooks hang must not hold all that there are.
    pub(crate) fn share(&self) -> usize {
        let parts = if self.users > 1 { 2 } else { 1 };
        (self.max_streams / parts).max(1)
    }

    /// Why it takes no more calls, if that is so.
    pub(crate) fn over(&self) -> Option<&Arc<io::Error>> {
        self.ended.as_ref().map(|ended| &ended.error).or(self.retired.as_ref())
    }

    /// The same, unless those who used it have closed it.
    pub(crate) fn lost(&self) -> Option<&Arc<io::Error>> {
        self.over().filter(|_| !self.is_left)
    }

    fn is_open_to(&self, patience: Duration) -> bool {
        self.over().is_none() && !self.is_silent(patience)
    }

    /// True if the server is silent, for one who would wait so long.
    pub(crate) fn is_silent(&self, patience: Duration) -> bool {
        self.silent_for >= patience
    }

    pub(crate) fn is_panic(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.is_panic)
    }

    fn told(&self) -> (usize, bool, bool) {
        (self.share(), self.retired.is_some(), self.ended.is_some())
    }
}

impl Session {
    /// Its bytes are moved by a task of its own, on the runtime that is entered here.
    pub(super) fn start(
        sender: Sender,
        http2: Http2,
        cut: Arc<Cut>,
        path: &http::Uri,
        is_shared: bool,
    ) -> Arc<Self> {
        let max_streams = http2.max_concurrent_send_streams();
        let session = Arc::new(Self {
            sender,
            cut,
            streams: Arc::new(Streams::new(max_streams)),
            is_shared,
            condition: Mutex::new(Condition { max_streams, ..Condition::default() }),
            changed: Notify::new(),
            proven: AtomicBool::new(false),
            checking: Checking { path: path.clone(), flight: Flight::default() },
            checks: AtomicU64::new(1),
        });
        let end = End { session: Arc::downgrade(&session), outcome: None };
        let told = Told { max_streams, is_retired: false };
        tokio::spawn(Drive { told, http2, end });
        session
    }

    /// Tells all who use it what has changed for them.
    fn change(&self, change: impl FnOnce(&mut Condition)) {
        let mut condition = self.lock();
        let before = condition.told();
        change(&mut condition);
        let is_news = condition.told() != before;
        drop(condition);
        if is_news {
            self.changed.notify_waiters();
        }
    }

    /// One more uses it, until [`leave`](Self::leave). False if it takes no more calls from one
    /// who waits so long for a server.
    pub(crate) fn enter(&self, patience: Duration) -> bool {
        let mut entered = false;
        self.change(|condition| {
            entered = condition.is_open_to(patience);
            condition.users += usize::from(entered);
        });
        entered
    }

    /// The last one closes it: also if somebody still holds a call that is on it.
    pub(crate) fn leave(&self) {
        let mut is_last = false;
        self.change(|condition| {
            condition.users -= 1;
            is_last = condition.users == 0;
            if is_last {
                condition.is_left = true;
                // Nobody enters it any more.
                condition.retired.get_or_insert_with(given_up);
            }
        });
        if is_last {
            self.cut.cut(Cause::Disconnected(given_up()));
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        self.lock().clone()
    }

    /// Waits for what is told after this was called.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Nothing that panics runs while it is held.
    fn lock(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if it takes calls from one who waits so long for a server.
    pub(crate) fn takes_calls(&self, patience: Duration) -> bool {
        self.cut.why().is_none() && self.lock().is_open_to(patience)
    }

    /// It gets no more calls, from whomever. Those on it go on, if they can.
    pub(crate) fn retire(&self, why: Arc<io::Error>) {
        self.change(|condition| {
            condition.retired.get_or_insert(why);
        });
    }

    /// The same, because the server has left a check without an answer for so long. One who hardly
    /// waits speaks for no others than those who wait no longer.
    pub(crate) fn is_silent(&self, patience: Duration, why: Arc<io::Error>) {
        self.change(|condition| {
            condition.silent_for = condition.silent_for.max(patience);
            if patience >= LEAST_PATIENCE {
                condition.retired.get_or_insert(why);
            }
        });
    }

    pub(crate) fn prove(&self) {
        if !self.proven.load(Relaxed) {
            self.proven.store(true, Relaxed);
        }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Relaxed)
    }

    /// Asks the server whether it is there. Of those who ask at the same time one does; nobody, if
    /// calls have all streams.
    pub(crate) async fn check(&self, patience: Duration) -> Answer {
        let Checking { path, flight } = &self.checking;
        let begin = || {
            let (stream, sender, path) = (self.streams.enter(), self.sender.clone(), path.clone());
            async move {
                let Some(_stream) = stream else { return Err(check::Trouble::NotAsked) };
                check::check(sender, path).await
            }
            .boxed()
        };
        let answer = flight.join(patience, begin).await;
        if answer.is_ok() {
            self.checks.fetch_add(1, Relaxed);
        }
        answer
    }

    /// Another number whenever somebody has heard that the server is there.
    pub(crate) fn checks(&self) -> u64 {
        self.checks.load(Relaxed)
    }
}

/// Nobody is left who could use it.
impl Drop for Session {
    fn drop(&mut self) {
        self.cut.cut(Cause::Disconnected(given_up()));
    }
}

fn given_up() -> Arc<io::Error> {
    Arc::new(io::Error::other("the last connection was given up"))
}

struct Checking {
    path: http::Uri,
    flight: Flight<Answer>,
}

impl std::fmt::Debug for Checking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Checking").field(&self.path).finish()
    }
}

/// Moves the bytes, and hears of a server that takes more calls than before, or fewer, or none.
struct Drive {
    told: Told,
    /// Dropped first, also by a runtime that ends: who hears of that finds nothing open.
    http2: Http2,
    end: End,
}

impl Future for Drive {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { told, http2, end } = self.get_mut();
        if let Poll::Ready(ended) = Pin::new(&mut *http2).poll(cx) {
            end.outcome = Some(ended);
            return Poll::Ready(());
        }
        if let Some(session) = end.session.upgrade() {
            told.tell(&session, http2);
        }
        Poll::Pending
    }
}

/// What those who use a connection were told of it.
struct Told {
    max_streams: usize,
    is_retired: bool,
}

impl Told {
    fn tell(&mut self, session: &Session, http2: &Http2) {
        let max_streams = http2.max_concurrent_send_streams();
        if max_streams != self.max_streams {
            self.max_streams = max_streams;
            session.streams.set_limit(max_streams);
            session.change(|condition| condition.max_streams = max_streams);
        }
        if self.is_retired {
            return;
        }
        let reason = match session.sender.refusal() {
            Some(Broken::Http2(refusal)) => status::into_io(&refusal),
            _ if session.cut.resets() >= MOST_RESETS => {
                // Nothing is wrong with the server: the next connection need not wait.
                session.prove();
                io::Error::other("too many streams were left before their end on this connection")
            }
            _ => return,
        };
        self.is_retired = true;
        session.retire(Arc::new(reason));
    }
}

/// Tells those who use a connection that it is gone: also when its runtime has ended.
struct End {
    session: Weak<Session>,
    outcome: Option<Result<(), h2::Error>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let Some(session) = self.session.upgrade() else { return };
        let error = match (session.cut.why(), self.outcome.take()) {
            (Some(Cause::Disconnected(error)), _) => Arc::clone(error),
            (_, Some(Ok(()))) => Arc::new(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection",
            )),
            (_, Some(Err(error))) => Arc::new(status::into_io(&error)),
            (_, None) => Arc::new(io::Error::other("the connection's task is gone")),
        };
        let is_panic = std::thread::panicking();
        session.change(|condition| condition.ended = Some(Ended { error, is_panic }));
    }
}
