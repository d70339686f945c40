//! Listens to what a client writes: which calls have bytes in the kernel.

use std::sync::Arc;

use crate::event::{Call, Conn, Event};
use crate::stream::Listen;
use crate::world::World;

/// In front of a call's number, in every hook's payload.
const MARK: &[u8] = b"call-";
const DIGITS: usize = 8;
/// Of a marker.
pub const LENGTH: usize = MARK.len() + DIGITS;
const HEADER: usize = 4;

/// The marker of a call, which its request carries.
pub fn marker(call: Call) -> String {
    format!("call-{call:0DIGITS$}")
}

/// The call of a marker.
pub fn call(marker: &str) -> Option<Call> {
    marker.strip_prefix("call-")?.parse().ok()
}

/// Listens to a socket.
pub struct Tap {
    world: Arc<World>,
    conn: Conn,
    frames: Frames,
}

impl Tap {
    pub fn new(world: &Arc<World>, conn: Conn) -> Self {
        Self { world: Arc::clone(world), conn, frames: Frames::default() }
    }
}

impl Listen for Tap {
    fn up(&mut self, bytes: &[u8]) {
        let Self { world, conn, frames } = self;
        frames.push(bytes, |call| world.see(Event::Written { conn: *conn, call }));
    }
}

/// The beginning of a frame that is not whole.
#[derive(Debug, Default)]
struct Frames {
    frame: Vec<u8>,
    found: bool,
}

impl Frames {
    /// Takes the next bytes, and tells of each call as soon as its marker is among them.
    fn push(&mut self, mut bytes: &[u8], mut found: impl FnMut(Call)) {
        while !bytes.is_empty() {
            let whole = match self.frame.first_chunk::<HEADER>() {
                Some(header) => HEADER + u32::from_be_bytes(*header) as usize,
                None => HEADER,
            };
            let (now, later) = bytes.split_at(bytes.len().min(whole - self.frame.len()));
            let from = self.frame.len().saturating_sub(LENGTH);
            self.frame.extend_from_slice(now);
            bytes = later;
            if !self.found
                && let Some(call) = first(&self.frame[from..])
            {
                self.found = true;
                found(call);
            }
            if self.is_whole() {
                self.frame.clear();
                self.found = false;
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.frame
            .first_chunk::<HEADER>()
            .is_some_and(|header| self.frame.len() == HEADER + u32::from_be_bytes(*header) as usize)
    }
}

/// The first call whose marker is among these bytes.
pub fn first(bytes: &[u8]) -> Option<Call> {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK)?;
    let digits = bytes.get(at + MARK.len()..at + MARK.len() + DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_however_their_frames_are_cut() {
        let mut stream = Vec::new();
        for number in [1, 22, 333] {
            let body = format!("a hook {} and its context {}", marker(number), marker(number));
            stream.extend_from_slice(&(body.len() as u32).to_be_bytes());
            stream.extend_from_slice(body.as_bytes());
        }
        // A question, which is of nobody.
        stream.extend_from_slice(&[0, 0, 0, 0]);
        for size in 1..stream.len() {
            let (mut frames, mut calls) = (Frames::default(), Vec::new());
            stream.chunks(size).for_each(|chunk| frames.push(chunk, |call| calls.push(call)));
            assert_eq!(calls, [1, 22, 333], "in pieces of {size}");
            assert!(frames.frame.is_empty());
        }
    }

    #[test]
    fn a_marker_leads_back_to_its_call() {
        assert_eq!(call(&marker(42)), Some(42));
        assert_eq!(call("42"), None);
    }
}
