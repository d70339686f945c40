//! Three servers in processes of their own: one is frozen, and then all are away for 20 s.
//!
//! `cargo bench --all-features --bench outages` prints what callers notice: which share of the calls that
//! begin 2 s after a server was frozen run into their deadline, and how long after the servers are
//! back the first call is answered.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hookwire::config::GrpcConfig;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::grpc::GrpcServerConfig;
use hookwire::server::{Handlers, PluginServer};
use hookwire::{CallPolicy, ErrorKind, PluginConfig, PluginContext, PluginHandle, PluginResult};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

const CALLERS: usize = 64;
/// What a call may take; hooks take 5 ms.
const TIMEOUT: Duration = Duration::from_secs(1);
const HOOK: Duration = Duration::from_millis(5);
/// The address that a child process listens at.
const ADDRESS: &str = "HOOKWIRE_BENCH_ADDRESS";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Ok(address) = std::env::var(ADDRESS) {
        return runtime.block_on(serve(&address));
    }
    // `cargo test --benches` only asks whether it runs.
    let (rounds, away) = match std::env::args().any(|arg| arg == "--bench") {
        true => (5, Duration::from_secs(20)),
        false => (1, Duration::from_secs(1)),
    };
    runtime.block_on(async {
        frozen(rounds).await;
        all_away(rounds, away).await;
    });
}

async fn serve(address: &str) {
    let plugin = Handlers::new().on::<ToolPreInvoke>(|_, _| async {
        sleep(HOOK).await;
        Ok(PluginResult::allow())
    });
    let config = GrpcServerConfig::tcp(address.parse().unwrap());
    let server = PluginServer::builder().plugin("Guard", plugin).bind_grpc(config).await.unwrap();
    println!("{}", server.local_addr().unwrap());
    std::future::pending::<()>().await;
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(address: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(ADDRESS, address)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn three() -> Vec<Server> {
    (0..3).map(|_| Server::start("127.0.0.1:0")).collect()
}

async fn connect(servers: &[Server]) -> PluginHandle {
    let targets = servers.iter().map(|server| server.address.clone());
    let config = PluginConfig::builder("Guard")
        .hook("tool_pre_invoke")
        .grpc(GrpcConfig::builder().targets(targets))
        .policy(CallPolicy::builder().timeout(TIMEOUT));
    let plugin = PluginHandle::connect(config.build().unwrap()).await.unwrap();
    while plugin.stats().connections.iter().any(|one| one.connects == 0) {
        sleep(Duration::from_millis(1)).await;
    }
    plugin
}

async fn call(plugin: &PluginHandle) -> Result<(), hookwire::PluginError> {
    let mut context = PluginContext::new("request-1");
    let payload = ToolPreInvokePayload::new("search");
    let result = plugin.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await?;
    assert!(result.is_allowed());
    Ok(())
}

/// When each call began, and whether it ran into its deadline.
async fn load(plugin: &PluginHandle, span: Duration) -> Vec<(Instant, bool)> {
    let until = Instant::now() + span;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move {
                let mut calls = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    let late = call(&plugin).await;
                    calls.push((begun, late.is_err_and(|e| e.kind() == ErrorKind::Timeout)));
                }
                calls
            })
        })
        .collect();
    let calls = futures::future::join_all(callers).await;
    calls.into_iter().flat_map(Result::unwrap).collect()
}

async fn frozen(rounds: usize) {
    println!("one of three is frozen for 8 s, {CALLERS} callers, a call has {TIMEOUT:?}");
    for _ in 0..rounds {
        let servers = three();
        let plugin = connect(&servers).await;
        load(&plugin, Duration::from_secs(1)).await;
        servers[1].signal(Signal::STOP);
        let frozen = Instant::now();
        let calls = load(&plugin, Duration::from_secs(8)).await;
        let (before, after): (Vec<_>, Vec<_>) =
            calls.iter().partition(|(begun, _)| *begun < frozen + Duration::from_secs(2));
        let late = |calls: &[&(Instant, bool)]| calls.iter().filter(|(_, late)| *late).count();
        println!(
            "  in the first 2 s {} of {} late; after that {} of {} ({:.3} %)",
            late(&before),
            before.len(),
            late(&after),
            after.len(),
            100.0 * late(&after) as f64 / after.len() as f64,
        );
        servers[1].signal(Signal::CONT);
    }
}

async fn all_away(rounds: usize, away: Duration) {
    println!("all three are away for {away:?}, one caller that calls each 10 ms");
    for _ in 0..rounds {
        let servers = three();
        let plugin = connect(&servers).await;
        let addresses: Vec<_> = servers.iter().map(|server| server.address.clone()).collect();
        drop(servers);
        let until = Instant::now() + away;
        while Instant::now() < until {
            assert!(call(&plugin).await.is_err());
            sleep(Duration::from_millis(10)).await;
        }
        let _servers: Vec<_> = addresses.iter().map(|address| Server::start(address)).collect();
        let back = Instant::now();
        while call(&plugin).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        println!("  the first answer {:?} after they are back", back.elapsed());
    }
}
