//! Calls that are due at a rate, whether those before them have returned or not.
//!
//! A caller that calls again when it has its reply also calls less often while the other
//! side is slow, and so hides what a user would wait. Here each call's time is counted
//! from when it was due.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Bench;
use crate::arrivals::Arrivals;
use crate::load::{Call, Contender, median, throughput};
use crate::report::{Goal, Point};

/// More calls than are ever under way at these rates.
const CALLERS: usize = 1_024;

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(9, "calls due at a rate: the time that 1 in 1,000 exceeds (p99.9)");
    let callers = bench.callers();
    let run = &bench.runtime;
    let possible: Vec<f64> =
        (0..5).map(|_| throughput(run, &callers.tarpc, 64, bench.rounds.turn)).collect();
    let possible = median(&possible);
    point.figure("tarpc, 64 callers that call again at once", possible, "calls/s");
    for percent in [50, 70, 90] {
        let arrivals = Arrivals { rate: possible * f64::from(percent) / 100.0, poisson: true };
        let series = bench.rounds.run(vec![
            Contender::new("hookwire, typed", |time| {
                slowest_thousandth(run, &callers.typed_alike, arrivals, time)
            }),
            Contender::new("tarpc", |time| slowest_thousandth(run, &callers.tarpc, arrivals, time)),
        ]);
        for one in &series {
            point.figure(format!("{percent} %: {}", one.name), one.median(), "µs");
        }
        let [typed, tarpc] = &series[..] else { unreachable!("two contenders") };
        let what = format!("{percent} % of what tarpc can do: p99.9, typed / tarpc");
        point.ratio(what, typed.ratio_to(tarpc), Goal::AtMost(0.5));
    }
    point
}

/// In µs.
fn slowest_thousandth<C: Call>(
    runtime: &Runtime,
    call: &C,
    arrivals: Arrivals,
    time: Duration,
) -> f64 {
    let calls = (arrivals.rate * time.as_secs_f64()) as u64;
    let due = arrivals.start(calls).expect("a thread for the clock");
    let tasks: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (mut caller, due) = (call.clone(), Arc::clone(&due));
            runtime.spawn(async move {
                let mut times = Vec::new();
                while let Some(since) = due.take().await {
                    caller.call().await;
                    times.push(since.elapsed().as_secs_f64() * 1e6);
                }
                times
            })
        })
        .collect();
    let mut times: Vec<f64> = runtime.block_on(async {
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.expect("a caller does not fail"));
        }
        times
    });
    times.sort_by(f64::total_cmp);
    times.get(times.len() * 999 / 1_000).copied().unwrap_or(f64::NAN)
}
