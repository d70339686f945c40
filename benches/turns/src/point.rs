//! The loads under which the two builds are compared.

use std::fmt;

use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;

/// One load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Threads of the clients' runtime.
    pub workers: usize,
    pub callers: usize,
    /// The callers are spread over so many plugins.
    pub plugins: usize,
    /// Of each plugin.
    pub connections: usize,
    /// `None`: as many as callers may ask for, so that nobody waits for a place.
    pub max_in_flight: Option<usize>,
    /// The bytes of the payload's one long argument; `None` is the sample of all benchmarks.
    pub payload: Option<usize>,
}

/// From here on one thread serves all connections, instead of one thread each.
const MANY: usize = 64;

impl Point {
    /// The points that are asked for, and the bound of places as it is by default.
    pub fn all() -> Vec<Self> {
        let mut points = Vec::new();
        for workers in [1, 2] {
            let small = |callers, connections| Self {
                workers,
                callers,
                plugins: 1,
                connections,
                max_in_flight: Some(16_384),
                payload: None,
            };
            for connections in [1, 8] {
                points.extend([1, 8, 64, 1_000].map(|callers| small(callers, connections)));
            }
            points.push(small(1_000, 256));
            points.push(Self { plugins: 1_000, ..small(1_000, 1) });
            points.extend(
                [64, 1_000].map(|callers| Self { max_in_flight: None, ..small(callers, 8) }),
            );
            points.extend(
                [1, 8]
                    .map(|connections| Self { payload: Some(64 * 1024), ..small(64, connections) }),
            );
        }
        points
    }

    pub fn server(&self) -> NullServer {
        let payload = self.payload.map_or_else(sample::payload, sample::payload_of);
        let answer = Answer::new(&sample::reply_frame(&payload));
        match self.plugins * self.connections {
            ..MANY => NullServer::threads("turns", answer),
            MANY.. => NullServer::event_loop("turns", answer),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, callers, connections, .. } = self;
        write!(f, "{workers} worker(s), {callers:>5} callers, {connections:>3} connections")?;
        if self.plugins > 1 {
            write!(f, " each of {} plugins", self.plugins)?;
        }
        if self.max_in_flight.is_none() {
            f.write_str(", places by default")?;
        }
        match self.payload {
            Some(size) => write!(f, ", {} KiB", size / 1024),
            None => Ok(()),
        }
    }
}
