//! Three plugin servers over gRPC, in this process and on loopback, as on three machines.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hookwire::server::grpc::{GrpcServer, GrpcServerConfig};
use hookwire::{GrpcConfig, PluginConfig, PluginHandle};

use crate::failure::Failure;
use crate::plugins;

pub(super) const SERVERS: usize = 3;

/// Requests that each server has answered; `None` of one that is not there.
pub(super) type Answered = [Option<u64>; SERVERS];

#[derive(Debug, Default)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    running: [Option<GrpcServer>; SERVERS],
}

impl Servers {
    pub(super) async fn start() -> Result<Self, Failure> {
        let mut servers = Self::default();
        for slot in &mut servers.running {
            let server = serve((Ipv4Addr::LOCALHOST, 0).into()).await?;
            // TCP has one.
            servers.addresses.extend(server.local_addr());
            *slot = Some(server);
        }
        Ok(servers)
    }

    pub(super) fn answered(&self) -> Answered {
        self.running.each_ref().map(|server| Some(server.as_ref()?.stats().requests))
    }

    /// Ends the first as `kill -9` would: its connections are gone at once. What it had answered.
    pub(super) async fn kill_first(&mut self) -> u64 {
        let Some(server) = self.running[0].take() else { return 0 };
        let answered = server.stats().requests;
        server.kill().await;
        answered
    }

    /// A new one where the first was.
    pub(super) async fn restart_first(&mut self) -> Result<(), Failure> {
        if let Some(address) = self.addresses.first() {
            self.running[0] = Some(serve(*address).await?);
        }
        Ok(())
    }

    pub(super) async fn stop(self) {
        for server in self.running.into_iter().flatten() {
            server.shutdown(Duration::from_secs(1)).await;
        }
    }

    /// A handle to a plugin that all of them have, connected to all.
    pub(super) async fn connect(&self, plugin: &str) -> Result<PluginHandle, Failure> {
        let grpc = GrpcConfig::builder()
            .targets(self.addresses.iter().map(SocketAddr::to_string))
            .max_backoff(Duration::from_millis(250));
        let plugin = PluginConfig::builder(plugin).grpc(grpc);
        let config = plugin.timeout(Duration::from_secs(5)).build()?;
        Ok(PluginHandle::connect(config).await?)
    }
}

async fn serve(address: SocketAddr) -> Result<GrpcServer, Failure> {
    let server = plugins::server().bind_grpc(GrpcServerConfig::tcp(address)).await;
    server.map_err(Failure::server)
}
