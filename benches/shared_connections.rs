//! What a thousand plugins cost that share their connections to ten servers over gRPC: resident
//! memory of the client's process, and connections as the servers count them.
//!
//! The servers are a process of their own. `--alone` gives each plugin its own connections, to
//! compare; a number is how many plugins.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::grpc::{GrpcServer, GrpcServerConfig};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{
    GrpcConfig, PluginConfig, PluginContext, PluginHandle, PluginResult, SharedConnections,
};
use tokio::runtime::Runtime;

const SERVERS: usize = 10;
const PLUGINS: usize = 1000;

/// What was asked.
const MOST_CONNECTIONS: u64 = 10;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let plugins = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(PLUGINS);
    if has("--serve") {
        serve(plugins);
    } else {
        measure(plugins, has("--alone"));
    }
}

fn name(plugin: usize) -> String {
    format!("Plugin {plugin}")
}

/// Ten servers, whose addresses are told; for each line that comes, how many connections there
/// have been.
fn serve(plugins: usize) {
    let runtime = Runtime::new().unwrap();
    let servers: Vec<GrpcServer> = runtime.block_on(async {
        let mut servers = Vec::new();
        for _ in 0..SERVERS {
            let mut server = PluginServer::builder();
            for plugin in 0..plugins {
                let allow =
                    Handlers::new().on::<ToolPreInvoke>(|_, _| async { Ok(PluginResult::allow()) });
                server = server.plugin(name(plugin), allow);
            }
            let local = SocketAddr::from(([127, 0, 0, 1], 0));
            let config = GrpcServerConfig::tcp(local).max_connections(64 * 1024);
            servers.push(server.bind_grpc(config).await.unwrap());
        }
        servers
    });
    for server in &servers {
        println!("{}", server.local_addr().unwrap());
    }
    for _ in std::io::stdin().lines() {
        let connections: u64 = servers.iter().map(|server| server.stats().connections).sum();
        println!("{connections}");
    }
}

/// The other process.
struct Servers {
    process: Child,
    ask: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
}

impl Servers {
    fn start(plugins: usize) -> (Self, Vec<String>) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", &plugins.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ask = process.stdin.take().unwrap();
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines();
        let addresses = told.by_ref().take(SERVERS).map(Result::unwrap).collect();
        (Self { process, ask, told }, addresses)
    }

    fn connections(&mut self) -> u64 {
        writeln!(self.ask).unwrap();
        self.told.next().unwrap().unwrap().parse().unwrap()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn measure(plugins: usize, alone: bool) {
    let (mut servers, addresses) = Servers::start(plugins);
    let runtime = Runtime::new().unwrap();
    let shared = SharedConnections::new();
    let handle = |plugin: usize| {
        let grpc = GrpcConfig::builder().targets(addresses.clone());
        let config = PluginConfig::builder(name(plugin)).hook("tool_pre_invoke").grpc(grpc);
        let builder =
            PluginHandle::builder(config.timeout(Duration::from_secs(60)).build().unwrap());
        if alone { builder.connect_lazy() } else { builder.connections(&shared).connect_lazy() }
    };
    // What the first one brings with it is no cost of the others.
    let first = runtime.block_on(async { handle(0) });
    runtime.block_on(call(&first));
    drop(first);
    let (before, made) = (resident(), servers.connections());
    let handles: Vec<_> = runtime.block_on(async { (0..plugins).map(handle).collect() });
    runtime.block_on(join_all(handles.iter().map(call)));
    runtime.block_on(async {
        let connected = |handle: &PluginHandle| {
            handle.stats().connections.iter().all(|server| server.state.is_ready())
        };
        while !handles.iter().all(connected) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let (memory, connections) = (resident() - before, servers.connections() - made);
    println!(
        "{plugins} plugins on {SERVERS} servers{}: {connections} connections, {:.1} MiB more than \
         with none, {:.1} KiB for each plugin",
        if alone { ", each with its own connections" } else { "" },
        memory / 1024.0,
        memory / plugins as f64,
    );
    assert!(alone || connections <= MOST_CONNECTIONS, "{connections}");
}

async fn call(handle: &PluginHandle) {
    let payload = ToolPreInvokePayload::new("search");
    let mut context = PluginContext::new("request-1");
    let result = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap();
    assert!(result.is_allowed());
}

/// Of this process, in KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
