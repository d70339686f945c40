//! One plugin, many callers.

use super::Bench;
use crate::load::{Contender, throughput};
use crate::report::{Goal, Point};

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(10, "10,000 callers of one plugin");
    let typed = &bench.callers().typed;
    let run = &bench.runtime;
    let series = bench.rounds.run(vec![
        Contender::new("100 callers", |time| throughput(run, typed, 100, time)),
        Contender::new("10,000 callers", |time| throughput(run, typed, 10_000, time)),
    ]);
    for one in &series {
        point.figure(one.name, one.median(), "calls/s");
    }
    let [few, many] = &series[..] else { unreachable!("two contenders") };
    point.ratio("10,000 callers / 100", many.ratio_to(few), Goal::AtLeast(0.95));
    point
}
