//! Whether the invariants hold: events in, the first broken one out.
//!
//! A judge is a plain value that knows neither the client nor the simulation, so it is
//! shown traces in which each invariant is broken and must find it (`tests`). The numbers
//! are those of the list in docs/reliability.md.

mod breaker;
mod calls;
#[cfg(test)]
mod grpc_tests;
mod sockets;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::event::{Bounds, Counters, Event, Millis, Over, Sample};

use breaker::BreakerJudge;
use calls::Calls;
use sockets::Sockets;

/// How much later than its deadline a call may be answered.
pub const LATE: Millis = 2;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub invariant: u8,
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.invariant, self.what)
    }
}

/// What a rule makes of an event.
type Found = Result<(), Broken>;

fn broken<T>(invariant: u8, what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { invariant, what: what.into() })
}

/// All rules together.
#[derive(Debug, Default)]
pub struct Judge {
    bounds: Option<Bounds>,
    calls: Calls,
    sockets: Sockets,
    breaker: BreakerJudge,
}

impl Judge {
    /// Looks at the next event.
    ///
    /// # Errors
    /// The invariant that it breaks.
    pub fn see(&mut self, now: Millis, event: &Event) -> Found {
        if let Event::Handle(bounds) = *event {
            self.bounds = Some(bounds);
        }
        self.sockets.see(now, event, self.bounds.as_ref())?;
        let over = self.bounds.map_or(Over::Socket, |bounds| bounds.over);
        self.calls.see(now, event, over, &mut self.sockets)?;
        self.breaker.see(now, event, &self.calls)?;
        match event {
            Event::Sampled(sample) => self.bounded(sample),
            Event::Rested(sample, counters) => {
                self.bounded(sample)?;
                self.at_rest(sample, counters)
            }
            _ => Ok(()),
        }
    }

    /// Every queue has a bound.
    fn bounded(&self, sample: &Sample) -> Found {
        let Some(bounds) = &self.bounds else { return Ok(()) };
        let places = bounds.max_connections * bounds.max_in_flight;
        let Sample { waiting, queued, in_flight, fullest, connections, .. } = *sample;
        // Over gRPC as many may wait, while no server is connected to, as all of them will take.
        let coming = if bounds.over == Over::Grpc { places } else { 0 };
        let may_wait = bounds.queue_capacity + coming;
        if waiting > may_wait {
            return broken(6, format!("{waiting} calls wait, {may_wait} may"));
        }
        if queued + in_flight > places {
            return broken(6, format!("{queued} + {in_flight} calls have {places} places"));
        }
        if fullest > bounds.max_in_flight {
            return broken(6, format!("a connection has {fullest} calls"));
        }
        if connections > bounds.max_connections {
            return broken(6, format!("{connections} connections are open"));
        }
        Ok(())
    }

    /// Nobody calls, so nothing may be bound, and every call was counted once.
    fn at_rest(&self, sample: &Sample, counters: &Counters) -> Found {
        let Some(bounds) = &self.bounds else { return Ok(()) };
        // A probe is no call, and at most one is under way on each connection.
        let probes = if bounds.keep_alive { bounds.max_connections } else { 0 };
        if sample.waiting > 0 || sample.queued > 0 || sample.in_flight > probes {
            return broken(2, format!("nobody calls, and there is something left: {sample:?}"));
        }
        if sample.streams > 0 {
            return broken(12, format!("nobody calls, and {} streams are open", sample.streams));
        }
        if bounds.over == Over::Grpc && sample.connections < bounds.max_connections {
            let (ready, all) = (sample.connections, bounds.max_connections);
            return broken(2, format!("all {all} servers are well, and {ready} are connected to"));
        }
        self.calls.counted(counters, bounds.log_panics)
    }
}
