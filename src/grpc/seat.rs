//! A place for one call: how it is had, and what its end tells of the server.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::admission::{Outcome, Place, Waiting};
use super::server::Connection;
use super::shared::{Locked, Shared};
use super::streams::Stream;
use crate::breaker::Signal;
use crate::unix::message::Failure;

/// One who waits for a place.
#[derive(Debug)]
pub(crate) struct Ticket(pub(crate) oneshot::Sender<Result<Seat, Box<Failure>>>);

impl Waiting for Ticket {
    fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

/// A place for one call, and the connection that it is on. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    pub(crate) connection: Arc<Connection>,
    /// `None` once it was given back.
    place: Option<Place>,
    /// Of the connection, which others may share.
    stream: Option<Stream>,
    pub(crate) outcome: Outcome,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // First: those who are given the place need a stream too.
        drop(self.stream.take());
        if let Some(place) = self.place.take() {
            self.shared.leave(place, self.outcome);
        }
    }
}

impl Shared {
    /// A seat that is there at once.
    pub(crate) fn enter(self: &Arc<Self>, locked: &mut Locked) -> Option<Seat> {
        locked.admission.forget_crowds();
        let now = self.now();
        let mut seat = None;
        while seat.is_none()
            && let Some(place) = locked.admission.enter(now, random)
        {
            seat = self.seat(locked, place, &mut None);
        }
        seat
    }

    /// A seat on this server, if it has room.
    pub(crate) fn seat_on(self: &Arc<Self>, server: usize) -> Option<Seat> {
        let mut locked = self.lock();
        locked.admission.forget_crowds();
        let place = locked.admission.enter_on(server)?;
        self.seat(&mut locked, place, &mut None)
    }

    /// A seat at a place that was given just now. Where those who share the connection leave it
    /// no stream, the place is given back, and the server is passed over until
    /// [`Admission::forget_crowds`](super::admission::Admission::forget_crowds).
    fn seat(
        self: &Arc<Self>,
        locked: &mut Locked,
        place: Place,
        spare: &mut Option<(u64, Stream)>,
    ) -> Option<Seat> {
        let Some(connection) = locked.open[place.server].clone() else {
            debug_assert!(false, "a place on a server without a connection");
            locked.admission.pass_over(place, self.now());
            return None;
        };
        let spare = spare.take_if(|(number, _)| *number == connection.number);
        let stream = spare.map(|(_, stream)| stream).or_else(|| connection.session.streams.enter());
        if stream.is_none() {
            locked.admission.pass_over(place, self.now());
            return None;
        }
        let (shared, place) = (Arc::clone(self), Some(place));
        Some(Seat { shared, connection, place, stream, outcome: Outcome::Silent })
    }

    /// Those who wait now need streams of the servers that were passed over: they get them in
    /// turn with the other plugins.
    pub(crate) fn ask_for_streams(&self, locked: &Locked) {
        for server in locked.admission.crowds() {
            if let Some(connection) = &locked.open[server] {
                connection.crowded.notify_one();
            }
        }
    }

    /// Gives those who wait the streams that others leave, for ever.
    pub(crate) async fn feed(self: &Arc<Self>, connection: &Connection) -> Infallible {
        loop {
            connection.crowded.notified().await;
            let stream = connection.session.streams.wait().await;
            self.hand_out_with(&mut self.lock(), Some((connection.number, stream)));
        }
    }

    pub(crate) fn is_connected(&self, server: usize) -> bool {
        self.lock().open.get(server).is_some_and(Option::is_some)
    }

    /// The first of these servers that is connected to; of all, if none of these is.
    pub(crate) fn connected(&self, servers: &BTreeSet<usize>) -> Option<usize> {
        let locked = self.lock();
        let is_open = |server: &usize| locked.open[*server].is_some();
        let all = 0..locked.open.len();
        servers.iter().copied().find(is_open).or_else(|| all.into_iter().find(is_open))
    }

    /// Gives places to those who wait, for as long as there are both. To be called after
    /// every change of the admission.
    pub(crate) fn hand_out(self: &Arc<Self>, locked: &mut Locked) {
        self.hand_out_with(locked, None);
    }

    /// `spare`: a stream of the connection of this number.
    fn hand_out_with(self: &Arc<Self>, locked: &mut Locked, mut spare: Option<(u64, Stream)>) {
        locked.admission.forget_crowds();
        let now = self.now();
        while let Some((place, Ticket(waiter))) = locked.admission.next(now, random) {
            let Some(seat) = self.seat(locked, place, &mut spare) else {
                locked.admission.put_back(Ticket(waiter));
                continue;
            };
            // One who leaves in this moment has not taken it.
            if let Err(Ok(mut seat)) = waiter.send(Ok(seat))
                && let Some(place) = seat.place.take()
            {
                locked.admission.leave(place, Outcome::Silent, now, 0.0);
            }
        }
        if locked.admission.waiting() > 0 {
            self.ask_for_streams(locked);
        }
    }

    fn leave(self: &Arc<Self>, place: Place, outcome: Outcome) {
        let mut locked = self.lock();
        let before = locked.admission.standing(place.server).ejected;
        locked.admission.leave(place, outcome, self.now(), fastrand::f64());
        let after = locked.admission.standing(place.server).ejected;
        self.hand_out(&mut locked);
        let signal = match outcome {
            Outcome::Missing => {
                locked.admission.all_missing().map(|missing| Signal::AllMissing { missing })
            }
            // One on a connection that takes no more calls brings no plugin back that cannot be
            // reached.
            Outcome::Answered if self.gate.is_troubled() && locked.admission.is_connected() => {
                Some(Signal::Reply { timely: true })
            }
            Outcome::Silent | Outcome::Answered | Outcome::Failed => None,
        };
        let doubtful = outcome != Outcome::Answered && locked.admission.is_doubtful(place.server);
        let quiet = locked.admission.load() == 0 && locked.admission.waiting() == 0;
        drop(locked);
        if before != after {
            self.tell_ejected(place.server, after);
        }
        if let Some(signal) = signal {
            self.gate.signal(signal);
        }
        if doubtful {
            self.server(place.server).doubt.notify_one();
        }
        if quiet && self.stop_at().is_some() {
            self.ending.notify_one();
        }
    }
}

impl Shared {
    #[cold]
    fn tell_ejected(&self, server: usize, ejected: bool) {
        let server = self.server(server);
        let server = &server.remote.name;
        self.identity.log(|identity| {
            let plugin = &identity.plugin;
            if ejected {
                tracing::info!(%plugin, %server, "server ejected: its calls fail, others are asked");
            } else {
                tracing::info!(%plugin, %server, "server is back: calls go there again");
            }
        });
    }
}

/// Below `below`, which is not 0.
pub(crate) fn random(below: usize) -> usize {
    fastrand::usize(..below.max(1))
}
