//! Where a faulty server lives: on a runtime of its own, until its faults are over.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::dice::Dice;
use crate::grpc::cluster::Cluster;
use crate::outage::{OnSocket, Outages, Return, drive};
use crate::place::Place;
use crate::site::Site;

/// The server of a plugin, or its servers.
pub(crate) enum Hosted {
    Socket(OnSocket),
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
    faulty: watch::Receiver<()>,
) -> (Place, JoinHandle<Hosted>) {
    // Its tasks are to run there, whoever starts it.
    let _servers = servers.enter();
    let server = OnSocket::start(&site);
    let place = Place::Socket(server.path());
    let honest = until_honest(server, site, dice, returns, faulty);
    (place, servers.spawn(async { Hosted::Socket(honest.await) }))
}

/// The same, for one whose plugin is reached over gRPC.
pub(crate) fn host_grpc(
    servers: &Handle,
    site: Arc<Site>,
    dice: Dice,
    returns: mpsc::Sender<Return>,
    faulty: watch::Receiver<()>,
) -> (Place, JoinHandle<Hosted>) {
    let _servers = servers.enter();
    let cluster = Cluster::start(&site);
    let place = Place::Grpc(cluster.way());
    let honest = until_honest(cluster, site, dice, returns, faulty);
    (place, servers.spawn(async { Hosted::Grpc(honest.await) }))
}

async fn until_honest<S: Outages>(
    mut servers: S,
    site: Arc<Site>,
    dice: Dice,
    returns: mpsc::Sender<Return>,
    mut faulty: watch::Receiver<()>,
) -> S {
    tokio::select! {
        () = drive(&mut servers, &site, dice, returns) => {}
        _ = faulty.changed() => {}
    }
    site.set_calm(true);
    site.set_frozen(false);
    // With them go the connections that are in the middle of a fault.
    servers.kill().await;
    servers.restart();
    servers
}
