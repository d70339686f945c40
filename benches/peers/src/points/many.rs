//! 1,000 plugins beside 8, an idle connection's memory, and a handle's clone.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;

use super::Bench;
use super::allocations;
use super::codec::nanoseconds;
use crate::common::knobs::Knobs;
use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;
use crate::contenders::ours::Typed;
use crate::contenders::raw::Raw;
use crate::load::{Contender, throughput_of};
use crate::report::{Goal, Point};
use crate::scale::Load;

const CALLERS: usize = 10_000;
const MANY: usize = 1_000;
const FEW: usize = 8;

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(7, "1,000 plugins, one socket each, 10,000 callers");
    let run = &bench.runtime;
    let answer = Answer::new(&sample::reply_frame(&sample::payload()));
    let server = NullServer::event_loop("many", answer);
    let plugins = |count: usize, in_flight: usize| -> Vec<Typed> {
        let _runtime = run.enter();
        let one = |socket: Knobs| {
            socket.max_connections(1).max_in_flight(in_flight).queue_capacity(CALLERS)
        };
        (0..count).map(|_| Typed::new(sample::handle_with(server.path(), one))).collect()
    };
    let message = Bytes::from(sample::request_frame(&sample::payload())).slice(4..);
    let raw = |count: usize| -> Vec<Raw> {
        let connect = async || Raw::connect(server.path(), message.clone(), true).await;
        let connect = || run.block_on(connect()).expect("the server listens");
        (0..count).map(|_| connect()).collect()
    };
    // The default of `max_in_flight`, and room for all callers at once.
    let (many, few, few_ahead) = (plugins(MANY, 16), plugins(FEW, 16), plugins(FEW, CALLERS));
    crate::scale::use_each_once(run, many.iter().chain(&few).chain(&few_ahead));
    let (raw_many, raw_few) = (raw(MANY), raw(FEW));
    let mut rounds = bench.rounds;
    rounds.turn = rounds.turn * 3 / 2;
    let series = rounds.run(vec![
        Contender::new("1,000 plugins", |time| throughput_of(run, spread(&many), time)),
        Contender::new("8 plugins", |time| throughput_of(run, spread(&few), time)),
        Contender::new("8 plugins, all calls written ahead", |time| {
            throughput_of(run, spread(&few_ahead), time)
        }),
        Contender::new("raw bytes, gathering, 1,000 sockets", |time| {
            throughput_of(run, spread(&raw_many), time)
        }),
        Contender::new("raw bytes, gathering, 8 sockets", |time| {
            throughput_of(run, spread(&raw_few), time)
        }),
    ]);
    for one in &series {
        point.figure(one.name, one.median(), "calls/s");
    }
    let ahead = series[0].ratio_to(&series[2]);
    point.figure("1,000 plugins / 8 plugins, all written ahead", ahead, "×");
    point.figure("raw bytes, 1,000 / 8", series[3].ratio_to(&series[4]), "×");
    point.ratio("1,000 plugins / 8 plugins", series[0].ratio_to(&series[1]), Goal::AtLeast(0.8));

    let idle = Load::idle(server.path(), MANY).in_a_process(1);
    let kib = idle.quiet_per_plugin() / 1024.0;
    point.figure(
        "the same, resident: with what the allocator keeps of the calls before",
        kib,
        "KiB",
    );
    match allocations::count() {
        Ok(counts) => {
            let held = counts.get(allocations::IDLE_BYTES).copied().unwrap_or(f64::NAN) / 1024.0;
            let what = "memory held by a plugin with one idle connection";
            point.check(what, held, "KiB", Goal::AtMost(8.0));
        }
        Err(why) => point.note(format!("the memory that is held was not counted: {why}")),
    }

    let handle = sample::handle(server.path(), 1);
    let clone = nanoseconds(Duration::from_millis(200), || black_box(&handle).clone());
    point.check("cloning a handle, and dropping it", clone, "ns", Goal::AtMost(20.0));
    point
}

/// All callers, each with one of the plugins.
fn spread<C: Clone>(plugins: &[C]) -> Vec<C> {
    plugins.iter().cycle().take(CALLERS).cloned().collect()
}
