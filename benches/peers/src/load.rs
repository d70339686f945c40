//! Callers that call over and over, and contenders that take turns.
//!
//! A machine gets slower and faster while it is measured. So contenders run in
//! short turns, one after the other, many rounds long; what counts is the median
//! of the ratios within the rounds.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// One caller; its clones are the others.
pub trait Call: Clone + Send + 'static {
    /// One call, up to its typed result where the contender has one.
    fn call(&mut self) -> impl Future<Output = ()> + Send;
}

/// The runtime of the clients. The servers have threads of their own.
pub fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime")
}

/// Calls per second of `callers` callers side by side, for about `time`.
pub fn throughput<C: Call>(runtime: &Runtime, call: &C, callers: usize, time: Duration) -> f64 {
    let callers: Vec<C> = vec![call.clone(); callers];
    throughput_of(runtime, callers, time)
}

/// [`throughput`] of callers that differ.
pub fn throughput_of<C: Call>(runtime: &Runtime, callers: Vec<C>, time: Duration) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|mut caller| {
            let stop = Arc::clone(&stop);
            runtime.spawn(async move {
                let mut calls = 0_u64;
                while !stop.load(Relaxed) {
                    caller.call().await;
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    std::thread::sleep(time);
    stop.store(true, Relaxed);
    let calls: u64 = runtime.block_on(async {
        let mut calls = 0;
        for task in tasks {
            calls += task.await.expect("a caller does not fail");
        }
        calls
    });
    calls as f64 / started.elapsed().as_secs_f64()
}

/// The median time of one call of a single caller, in µs.
pub fn median_latency<C: Call>(runtime: &Runtime, call: &C, time: Duration) -> f64 {
    let mut caller = call.clone();
    let task = runtime.spawn(async move {
        let mut times = Vec::with_capacity(1 << 20);
        let until = Instant::now() + time;
        let mut before = Instant::now();
        while before < until {
            caller.call().await;
            let after = Instant::now();
            times.push((after - before).as_secs_f64() * 1e6);
            before = after;
        }
        times
    });
    median(&runtime.block_on(task).expect("a caller does not fail"))
}

/// Someone who takes turns: runs for about the given time and returns a figure.
pub struct Contender<'a> {
    pub name: &'static str,
    turn: Box<dyn FnMut(Duration) -> f64 + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, turn: impl FnMut(Duration) -> f64 + 'a) -> Self {
        Self { name, turn: Box::new(turn) }
    }
}

/// How long and how often the contenders take turns.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: usize,
    pub turn: Duration,
}

/// What one contender did, a figure for each round.
pub struct Series {
    pub name: &'static str,
    figures: Vec<f64>,
}

impl Rounds {
    /// Lets all run in every round, each round beginning with another one. Before
    /// the first round each warms up.
    pub fn run(self, mut contenders: Vec<Contender<'_>>) -> Vec<Series> {
        for contender in &mut contenders {
            (contender.turn)(self.turn / 2);
        }
        let mut series: Vec<Series> = contenders
            .iter()
            .map(|contender| Series { name: contender.name, figures: Vec::new() })
            .collect();
        for round in 0..self.count {
            for place in 0..contenders.len() {
                let who = (place + round) % contenders.len();
                let figure = (contenders[who].turn)(self.turn);
                series[who].figures.push(figure);
            }
        }
        series
    }
}

impl Series {
    pub fn median(&self) -> f64 {
        median(&self.figures)
    }

    /// The ratios within each round.
    pub fn ratios_to(&self, other: &Self) -> Vec<f64> {
        let pairs = self.figures.iter().zip(&other.figures);
        pairs.map(|(ours, theirs)| ours / theirs).collect()
    }

    /// Their median.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(&self.ratios_to(other))
    }
}

pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}
