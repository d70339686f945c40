//! Whole calls against a server that does nothing: latency, throughput by callers,
//! payloads, connections and plugins.
//!
//! `cargo bench --all-features --bench calls`. These numbers are for comparing
//! one state of the code with another on one machine; `benches/peers` compares
//! with others.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hookwire::PluginHandle;
use hookwire::hooks::{PromptPreFetch, PromptPreFetchPayload};
use tokio::runtime::{Builder, Runtime};

use common::null_server::{Answer, NullServer};
use common::sample;

/// Handles of plugins, and how calls are spread over them.
struct Load {
    runtime: Runtime,
    handles: Vec<PluginHandle>,
    payload: Arc<PromptPreFetchPayload>,
    _server: NullServer,
}

impl Load {
    /// `plugins` plugins of `connections` sockets each.
    fn new(name: &str, plugins: usize, connections: usize, payload: PromptPreFetchPayload) -> Self {
        let answer = Answer::new(&sample::reply_frame(&payload));
        let server = match plugins * connections {
            ..=64 => NullServer::threads(name, answer),
            _ => NullServer::event_loop(name, answer),
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let entered = runtime.enter();
        let handles = (0..plugins).map(|_| sample::handle(server.path(), connections)).collect();
        drop(entered);
        Self { runtime, handles, payload: Arc::new(payload), _server: server }
    }

    /// The time for `calls` calls, as many as divide evenly among `callers`.
    fn run(&self, callers: usize, calls: u64) -> Duration {
        let each = calls.div_ceil(callers as u64);
        let started = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let handle = self.handles[caller % self.handles.len()].clone();
                let payload = Arc::clone(&self.payload);
                self.runtime.spawn(async move {
                    let mut context = sample::context();
                    for _ in 0..each {
                        let call = handle.invoke_hook::<PromptPreFetch>(&payload, &mut context);
                        assert!(call.await.unwrap().is_allowed());
                    }
                })
            })
            .collect();
        self.runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        // More calls than asked for are counted at their share.
        started.elapsed().mul_f64(calls as f64 / (each * callers as u64) as f64)
    }
}

fn latency(c: &mut Criterion) {
    let load = Load::new("latency", 1, 1, sample::payload());
    c.bench_function("latency/1 caller", |b| b.iter_custom(|calls| load.run(1, calls)));
}

fn callers(c: &mut Criterion) {
    let mut group = c.benchmark_group("throughput");
    group.throughput(Throughput::Elements(1));
    for connections in [1, 4] {
        let load = Load::new("callers", 1, connections, sample::payload());
        for callers in [1, 8, 64, 512] {
            let id = BenchmarkId::new(format!("{connections} connections, callers"), callers);
            group.bench_function(id, |b| b.iter_custom(|calls| load.run(callers, calls)));
        }
    }
    group.finish();
}

fn payloads(c: &mut Criterion) {
    let mut group = c.benchmark_group("payload");
    for (name, size) in [("100 B", 100), ("10 KiB", 10 * 1024), ("1 MiB", 1024 * 1024)] {
        let load = Load::new("payload", 1, 1, sample::payload_of(size));
        group.throughput(Throughput::Bytes(2 * size as u64));
        for callers in [1, 8] {
            let id = BenchmarkId::new(name, format!("{callers} callers"));
            group.bench_function(id, |b| b.iter_custom(|calls| load.run(callers, calls)));
        }
    }
    group.finish();
}

fn plugins(c: &mut Criterion) {
    let mut group = c.benchmark_group("plugins");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for plugins in [8, 1_000] {
        let load = Load::new("plugins", plugins, 1, sample::payload());
        let id = BenchmarkId::new("2,000 callers, plugins", plugins);
        group.bench_function(id, |b| b.iter_custom(|calls| load.run(2_000, calls)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = latency, callers, payloads, plugins
}
criterion_main!(benches);
