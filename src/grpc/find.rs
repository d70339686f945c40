//! Finds the servers that names lead to, again and again.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::remote::Remote;
use super::server::Trouble;
use super::shared::Shared;
use crate::backoff::Backoff;
use crate::unix::reconnect::ConnectionState;

/// How long what was found is taken for granted.
const FIND_AGAIN: Duration = Duration::from_secs(30);
/// How long it is, though a server cannot be reached.
const AT_LEAST: Duration = Duration::from_secs(2);

/// Finds the servers by their names, again when one cannot be reached, for ever.
pub(super) async fn find(shared: &Arc<Shared>) {
    let Some(names) = &shared.names else { return pending().await };
    let settings = &shared.settings;
    let mut backoff = Backoff::new(settings.reconnect_delay, settings.max_backoff);
    let mut failures = 0;
    loop {
        if shared.lock().members.iter().next().is_none() {
            shared.publish(ConnectionState::Connecting);
        }
        let found = timeout(settings.connect_timeout, names.find()).await;
        let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let delay = match found {
            Ok(found) if !found.is_empty() => {
                failures = 0;
                backoff.reset();
                shared.set_servers(found);
                AT_LEAST
            }
            // What was found before stays true.
            nothing => {
                failures += 1;
                let delay = backoff.next(fastrand::f64());
                let none = || std::io::Error::other("its name has no address");
                let error = nothing.err().unwrap_or_else(none);
                shared.lock().not_found = Trouble {
                    attempts: failures,
                    is_down: failures >= settings.reconnect_attempts.max(1),
                    error: Some(Arc::new(error)),
                    next: Some(Instant::now() + delay),
                };
                if shared.lock().members.iter().next().is_none() {
                    shared.publish(ConnectionState::TransientFailure);
                }
                shared.tell_if_down(false);
                delay
            }
        };
        sleep(delay).await;
        if failures == 0 {
            tokio::select! {
                biased;
                () = shared.lost.notified() => {}
                () = sleep(FIND_AGAIN) => {}
            }
        }
    }
}

impl Shared {
    /// These are the plugin's servers from now on.
    fn set_servers(&self, found: Vec<Remote>) {
        let mut locked = self.lock();
        let mut retired = Vec::new();
        while let Some(index) = locked.members.remove_other_than(&found) {
            locked.members.get(index).gone.notify_one();
            locked.troubles[index] = Trouble::default();
            locked.admission.set_limit(index, 0, self.now());
            retired.extend(locked.open[index].take());
        }
        for remote in found {
            if let Some(index) = locked.members.add(remote) {
                locked.admission.renew(index);
                let count = locked.members.len();
                locked.troubles.resize(count, Trouble::default());
                locked.open.resize(count, None);
            }
        }
        locked.not_found = Trouble::default();
        drop(locked);
        // What they hold wakes others.
        drop(retired);
        self.changed.notify_one();
    }
}
