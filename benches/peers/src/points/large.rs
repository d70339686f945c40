//! 1 MiB there and 1 MiB back.

use std::sync::Arc;

use super::Bench;
use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;
use crate::contenders::ours::Typed;
use crate::contenders::ping_pong::PingPong;
use crate::load::{Contender, throughput};
use crate::report::{Goal, Point};

const SIZE: usize = 1024 * 1024;

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(4, "payloads of 1 MiB there and back");
    let run = &bench.runtime;
    let payload = sample::payload_of(SIZE);
    let (request, reply) = (sample::request_frame(&payload), sample::reply_frame(&payload));
    let bytes = (request.len() + reply.len()) as f64 / 1e6;
    let server = NullServer::threads("large", Answer::new(&reply));
    let mut copy = PingPong::new(request, &reply);
    let typed = Typed::with(sample::handle(server.path(), 1), Arc::new(payload));
    let series = bench.rounds.run(vec![
        Contender::new("the bytes alone, through a socket pair", |time| {
            copy.throughput(time) * bytes
        }),
        Contender::new("hookwire, typed, one caller", |time| {
            throughput(run, &typed, 1, time) * bytes
        }),
        Contender::new("hookwire, typed, 4 callers", |time| {
            throughput(run, &typed, 4, time) * bytes
        }),
    ]);
    for one in &series {
        point.figure(one.name, one.median(), "MB/s");
    }
    let [copy, one, four] = &series[..] else { unreachable!("three contenders") };
    point.ratio("one caller / the bytes alone", one.ratio_to(copy), Goal::AtLeast(0.75));
    point.figure("4 callers / the bytes alone", four.ratio_to(copy), "×");
    point
}
