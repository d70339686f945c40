//! What counting a call's latency costs: to find the hook's place, and the bucket. It takes no
//! look at the clock: a call begins with one for its deadline, and its reply brings the time.
//!
//! `cargo bench --bench latencies`. It is a few nanoseconds, which no bench of whole calls
//! can tell from noise, so the files that count are measured by themselves.

#![allow(missing_docs, dead_code, unreachable_pub)]

#[path = "../src/stats/histogram.rs"]
mod histogram;
#[path = "../src/stats/times.rs"]
mod times;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use times::HookTimes;

const CALLS: u32 = 500_000;
const ROUNDS: usize = 25;

/// The built-in ones.
const HOOKS: [&str; 23] = [
    "tool_pre_invoke",
    "tool_post_invoke",
    "prompt_pre_fetch",
    "prompt_post_fetch",
    "resource_pre_fetch",
    "resource_post_fetch",
    "agent_pre_invoke",
    "agent_post_invoke",
    "http_pre_request",
    "http_post_request",
    "http_auth_resolve_user",
    "http_auth_check_permission",
    "identity_resolve",
    "token_delegate",
    "evaluate",
    "cmf.llm_input",
    "cmf.llm_output",
    "cmf.tool_pre_invoke",
    "cmf.tool_post_invoke",
    "cmf.prompt_pre_fetch",
    "cmf.prompt_post_fetch",
    "cmf.resource_pre_fetch",
    "cmf.resource_post_fetch",
];

/// Nanoseconds for each time that `work` is done: the median of the rounds.
fn measure(what: &str, mut work: impl FnMut(u32)) {
    let mut rounds = [0.0; ROUNDS];
    for round in &mut rounds {
        let started = Instant::now();
        (0..CALLS).for_each(&mut work);
        *round = started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
    }
    rounds.sort_by(f64::total_cmp);
    let (least, median, most) = (rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]);
    println!("{what:<48} {median:>5.1} ns ({least:.1} to {most:.1})");
}

/// From 0 to 67 ms, unlike the one before.
fn length(call: u32) -> Duration {
    Duration::from_nanos(u64::from(call.wrapping_mul(2_654_435_761) >> 6))
}

fn main() {
    let hooks = HOOKS.map(str::to_owned);
    let times = HookTimes::default();
    // In the order of their first calls.
    for hook in &hooks {
        times.of(hook).allowed(Duration::ZERO);
    }
    measure("a length, to take off what is below", |call| {
        black_box(length(black_box(call)));
    });
    for place in [0, 3, 11, 22] {
        measure(&format!("count a length, hook called as number {}", place + 1), |call| {
            times.of(black_box(&hooks[place])).allowed(length(black_box(call)));
        });
    }
    let counter = AtomicU64::new(0);
    measure("the bare counter that the bucket is in place of", |_| {
        counter.fetch_add(1, Relaxed);
    });
}
