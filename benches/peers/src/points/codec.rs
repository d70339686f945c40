//! serde onto the wire format and back, beside serde_json's text of the same value.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hookwire::PluginResult;
use hookwire::hooks::ToolPreInvokePayload;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::Bench;
use crate::common::sample;
use crate::common::structpb::{decode_struct, encode_struct};
use crate::load::{Contender, Rounds};
use crate::report::{Goal, Point};

pub fn measure(bench: &Bench) -> Point {
    let mut point = Point::new(3, "serde onto the wire and back, beside serde_json");
    // A turn is some hundred thousand operations even when it is short.
    let rounds = Rounds { turn: bench.rounds.turn / 8, count: bench.rounds.count * 2 + 1 };
    let tool = ToolPreInvokePayload::new("search")
        .with_arg("query", "rust unix sockets")
        .with_arg("limits", json!({"page": 3, "size": 50, "exact": true, "weight": 0.25}))
        .with_arg("tags", json!(["a", "b", "c", null]));
    compare(&mut point, rounds, "prompt", &sample::payload());
    compare(&mut point, rounds, "prompt's result", &PluginResult::modify(sample::payload()));
    compare(&mut point, rounds, "tool", &tool);
    point
}

fn compare<T: Serialize + DeserializeOwned>(
    point: &mut Point,
    rounds: Rounds,
    what: &str,
    value: &T,
) {
    let wire = encode_struct(value).expect("the sample can be encoded")[4..].to_vec();
    let text = serde_json::to_vec(value).expect("the sample is JSON");
    let series = rounds.run(vec![
        Contender::new("encode", |time| nanoseconds(time, || encode_struct(black_box(value)))),
        Contender::new("to_vec", |time| {
            nanoseconds(time, || serde_json::to_vec(black_box(value)).ok())
        }),
        Contender::new("decode", |time| nanoseconds(time, || decode_struct::<T>(black_box(&wire)))),
        Contender::new("from_slice", |time| {
            nanoseconds(time, || serde_json::from_slice::<T>(black_box(&text)).ok())
        }),
    ]);
    for one in &series {
        point.figure(format!("{what}: {}", one.name), one.median(), "ns");
    }
    let [encode, to_vec, decode, from_slice] = &series[..] else { unreachable!("four contenders") };
    point.ratio(format!("{what}: encode / to_vec"), encode.ratio_to(to_vec), Goal::AtMost(1.0));
    point.ratio(
        format!("{what}: decode / from_slice"),
        decode.ratio_to(from_slice),
        Goal::AtMost(1.0),
    );
}

/// The mean time of `work`, in ns.
pub fn nanoseconds<T>(time: Duration, mut work: impl FnMut() -> T) -> f64 {
    const AT_A_TIME: u32 = 64;

    let started = Instant::now();
    let mut done = 0_u64;
    while started.elapsed() < time {
        for _ in 0..AT_A_TIME {
            black_box(work());
        }
        done += u64::from(AT_A_TIME);
    }
    started.elapsed().as_nanos() as f64 / done as f64
}
