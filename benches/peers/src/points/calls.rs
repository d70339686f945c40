//! 64 callers over one connection.

use super::Bench;
use crate::load::{Contender, throughput};
use crate::report::{Goal, Point};

const CALLERS: usize = 64;

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(1, "64 callers on one connection, a plugin that does nothing");
    let callers = bench.callers();
    let run = &bench.runtime;
    let series = bench.rounds.run(vec![
        Contender::new("hookwire, typed", |time| throughput(run, &callers.typed, CALLERS, time)),
        Contender::new("hookwire, JSON", |time| throughput(run, &callers.dynamic, CALLERS, time)),
        Contender::new("raw bytes", |time| throughput(run, &callers.raw, CALLERS, time)),
        Contender::new("raw bytes, gathering", |time| {
            throughput(run, &callers.raw_gathering, CALLERS, time)
        }),
        Contender::new("tarpc", |time| throughput(run, &callers.tarpc, CALLERS, time)),
        Contender::new("tonic", |time| throughput(run, &callers.tonic, CALLERS, time)),
    ]);
    let [typed, dynamic, raw, gathering, tarpc, tonic] = &series[..] else {
        unreachable!("six contenders")
    };
    for one in &series {
        point.figure(one.name, one.median(), "calls/s");
    }
    point.figure("typed / JSON", typed.ratio_to(dynamic), "×");
    point.ratio("typed / raw bytes", typed.ratio_to(raw), Goal::AtLeast(0.85));
    point.ratio("typed / raw bytes, gathering", typed.ratio_to(gathering), Goal::AtLeast(0.75));
    point.ratio("typed / tarpc", typed.ratio_to(tarpc), Goal::AtLeast(2.0));
    point.ratio("typed / tonic", typed.ratio_to(tonic), Goal::AtLeast(7.0));
    point
}
