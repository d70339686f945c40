//! Listens to a connection: which calls have bytes in the kernel, and which have all of their
//! answer there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frames::{DATA, Frames, GOAWAY, RST_STREAM, TOO_LONG};
use crate::event::{Conn, Damage, Event};
use crate::signal::Signal;
use crate::stream::Listen;
use crate::tap::{LENGTH, first};
use crate::world::World;

/// In front of a client's first frame.
const PREFACE: usize = 24;

/// What the end of a stream stands for, once it is in the kernel.
#[derive(Debug, Default)]
pub struct End {
    pub events: Vec<Event>,
    /// The connection ends with it.
    pub closes: bool,
}

/// The ends that are to come. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Ends(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    by_stream: Mutex<BTreeMap<u32, End>>,
    closed: Signal,
}

impl Ends {
    pub fn expect(&self, stream: u32, end: End) {
        self.lock().insert(stream, end);
    }

    /// Waits until the connection is to end.
    pub async fn closed(&self) {
        self.0.closed.beyond(0).await;
    }

    /// The connection is to end.
    pub fn close(&self) {
        self.0.closed.grow();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, End>> {
        self.0.by_stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has come of a request.
#[derive(Debug, Default)]
struct Asked {
    /// A marker may begin in it.
    last: Vec<u8>,
    is_known: bool,
}

pub struct Tap {
    world: Arc<World>,
    conn: Conn,
    up: Frames,
    down: Frames,
    asked: BTreeMap<u32, Asked>,
    ends: Ends,
}

impl Tap {
    pub fn new(world: &Arc<World>, conn: Conn, ends: &Ends) -> Self {
        let (up, down) = (Frames::behind(PREFACE), Frames::default());
        let (world, ends) = (Arc::clone(world), ends.clone());
        Self { world, conn, up, down, asked: BTreeMap::new(), ends }
    }
}

impl Listen for Tap {
    fn up(&mut self, bytes: &[u8]) {
        let Self { world, conn, up, asked, .. } = self;
        up.push(bytes, |head, piece, is_whole| {
            if head.kind == DATA {
                let asked = asked.entry(head.stream).or_default();
                if let Some(call) = asked.find(piece) {
                    world.see(Event::Written { conn: *conn, call });
                }
            }
            if is_whole && (head.ends_stream() || head.kind == RST_STREAM) {
                asked.remove(&head.stream);
            }
        });
    }

    fn down(&mut self, bytes: &[u8]) {
        let Self { world, conn, down, ends, .. } = self;
        let conn = *conn;
        down.push(bytes, |head, piece, is_whole| {
            if head.length == TOO_LONG && piece.is_empty() {
                world.see(Event::Damaged { conn, damage: Damage::Framing });
            }
            if is_whole && head.kind == GOAWAY {
                world.see(Event::GoneAway { conn });
            }
            if is_whole
                && head.ends_stream()
                && let Some(end) = ends.lock().remove(&head.stream)
            {
                end.events.into_iter().for_each(|event| world.see(event));
                if end.closes {
                    ends.close();
                }
            }
        });
    }
}

impl Asked {
    /// The call whose marker is whole now.
    fn find(&mut self, piece: &[u8]) -> Option<u32> {
        if self.is_known {
            return None;
        }
        self.last.extend_from_slice(piece);
        let call = first(&self.last);
        self.is_known = call.is_some();
        let keep = if self.is_known { 0 } else { LENGTH - 1 };
        self.last.drain(..self.last.len().saturating_sub(keep));
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::marker;

    #[test]
    fn a_call_is_known_by_its_first_marker_however_that_is_cut() {
        let body = format!("{} and {}", marker(7), marker(7));
        for size in 1..body.len() {
            let mut asked = Asked::default();
            let calls: Vec<_> =
                body.as_bytes().chunks(size).filter_map(|p| asked.find(p)).collect();
            assert_eq!(calls, [7], "in pieces of {size}");
        }
    }
}
