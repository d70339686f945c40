//! Embedded gRPC servers that are as good as each other, and what ran on them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::PluginResult;
use hookwire::server::grpc::{GrpcServer, GrpcServerConfig};
use hookwire::server::{Handlers, PluginServer};
use serde_json::Value;
use tokio::sync::watch;

use super::calls::{LIMIT, PLUGIN};
use super::reference::port::Port;

/// What became of a hook's runs for one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) begun: usize,
    pub(crate) finished: usize,
    /// Its future was dropped before its end.
    pub(crate) dropped: usize,
}

/// What ran, by the marker of its call, on one server or on several.
#[derive(Debug, Clone)]
pub(crate) struct Register {
    runs: Arc<Mutex<BTreeMap<String, Runs>>>,
    /// Hooks that are held go on once this is true.
    released: watch::Sender<bool>,
}

impl Register {
    fn new() -> Self {
        Self { runs: Arc::default(), released: watch::Sender::new(false) }
    }

    fn note(&self, marker: &str, what: impl FnOnce(&mut Runs)) {
        let mut runs = self.runs.lock().expect("nobody panics");
        what(runs.entry(marker.to_owned()).or_default());
    }

    pub(crate) fn of(&self, marker: &str) -> Runs {
        self.runs.lock().expect("nobody panics").get(marker).copied().unwrap_or_default()
    }

    /// How often a hook ran for each marker.
    pub(crate) fn begun(&self) -> BTreeMap<String, usize> {
        let runs = self.runs.lock().expect("nobody panics");
        runs.iter().map(|(marker, runs)| (marker.clone(), runs.begun)).collect()
    }

    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

/// Tells of a hook that is dropped.
struct Running<'a> {
    register: &'a Register,
    marker: &'a str,
    finished: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let finished = self.finished;
        self.register.note(self.marker, |runs| {
            runs.finished += usize::from(finished);
            runs.dropped += usize::from(!finished);
        });
    }
}

/// The plugin: gives back what it was given. `ms` is how long that takes; with `held`, until it
/// is released.
fn plugin(register: &Register, own: &Register) -> Handlers {
    let registers = (register.clone(), own.clone());
    Handlers::new().on_json("tool_pre_invoke", move |payload: Value, _| {
        let (register, own) = registers.clone();
        async move {
            let args = &payload["args"];
            let marker = args["marker"].as_str().unwrap_or_default();
            for register in [&register, &own] {
                register.note(marker, |runs| runs.begun += 1);
            }
            let mut running = Running { register: &register, marker, finished: false };
            if args["held"] == true {
                let _ = register.released.subscribe().wait_for(|released| *released).await;
            }
            match args["ms"].as_u64() {
                None | Some(0) => {}
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            }
            running.finished = true;
            drop(running);
            Ok(PluginResult::modify(payload))
        }
    })
}

/// One server, on a port that stays its own when it is stopped and started again.
pub(crate) struct Guard {
    port: Port,
    register: Register,
    /// What ran here; only that is noted.
    pub(crate) own: Register,
    server: Option<GrpcServer>,
}

impl Guard {
    pub(crate) async fn start(register: &Register) -> Self {
        let (port, own) = (Port::reserve(), Register::new());
        let mut guard = Self { port, register: register.clone(), own, server: None };
        guard.start_again().await;
        guard
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address
    }

    pub(crate) fn server(&self) -> &GrpcServer {
        self.server.as_ref().expect("it runs")
    }

    pub(crate) async fn start_again(&mut self) {
        let server = PluginServer::builder().plugin(PLUGIN, plugin(&self.register, &self.own));
        let server = server.bind_grpc(GrpcServerConfig::tcp(self.address())).await;
        self.server = Some(server.expect("the server starts"));
    }

    /// Lets what is under way finish.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown(LIMIT).await;
        }
    }

    /// As if its process were killed.
    pub(crate) async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }
}

/// Three servers.
pub(crate) struct Guards {
    pub(crate) all: [Guard; 3],
    pub(crate) register: Register,
}

impl Guards {
    pub(crate) async fn start() -> Self {
        let register = Register::new();
        let all = [
            Guard::start(&register).await,
            Guard::start(&register).await,
            Guard::start(&register).await,
        ];
        Self { all, register }
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.all.iter().map(|guard| guard.address().to_string()).collect()
    }
}
