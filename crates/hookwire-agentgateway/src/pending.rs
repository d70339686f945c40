//! What is kept of a request until its result comes: the protocol's own messages do not tell
//! which belong together, nor what the request was.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookwire_gateway::RequestContext;
use tokio::time::Instant;

use crate::method::Method;

/// Requests that end in an error, or without a result, leave theirs behind.
const CAPACITY: usize = 10_000;
/// What plugins note about a request may be private, so it is not kept for ever.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// A request whose result is to be checked.
pub(crate) struct Kept {
    pub(crate) method: Method,
    /// The tool's or prompt's name, or the resource's address, as the MCP server gets it.
    pub(crate) subject: String,
    pub(crate) context: RequestContext,
}

pub(crate) struct Pending {
    /// So that no ticket of an earlier process is taken for one of this.
    process: String,
    kept: Mutex<Numbered>,
}

#[derive(Default)]
struct Numbered {
    next: u64,
    /// The oldest first.
    requests: BTreeMap<u64, (Instant, Kept)>,
}

impl Pending {
    pub(crate) fn new() -> Self {
        Self { process: format!("{:032x}", fastrand::u128(..)), kept: Mutex::default() }
    }

    /// Keeps a request in place of the oldest, where there is no room. What comes back is its
    /// ticket.
    pub(crate) fn keep(&self, request: Kept, now: Instant) -> String {
        let mut kept = self.lock();
        let number = kept.next;
        kept.next += 1;
        while let Some(oldest) = kept.requests.first_entry() {
            let over = now.duration_since(oldest.get().0) > KEPT_FOR;
            if !over && kept.requests.len() < CAPACITY {
                break;
            }
            kept.requests.pop_first();
        }
        kept.requests.insert(number, (now, request));
        format!("{}-{number}", self.process)
    }

    /// Gives a request out, once.
    pub(crate) fn take(&self, ticket: &str, now: Instant) -> Option<Kept> {
        let number = ticket.strip_prefix(&self.process)?.strip_prefix('-')?.parse().ok()?;
        let (since, request) = self.lock().requests.remove(&number)?;
        (now.duration_since(since) <= KEPT_FOR).then_some(request)
    }

    fn lock(&self) -> MutexGuard<'_, Numbered> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// An address may hold a password, and contexts what plugins know: neither is shown.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("requests", &self.lock().requests.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(subject: &str) -> Kept {
        let context = RequestContext::new("request-1");
        Kept { method: Method::ToolsCall, subject: subject.to_owned(), context }
    }

    #[test]
    fn a_ticket_gives_its_own_request_once() {
        let (pending, now) = (Pending::new(), Instant::now());
        let one = pending.keep(request("one"), now);
        let two = pending.keep(request("two"), now);
        assert_eq!(pending.take(&two, now).unwrap().subject, "two");
        assert_eq!(pending.take(&one, now).unwrap().subject, "one");
        assert!(pending.take(&one, now).is_none() && pending.take(&two, now).is_none());
    }

    #[test]
    fn a_ticket_of_another_process_gives_nothing() {
        let (pending, now) = (Pending::new(), Instant::now());
        let earlier = Pending::new().keep(request("earlier"), now);
        let ours = pending.keep(request("ours"), now);
        for ticket in [earlier.as_str(), "", "-0", "0", &ours[..ours.len() - 1]] {
            assert!(pending.take(ticket, now).is_none(), "{ticket}");
        }
        assert!(pending.take(&ours, now).is_some());
    }

    #[test]
    fn what_is_left_behind_gives_way_to_what_is_new() {
        let (pending, now) = (Pending::new(), Instant::now());
        let tickets = Vec::from_iter((0..=CAPACITY).map(|_| pending.keep(request("search"), now)));
        assert_eq!(pending.lock().requests.len(), CAPACITY);
        assert!(pending.take(&tickets[0], now).is_none());
        assert!(pending.take(&tickets[1], now).is_some());

        let late = now + KEPT_FOR + Duration::from_secs(1);
        assert!(pending.take(&tickets[2], late).is_none());
        pending.keep(request("search"), late);
        assert_eq!(pending.lock().requests.len(), 1);
    }
}
