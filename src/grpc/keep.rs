//! How long a connection is used: until it takes no more calls, or its server says nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::check;
use super::server::Connection;
use super::shared::Shared;
use crate::error::Cause;
use crate::unix::NEVER;

/// How often an ejected server that has not answered a check is asked again.
const CHECK_AGAIN: Duration = Duration::from_secs(1);

/// Uses a connection until it takes no more calls, and tells why.
pub(super) async fn look_after(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
) -> Arc<io::Error> {
    let share = connection.session.condition().share();
    shared.opened(connection, share.min(shared.settings.max_in_flight));
    tokio::select! {
        biased;
        error = over(shared, connection) => error,
        () = connection.closed.notified() => {
            let reason = "the server takes no more calls on this connection";
            Arc::new(io::Error::other(reason))
        }
        error = ask_now_and_then(shared, connection) => error,
        never = shared.feed(connection) => match never {},
    }
}

/// Waits until a connection takes no more calls, from whomever, and follows how many it takes.
async fn over(shared: &Arc<Shared>, connection: &Connection) -> Arc<io::Error> {
    let session = &connection.session;
    loop {
        // Before the look: from here on no change is missed.
        let changed = session.changed();
        let now = session.condition();
        if let Some(error) = now.over() {
            if now.is_panic() {
                shared.identity.count_panic();
            }
            // Another plugin has waited as long as this one would have.
            if now.is_silent(shared.settings.connect_timeout) {
                connection.sever(Cause::Disconnected(Arc::clone(error)));
            }
            return Arc::clone(error);
        }
        let share = now.share();
        let limit = share.min(shared.settings.max_in_flight);
        shared.limit(connection.index, connection.number, limit);
        changed.await;
    }
}

/// Asks whether the server is there while a connection is quiet, until it is to be given up.
async fn ask_now_and_then(shared: &Arc<Shared>, connection: &Connection) -> Arc<io::Error> {
    let (server, session) = (&connection.server, &connection.session);
    let settings = &shared.settings;
    let patience = settings.connect_timeout;
    let mut unanswered = 0;
    loop {
        let (heard, checks) = (session.cut.received(), session.checks());
        let doubtful = shared.is_doubtful(connection.index);
        let quiet = match settings.keep_alive {
            _ if doubtful => CHECK_AGAIN,
            Some(keep_alive) => keep_alive,
            None => NEVER,
        };
        tokio::select! {
            biased;
            () = server.doubt.notified() => {}
            () = sleep(quiet) => {
                // What another plugin has heard is known.
                if session.checks() != checks && !doubtful {
                    continue;
                }
            }
        }
        let answer = timeout(patience, session.check(patience)).await;
        // One that has sent something is there. That calls are under way shows nothing: their
        // callers may leave before anybody could notice.
        let is_there = session.cut.received() != heard && !doubtful;
        match answer {
            Ok(Ok(())) => {
                unanswered = 0;
                session.prove();
                shared.found_alive(connection.index);
            }
            // Those under way go on. What is made next is asked first, so there is none until it
            // serves again.
            Ok(Err(not_serving @ check::Trouble::NotServing)) => {
                let error = not_serving.into_error();
                session.retire(Arc::clone(&error));
                return error;
            }
            Ok(Err(check::Trouble::Failed(_) | check::Trouble::NotAsked)) => {}
            Err(_) if is_there => unanswered = 0,
            // A hook that keeps its server from answering ends with its connection, so while
            // calls are under way, since whenever, it has a second chance.
            Err(_) if !session.streams.is_unused() && !doubtful && unanswered == 0 => {
                unanswered = 1;
            }
            Err(_) => {
                let reason = "the server left `cpex.Health/Check` without an answer";
                let error = Arc::new(io::Error::new(io::ErrorKind::TimedOut, reason));
                connection.sever(Cause::Disconnected(Arc::clone(&error)));
                // Those who are more patient keep the calls that they have under way.
                session.is_silent(patience, Arc::clone(&error));
                return error;
            }
        }
    }
}

impl Shared {
    /// Whether a server is to be asked if it is there.
    fn is_doubtful(&self, server: usize) -> bool {
        self.lock().admission.is_doubtful(server)
    }

    fn found_alive(self: &Arc<Self>, server: usize) {
        let mut locked = self.lock();
        locked.admission.set_alive(server);
        self.hand_out(&mut locked);
    }
}
