//! Who hears what the plugin's server tells of the plugin, and what the task that asks has to know
//! of that.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

/// Who wants to know what the plugin's server tells of the plugin.
pub(crate) trait Listener: Send + Sync {
    /// The server's answer to `GetPluginConfig`.
    fn answer(&self, message: &[u8]) -> Heard;

    /// What was heard last may be another server's than the one that is called now.
    fn stale(&self);
}

/// What an answer means for the one that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Understood,
    /// Nothing may be called, as of this answer.
    Barred,
    NoAnswer,
}

/// Whether anybody listens, and how the first question went, which was a caller's.
#[derive(Default)]
pub(crate) struct Listening {
    listener: OnceLock<Arc<dyn Listener>>,
    /// One of the constants below, for the supervisor.
    news: AtomicU8,
    /// The number of the socket that brought that answer.
    socket: AtomicU64,
    /// The path was found to lead to another server.
    moved: AtomicBool,
}

const NO_NEWS: u8 = 0;
const ANSWERED: u8 = 1;
const ANSWERED_AND_BARRED: u8 = 2;
const UNANSWERED: u8 = 3;

impl Listening {
    /// From now on the supervisor asks. `heard`: what the caller's own question has brought,
    /// over the `socket` of this number.
    pub(super) fn begin(&self, listener: Arc<dyn Listener>, heard: Heard, socket: u64) {
        self.listener.get_or_init(|| listener);
        self.socket.store(socket, SeqCst);
        let news = match heard {
            Heard::Understood => ANSWERED,
            Heard::Barred => ANSWERED_AND_BARRED,
            Heard::NoAnswer => UNANSWERED,
        };
        self.news.store(news, SeqCst);
    }

    /// The path leads to another server: a socket that is open may be the first to that one,
    /// though it was not the first that was open.
    pub(super) fn moved(&self) {
        self.moved.store(true, SeqCst);
    }

    /// Whether that was found since this was asked last.
    pub(super) fn take_moved(&self) -> bool {
        self.moved.swap(false, SeqCst)
    }

    pub(super) fn take_news(&self) -> Option<(Heard, u64)> {
        let heard = match self.news.swap(NO_NEWS, SeqCst) {
            NO_NEWS => return None,
            ANSWERED => Heard::Understood,
            ANSWERED_AND_BARRED => Heard::Barred,
            _ => Heard::NoAnswer,
        };
        Some((heard, self.socket.load(SeqCst)))
    }

    pub(super) fn get(&self) -> Option<&dyn Listener> {
        self.listener.get().map(AsRef::as_ref)
    }
}
