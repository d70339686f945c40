//! 64 callers over gRPC, and what they pay beside those of a Unix socket.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::Bench;
use crate::contenders::grpc::{TonicWithJson, handle, serve};
use crate::contenders::ours::Typed;
use crate::load::{Call, Contender, median, throughput};
use crate::process::thread_cpu_time;
use crate::report::{Goal, Point};

const CALLERS: usize = 64;

pub fn measure(bench: &Bench) -> Point {
    let mut point =
        Point::new(11, "over gRPC: 64 callers, one connection, a plugin that does nothing");
    let run = &bench.runtime;
    let server = serve();
    let ours = {
        let _runtime = run.enter();
        Typed::new(handle(server))
    };
    let theirs = run.block_on(TonicWithJson::connect(server));
    let socket = &bench.callers().typed;
    let (mut our_cpu, mut their_cpu, mut socket_cpu) = (Vec::new(), Vec::new(), Vec::new());
    let series = bench.rounds.run(vec![
        Contender::new("hookwire over gRPC, typed", |time| turn(run, &ours, time, &mut our_cpu)),
        Contender::new("tonic, prost messages and JSON", |time| {
            turn(run, &theirs, time, &mut their_cpu)
        }),
        Contender::new("hookwire over a Unix socket, typed", |time| {
            turn(run, socket, time, &mut socket_cpu)
        }),
    ]);
    let [grpc, tonic, unix] = &series[..] else { unreachable!("three contenders") };
    let cpu = [&our_cpu, &their_cpu, &socket_cpu];
    for (one, cpu) in series.iter().zip(cpu) {
        point.figure(one.name, one.median(), "calls/s");
        if cpu.is_empty() {
            continue;
        }
        point.figure(format!("{}: the client's CPU", one.name), median(cpu), "µs/call");
    }
    point.ratio("calls/s: hookwire / tonic", grpc.ratio_to(tonic), Goal::AtLeast(1.25));
    point.figure("calls/s: a Unix socket / gRPC", unix.ratio_to(grpc), "×");
    if !our_cpu.is_empty() {
        let cpu = median(&ratios(&our_cpu, &their_cpu));
        point.ratio("the client's CPU: hookwire / tonic", cpu, Goal::AtMost(0.75));
        let cpu = median(&ratios(&our_cpu, &socket_cpu));
        point.figure("the client's CPU: gRPC / a Unix socket", cpu, "×");
    }
    point
}

/// Calls per second; what a call takes of the client's thread goes to `cpu`, in µs. Only where
/// there is one thread: the server has its own in this process.
fn turn<C: Call>(runtime: &Runtime, call: &C, time: Duration, cpu: &mut Vec<f64>) -> f64 {
    let is_one = runtime.metrics().num_workers() == 1;
    let (before, started) = (is_one.then(|| on_worker(runtime)), std::time::Instant::now());
    let rate = throughput(runtime, call, CALLERS, time);
    let calls = rate * started.elapsed().as_secs_f64();
    if let Some(before) = before {
        cpu.push((on_worker(runtime) - before).as_secs_f64() * 1e6 / calls);
    }
    rate
}

/// What the runtime's only worker has used.
fn on_worker(runtime: &Runtime) -> Duration {
    runtime.block_on(runtime.spawn(async { thread_cpu_time() })).expect("it only looks")
}

/// Within the rounds; the turn that warms up is left out.
fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).skip(1).map(|(ours, theirs)| ours / theirs).collect()
}
