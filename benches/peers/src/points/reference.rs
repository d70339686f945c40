//! The reference server as the plugin's server: our client and the reference client.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Bench;
use crate::common::sample;
use crate::contenders::ours::Typed;
use crate::contenders::raw::Raw;
use crate::contenders::reference::{ReferenceClient, ReferenceServer, Turn, python};
use crate::load::{Call, Contender, median, throughput};
use crate::process::cpu_time;
use crate::report::{Goal, Point};

const CALLERS: usize = 64;

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(6, "the reference server, 64 callers");
    if let Err(why) = compare(bench, &mut point) {
        point.note(format!("not measured: the reference implementation is not there: {why}"));
    }
    point
}

fn compare(bench: &Bench, point: &mut Point) -> Result<(), String> {
    let python = python()?;
    let server = ReferenceServer::start(&python)?;
    let client = RefCell::new(ReferenceClient::start(&python, &server.socket())?);
    // Python is slow: it needs longer turns for the same number of calls.
    let mut rounds = bench.rounds;
    rounds.turn = rounds.turn * 3 / 2;
    for connections in [1, 4] {
        let _runtime = bench.runtime.enter();
        let handle = sample::handle_with(&server.socket(), |s| s.max_connections(connections));
        let typed = Typed::new(handle);
        let message = Bytes::from(sample::request_frame(&sample::payload())).slice(4..);
        let socket = server.socket();
        let raw = bench.runtime.block_on(Raw::connect(&socket, message, true));
        let raw = raw.map_err(|error| error.to_string())?;
        let (mut our_cpu, mut raw_cpu, mut their_cpu) = (Vec::new(), Vec::new(), Vec::new());
        let series = rounds.run(vec![
            Contender::new("hookwire, typed", |time| {
                let turn = our_turn(bench, &typed, time);
                our_cpu.push(turn.cpu_per_call_us());
                turn.calls_per_second()
            }),
            Contender::new("raw bytes, on 1 connection", |time| {
                let turn = our_turn(bench, &raw, time);
                raw_cpu.push(turn.cpu_per_call_us());
                turn.calls_per_second()
            }),
            Contender::new("the reference client", |time| {
                let turn = client.borrow_mut().turn(connections, CALLERS, time);
                their_cpu.push(turn.cpu_per_call_us());
                turn.calls_per_second()
            }),
        ]);
        let [ours, _, theirs] = &series[..] else { unreachable!("three contenders") };
        let (our_cpu, their_cpu) = (median(&our_cpu), median(&their_cpu));
        let on = match connections {
            1 => "1 connection".to_owned(),
            more => format!("{more} connections"),
        };
        for one in &series {
            point.figure(format!("{on}: {}", one.name), one.median(), "calls/s");
        }
        point.figure(format!("{on}: CPU of raw bytes"), median(&raw_cpu), "µs/call");
        point.figure(format!("{on}: CPU of the reference client"), their_cpu, "µs/call");
        point.ratio(format!("{on}: calls/s"), ours.ratio_to(theirs), Goal::AtLeast(1.6));
        point.check(format!("{on}: our client's CPU"), our_cpu, "µs/call", Goal::AtMost(8.0));
        point.ratio(format!("{on}: CPU, theirs / ours"), their_cpu / our_cpu, Goal::AtLeast(20.0));
    }
    Ok(())
}

fn our_turn<C: Call>(bench: &Bench, call: &C, time: Duration) -> Turn {
    let (started, cpu) = (Instant::now(), cpu_time());
    let calls = throughput(&bench.runtime, call, CALLERS, time) * started.elapsed().as_secs_f64();
    let cpu = (cpu_time() - cpu).as_secs_f64();
    Turn { calls, elapsed: started.elapsed().as_secs_f64(), cpu }
}
