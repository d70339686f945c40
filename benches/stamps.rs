//! What a stamp costs: the same call with and without one, against the embedded
//! server, which brings contexts back as the reference server does.
//!
//! `cargo bench --features server --bench stamps`. Both sides are in the
//! numbers, so they are an upper bound of the client's own price. The rounds of the
//! two are interleaved; read the ratio.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwire::hooks::PromptPreFetch;
use hookwire::server::{Handlers, PluginServer};
use hookwire::{PluginHandle, PluginResult};
use tokio::runtime::{Builder, Runtime};

use common::sample;

const ROUNDS: usize = 21;

fn main() {
    let dir = std::env::temp_dir().join(format!("stamps-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("plugin.sock");
    // A core for each side.
    let [near, far] = [(); 2]
        .map(|()| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    let plugin = Handlers::new()
        .on::<PromptPreFetch>(|payload, _| async move { Ok(PluginResult::modify(payload)) });
    let server =
        far.block_on(PluginServer::builder().plugin(sample::PLUGIN, plugin).bind(&path)).unwrap();
    let [plain, stamped] = [false, true].map(|stamp| {
        let _entered = near.enter();
        sample::handle_with(&path, |socket| {
            socket.max_connections(1).max_in_flight(64).stamp(stamp)
        })
    });

    let [(sent, received), (stamped_sent, stamped_received)] = [&plain, &stamped].map(|handle| {
        run(&near, handle, 1, 100);
        let stats = handle.stats();
        (stats.bytes_sent / 100, stats.bytes_received / 100)
    });
    println!("request: {sent} bytes, {stamped_sent} with a stamp");
    println!("reply:   {received} bytes, {stamped_received} with a stamp");

    for (callers, calls) in [(1, 5_000), (64, 50_000)] {
        let mut rounds: Vec<[f64; 2]> = (0..ROUNDS)
            .map(|_| {
                [&plain, &stamped].map(|handle| {
                    run(&near, handle, callers, calls).as_secs_f64() / calls as f64 * 1e6
                })
            })
            .collect();
        rounds.sort_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])));
        let [plain, stamped] = rounds[ROUNDS / 2];
        println!(
            "{callers:2} callers: {plain:.2} µs per call, {stamped:.2} with a stamp, ratio {:.3}",
            stamped / plain
        );
    }
    far.block_on(server.shutdown(Duration::from_secs(1)));
    std::fs::remove_dir_all(dir).unwrap();
}

/// The time for `calls` calls by `callers` tasks.
fn run(runtime: &Runtime, handle: &PluginHandle, callers: usize, calls: usize) -> Duration {
    let payload = Arc::new(sample::payload());
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (handle, payload) = (handle.clone(), Arc::clone(&payload));
            runtime.spawn(async move {
                let mut context = sample::context();
                for _ in 0..calls.div_ceil(callers) {
                    let call = handle.invoke_hook::<PromptPreFetch>(&payload, &mut context);
                    assert!(call.await.unwrap().is_allowed());
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    started.elapsed()
}
