//! Where a faulty server lives: on a runtime of its own, until its faults are over.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::dice::Dice;
use crate::grpc::cluster::Cluster;
use crate::outage::{OnSocket, Return, drive};
use crate::place::Place;
use crate::site::Site;
use fault_server::FaultServer;

/// The server of a plugin, or its servers.
pub(crate) enum Hosted {
    Socket(FaultServer),
    Grpc(Cluster),
}

impl Hosted {
    pub(crate) async fn kill(self) {
        match self {
            Self::Socket(mut server) => server.kill().await,
            Self::Grpc(mut servers) => servers.kill().await,
        }
    }
}

/// Starts the server of a site: where it listens, and a task that gives the server
/// back, there and honest, once the sender of `faulty` is gone.
pub(crate) fn host(
    servers: &Handle,
    site: Arc<Site>,
    dice: Dice,
    returns: mpsc::Sender<Return>,
    mut faulty: watch::Receiver<()>,
) -> (Place, JoinHandle<Hosted>) {
    // Its tasks are to run there, whoever starts it.
    let _servers = servers.enter();
    let mut server = site.server();
    server.restart();
    let place = Place::Socket(server.path());
    let task = servers.spawn(async move {
        let mut on_socket = OnSocket { server: &mut server, replaced: None };
        tokio::select! {
            () = drive(&mut on_socket, &site, dice, returns) => {}
            _ = faulty.changed() => {}
        }
        drop(on_socket);
        site.set_calm(true);
        site.set_frozen(false);
        // With it go the connections that are in the middle of a fault.
        server.kill().await;
        server.restart();
        Hosted::Socket(server)
    });
    (place, task)
}

/// The same, for one whose plugin is reached over gRPC.
pub(crate) fn host_grpc(
    servers: &Handle,
    site: Arc<Site>,
    dice: Dice,
    returns: mpsc::Sender<Return>,
    mut faulty: watch::Receiver<()>,
) -> (Place, JoinHandle<Hosted>) {
    let _servers = servers.enter();
    let mut cluster = Cluster::start(&site);
    let place = Place::Grpc(cluster.way());
    let task = servers.spawn(async move {
        tokio::select! {
            () = drive(&mut cluster, &site, dice, returns) => {}
            _ = faulty.changed() => {}
        }
        site.set_calm(true);
        cluster.kill().await;
        cluster.restart();
        Hosted::Grpc(cluster)
    });
    (place, task)
}
