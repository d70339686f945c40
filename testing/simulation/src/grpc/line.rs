//! What the calls of one connection share.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::frames::{GOAWAY, TOO_LONG, frame};
use super::splice::Asides;
use super::tap::Ends;
use crate::event::{Call, Conn};
use crate::mood::Fault;
use crate::stream::Scissors;
use crate::world::World;

pub struct Line {
    pub world: Arc<World>,
    pub conn: Conn,
    pub server: usize,
    pub ends: Ends,
    pub scissors: Scissors,
    pub asides: Asides,
    /// The last right reply that proves whose it is.
    last: Mutex<Option<(Call, Vec<u8>)>>,
    greeted: AtomicBool,
}

impl Line {
    pub fn new(
        world: Arc<World>,
        conn: Conn,
        server: usize,
        ends: Ends,
        scissors: Scissors,
    ) -> Self {
        let (asides, last, greeted) = Default::default();
        Self { world, conn, server, ends, scissors, asides, last, greeted }
    }

    /// A fault of these, if there is to be one.
    pub fn fault(&self, rng: &mut fastrand::Rng, candidates: &[Fault]) -> Option<Fault> {
        let fault = self.world.mood().fault(rng, candidates);
        if fault.is_some() {
            self.world.count_fault();
        }
        fault
    }

    /// Says that streams behind `last` are not looked at.
    pub fn go_away(&self, last: u32, reason: u32) {
        let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
        self.asides.push(frame(GOAWAY, 0, &payload));
    }

    /// Bytes that are no frame.
    pub fn damage(&self, rng: &mut fastrand::Rng) {
        let length = (TOO_LONG as u32).to_be_bytes();
        let rest: Vec<u8> = (0..9).map(|_| rng.u8(..)).collect();
        self.asides.push([&length[1..], &rest].concat());
    }

    /// Another call's reply, in the place of this one's.
    pub fn take_last(&self, but: Call) -> Option<Vec<u8>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Some(last.take_if(|(call, _)| *call != but)?.1)
    }

    pub fn set_last(&self, last: Option<(Call, Vec<u8>)>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// True for the first check that is answered.
    pub fn greets(&self) -> bool {
        !self.greeted.swap(true, Relaxed)
    }
}
