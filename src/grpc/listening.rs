//! Who hears what the servers tell of the plugin, and what happened since the task that asks them
//! looked.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::unix::listening::{Heard, Listener};
use crate::unix::message::Origin;

#[derive(Default)]
pub(crate) struct Listening {
    listener: OnceLock<Arc<dyn Listener>>,
    news: Mutex<Vec<News>>,
    wake: Notify,
}

/// What the task has to know.
pub(super) enum News {
    /// A caller has asked by itself.
    Begun(Heard, Option<Origin>),
    Opened(usize),
}

impl Listening {
    /// From now on the task asks. `heard`: what the caller's own question has brought, and
    /// where from.
    pub(crate) fn begin(&self, listener: Arc<dyn Listener>, heard: Heard, origin: Option<Origin>) {
        self.listener.get_or_init(|| listener);
        self.tell(News::Begun(heard, origin));
    }

    /// A server is connected to, and no call has gone there yet.
    pub(crate) fn opened(&self, server: usize) {
        if let Some(listener) = self.listener.get() {
            listener.stale();
            self.tell(News::Opened(server));
        }
    }

    fn tell(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
        self.wake.notify_one();
    }

    /// Waits until something has happened.
    pub(super) async fn told(&self) {
        self.wake.notified().await;
    }

    pub(super) fn get(&self) -> Option<&dyn Listener> {
        self.listener.get().map(AsRef::as_ref)
    }

    pub(super) fn take(&self) -> Vec<News> {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
