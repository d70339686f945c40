//! What a chain costs beside the bare calls that it makes: `cargo bench -p hookwire-gateway`.
//!
//! Both run on one thread, turn by turn, against a server on threads of its own; the CPU time
//! is that thread's, so it holds the client's work and nothing else.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{GlobalContext, PluginConfig, PluginContext, PluginHandle, PluginResult};
use hookwire_gateway::{Chain, RequestContext};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

/// How long one turn takes, about.
const TURN: Duration = Duration::from_millis(200);
const TURNS: usize = 15;
/// What the slowest plugin of the concurrent phase waits for.
const SLOW: Duration = Duration::from_millis(20);

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugins.sock");
    let (stop, server) = serve(&socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, size) in [("256 bytes", 256), ("16 KiB", 16 << 10)] {
            for side_by_side in [1, 64] {
                compare(&socket, name, size, side_by_side).await;
            }
        }
        concurrent(&socket).await;
    });
    drop(stop);
    server.join().unwrap();
}

fn serve(socket: &Path) -> (tokio::sync::oneshot::Sender<()>, std::thread::JoinHandle<()>) {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let socket = socket.to_owned();
    let server = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut server = PluginServer::builder();
            for number in 0..8 {
                let allow = Handlers::new().on::<ToolPreInvoke>(move |payload, _| async move {
                    if payload.name == "slow" {
                        tokio::time::sleep(SLOW * (number + 1) / 8).await;
                    }
                    Ok(PluginResult::allow())
                });
                server = server.plugin(format!("P{number}"), allow);
            }
            let _server = server.bind(&socket).await.unwrap();
            ready.send(()).unwrap();
            let _ = stopped.await;
        });
    });
    is_ready.recv().unwrap();
    (stop, server)
}

async fn handles(socket: &Path, count: usize, mode: &str) -> Vec<PluginHandle> {
    join_all((0..count).map(|number| {
        let entry = json!({
            "name": format!("P{number}"), "mode": mode, "hooks": ["tool_pre_invoke"],
            "unix_socket": {"path": socket},
        });
        async { PluginHandle::connect(PluginConfig::from_value(entry).unwrap()).await.unwrap() }
    }))
    .await
}

async fn bare(handles: &[PluginHandle], payload: &ToolPreInvokePayload) {
    // A request's own, on both sides.
    let payload = payload.clone();
    let global = GlobalContext::new("request-1").with_server_id("tools-eu");
    let mut context = PluginContext::from(global);
    for handle in handles {
        let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap();
        assert!(result.is_allowed());
    }
}

async fn chained(chain: &Chain, payload: &ToolPreInvokePayload) {
    let global = GlobalContext::new("request-1").with_server_id("tools-eu");
    let mut request = RequestContext::from(global);
    assert!(chain.run::<ToolPreInvoke>(payload.clone(), &mut request).await.is_ok());
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// CPU time and time of one, from a turn of many.
async fn turn<F: Future<Output = ()>>(side_by_side: usize, one: impl Fn() -> F) -> (f64, f64) {
    let (begun, cpu_begun) = (Instant::now(), cpu());
    let mut count = 0;
    while begun.elapsed() < TURN {
        join_all((0..side_by_side).map(|_| one())).await;
        count += side_by_side;
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    (each(cpu() - cpu_begun), each(begun.elapsed()))
}

async fn compare(socket: &Path, name: &str, size: usize, side_by_side: usize) {
    let handles = handles(socket, 4, "sequential").await;
    let chain = Chain::builder().plugins(handles.clone()).build().unwrap();
    let payload = ToolPreInvokePayload::new("search").with_arg("text", "x".repeat(size));
    let (mut cpu, mut time, mut cpu_of_four) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let bare = turn(side_by_side, || bare(&handles, &payload)).await;
        let chained = turn(side_by_side, || chained(&chain, &payload)).await;
        cpu.push(chained.0 / bare.0);
        time.push(bare.1 / chained.1);
        cpu_of_four.push(bare.0);
    }
    println!(
        "{side_by_side:>3} side by side, {name:>9}: four calls {:>6.1} µs of CPU; \
         the chain {:.3} times that, and {:.3} times their throughput",
        median(cpu_of_four),
        median(cpu),
        median(time)
    );
}

async fn concurrent(socket: &Path) {
    let handles = handles(socket, 8, "concurrent").await;
    let chain = Chain::builder().plugins(handles).build().unwrap();
    let payload = ToolPreInvokePayload::new("slow");
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        chained(&chain, &payload).await;
        times.push(begun.elapsed().as_secs_f64() / SLOW.as_secs_f64());
    }
    println!("8 concurrent plugins: {:.3} times the slowest one's {SLOW:?}", median(times));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
