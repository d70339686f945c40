//! Where a faulty server lives: on a runtime of its own, until its faults are over.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::dice::Dice;
use crate::outage::{self, Return};
use crate::site::Site;
use fault_server::FaultServer;

/// Starts the server of a site: where it listens, and a task that gives the server
/// back, there and honest, once the sender of `faulty` is gone.
pub(crate) fn host(
    servers: &Handle,
    site: Arc<Site>,
    dice: Dice,
    returns: mpsc::Sender<Return>,
    mut faulty: watch::Receiver<()>,
) -> (PathBuf, JoinHandle<FaultServer>) {
    // Its tasks are to run there, whoever starts it.
    let _servers = servers.enter();
    let mut server = site.server();
    server.restart();
    let path = server.path();
    let task = servers.spawn(async move {
        tokio::select! {
            () = outage::drive(&mut server, &site, dice, returns) => {}
            _ = faulty.changed() => {}
        }
        site.set_calm(true);
        site.set_frozen(false);
        // With it go the connections that are in the middle of a fault.
        server.kill().await;
        server.restart();
        server
    });
    (path, task)
}
