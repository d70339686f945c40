//! A plugin that waits 10 ms, as one does that asks a model or a database.

use std::time::Duration;

use super::Bench;
use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;
use crate::contenders::ours::Typed;
use crate::load::{Contender, throughput};
use crate::report::{Goal, Point};

const CALLERS: usize = 64;
const WAIT: Duration = Duration::from_millis(10);

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(5, "a plugin that waits 10 ms, 64 callers");
    let run = &bench.runtime;
    // A thread for each connection: it sleeps for 10 ms, where a timer of an async
    // runtime rounds up to the next millisecond.
    let answer = Answer::new(&sample::reply_frame(&sample::payload())).after(WAIT);
    let server = NullServer::threads("waiting", answer);
    let pool = Typed::new(sample::handle_with(server.path(), |s| s.max_connections(CALLERS)));
    let defaults = Typed::new(sample::handle_with(server.path(), |s| s));
    let single = Typed::new(sample::handle(server.path(), 1));
    let series = bench.rounds.run(vec![
        Contender::new("64 connections", |time| throughput(run, &pool, CALLERS, time)),
        Contender::new("the defaults (8 connections)", |time| {
            throughput(run, &defaults, CALLERS, time)
        }),
        Contender::new("one connection", |time| throughput(run, &single, CALLERS, time)),
    ]);
    for one in &series {
        point.figure(one.name, one.median(), "calls/s");
    }
    let possible = CALLERS as f64 / WAIT.as_secs_f64();
    point.figure("possible: 64 callers / 10 ms", possible, "calls/s");
    let goal = Goal::AtLeast(0.9);
    point.ratio("64 connections / possible", series[0].median() / possible, goal);
    point
}
