//! The questions that a plugin's own task asks its servers: whether they still tell of the
//! plugin what is known of it.
//!
//! Every server that is connected to anew is asked, because it may be another one, of another
//! version. No caller waits for it, and the answer says nothing of the plugin's health.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::OptionFuture;
use tokio::time::{Instant, sleep_until, timeout};

use super::call::{Fault, call};
use super::listening::News;
use super::shared::Shared;
use crate::unix::NEVER;
use crate::unix::listening::Heard;
use crate::unix::message::{Method, Origin};
use crate::unix::questions::Questions;
use crate::wire::request;

/// How a question ended.
enum Asked {
    Heard(Heard),
    /// It has not left, so it says nothing of the server.
    Unsent,
}

/// Asks whenever there is something to ask, for ever.
pub(super) async fn ask(shared: &Arc<Shared>) {
    let listening = &shared.listening;
    let mut questions = Questions::new();
    // Those to be asked.
    let mut servers = BTreeSet::new();
    let mut until = None;
    let mut under_way: OptionFuture<_> = None.into();
    let mut asking = false;
    // A task before this one may have heard of it.
    if listening.get().is_some() {
        questions.listen();
    }
    loop {
        for news in listening.take() {
            match news {
                News::Opened(server) => {
                    servers.insert(server);
                    questions.opened(true);
                }
                News::Begun(heard, origin) => {
                    questions.listen();
                    // A question of this task's own is younger.
                    if !asking {
                        until = hear(&mut questions, heard);
                    }
                    // What was heard may be of a server that is there no more.
                    let is_there =
                        |origin: Origin| shared.connection(origin.slot, origin.socket).is_some();
                    if let Some(origin) = origin.filter(|origin| !is_there(*origin)) {
                        servers.insert(origin.slot);
                        questions.lost();
                    }
                }
            }
        }
        if questions.is_stale()
            && let Some(listener) = listening.get()
        {
            listener.stale();
        }
        if questions.is_due()
            && let Some(server) = shared.connected(&servers)
        {
            questions.asked();
            under_way = Some(Box::pin(question(shared, server))).into();
            asking = true;
        }
        tokio::select! {
            biased;
            () = listening.told() => {}
            () = sleep_until(until.unwrap_or_else(|| Instant::now() + NEVER)) => {
                until = None;
                questions.elapsed();
            }
            Some((server, asked)) = &mut under_way => {
                under_way = None.into();
                asking = false;
                until = match asked {
                    Asked::Heard(heard) => {
                        if heard != Heard::NoAnswer {
                            servers.remove(&server);
                        }
                        hear(&mut questions, heard)
                    }
                    Asked::Unsent => Some(Instant::now() + questions.unsent()),
                };
                // One that is connected to no more is asked as soon as it is again; until then
                // nothing is known of it that could be stale. No news of it is lost: connections
                // are opened by this same task.
                servers.retain(|server| shared.is_connected(*server));
                if !servers.is_empty() {
                    questions.lost();
                }
            }
        }
    }
}

/// When to look again, if that is known.
fn hear(questions: &mut Questions, heard: Heard) -> Option<Instant> {
    let delay = match heard {
        Heard::NoAnswer => Some(questions.failed(fastrand::f64())),
        heard => questions.answered(heard == Heard::Barred),
    };
    delay.map(|delay| Instant::now() + delay)
}

/// Asks one server about the plugin.
async fn question(shared: &Arc<Shared>, server: usize) -> (usize, Asked) {
    let Some(seat) = shared.seat_on(server) else { return (server, Asked::Unsent) };
    // A name that cannot be asked for cannot be called either.
    let Ok(frame) = request::get_plugin_config(&shared.identity.plugin) else {
        return (server, Asked::Heard(Heard::NoAnswer));
    };
    let path = seat.connection.server.paths().of(Method::Check, false);
    let (time, limit) = (shared.timeout, shared.settings.max_reply_len);
    let call = call(&seat.connection.session.sender, path, Bytes::from(frame), time, limit);
    let asked = match timeout(time, call).await {
        Ok(Ok(message)) => {
            let listener = shared.listening.get();
            Asked::Heard(listener.map_or(Heard::NoAnswer, |listener| listener.answer(&message)))
        }
        Ok(Err(Fault::Unsent(_) | Fault::Refused(_) | Fault::PassedOver(_))) => Asked::Unsent,
        Ok(Err(Fault::Lost(_) | Fault::Failed(_) | Fault::Status(_))) | Err(_) => {
            Asked::Heard(Heard::NoAnswer)
        }
    };
    (server, asked)
}
