//! One caller: how long a call takes.

use super::Bench;
use crate::common::sample;
use crate::contenders::ping_pong::PingPong;
use crate::load::{Contender, median_latency};
use crate::report::{Goal, Point};

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(2, "one caller: the median time of a call");
    let callers = bench.callers();
    let run = &bench.runtime;
    let payload = sample::payload();
    let mut floor = PingPong::new(sample::request_frame(&payload), &sample::reply_frame(&payload));
    let series = bench.rounds.run(vec![
        Contender::new("hookwire, typed", |time| median_latency(run, &callers.typed, time)),
        Contender::new("hookwire, JSON", |time| median_latency(run, &callers.dynamic, time)),
        Contender::new("two blocking threads", |time| floor.median_latency(time)),
        Contender::new("raw bytes", |time| median_latency(run, &callers.raw, time)),
        Contender::new("hookwire, typed, embedded server", |time| {
            median_latency(run, &callers.typed_alike, time)
        }),
        Contender::new("tarpc", |time| median_latency(run, &callers.tarpc, time)),
        Contender::new("tonic", |time| median_latency(run, &callers.tonic, time)),
    ]);
    for one in &series {
        point.figure(one.name, one.median(), "µs");
    }
    let [typed, _, floor, raw, alike, tarpc, _] = &series[..] else {
        unreachable!("seven contenders")
    };
    point.figure("raw bytes / two blocking threads", raw.ratio_to(floor), "×");
    point.ratio("typed / two blocking threads", typed.ratio_to(floor), Goal::AtMost(1.3));
    let ratio = alike.ratio_to(tarpc);
    point.ratio("typed / tarpc, servers of the same kind", ratio, Goal::AtMost(0.9));
    point
}
