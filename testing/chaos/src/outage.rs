//! Outages of a whole server, one after the other, and its returns.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::server;
use crate::site::Site;
use fault_server::FaultServer;

/// A server has come back.
pub(crate) struct Return {
    pub(crate) fault: Fault,
    pub(crate) at: Instant,
    /// Meanwhile others of its plugin's were there.
    pub(crate) had_others: bool,
    /// Dropped once it was found again.
    pub(crate) found: oneshot::Sender<()>,
}

/// Time between the end of an outage and the next one, in milliseconds.
const PAUSE: (f64, f64) = (500.0, 5_000.0);

/// How long an outage lasts, in milliseconds.
const LENGTH: (f64, f64) = (5.0, 1_500.0);

/// Above what finding a server may take.
const LONG: Duration = Duration::from_secs(10);

/// What can be taken down, and comes back.
pub(crate) trait Outages {
    /// Ends it, and every connection.
    async fn kill(&mut self);

    /// It is there, and nothing is wrong with it.
    fn restart(&mut self);

    /// One outage, that lasts so long; since when it is over, and whether other servers of the
    /// plugin were there meanwhile. When it returns, the site is calm.
    async fn take_down(
        &mut self,
        site: &Arc<Site>,
        fault: Fault,
        length: Duration,
        dice: &mut Dice,
    ) -> (Instant, bool);
}

/// Takes servers down and brings them back until it is dropped; says so on `returns`.
pub(crate) async fn drive(
    servers: &mut impl Outages,
    site: &Arc<Site>,
    mut dice: Dice,
    returns: mpsc::Sender<Return>,
) {
    let kinds = site.outages();
    if kinds.is_empty() {
        std::future::pending::<()>().await;
    }
    loop {
        sleep(dice.millis(PAUSE.0, PAUSE.1)).await;
        let fault = dice.pick(&kinds);
        let length = dice.millis(LENGTH.0, LENGTH.1);
        let (at, had_others) = servers.take_down(site, fault, length, &mut dice).await;
        let (found, search) = oneshot::channel();
        if returns.send(Return { fault, at, had_others, found }).await.is_err() {
            return;
        }
        // Its connections behave until it was found: this measures the return, not
        // the next fault.
        let _ = timeout(LONG, search).await;
        site.set_calm(false);
    }
}

/// The one server of a socket.
pub(crate) struct OnSocket {
    server: FaultServer,
    /// One that was replaced, and answers those who still call it.
    replaced: Option<FaultServer>,
}

impl OnSocket {
    pub(crate) fn start(site: &Arc<Site>) -> Self {
        let mut server = server::first(site);
        server.restart();
        Self { server, replaced: None }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.server.path()
    }
}

impl Outages for OnSocket {
    async fn kill(&mut self) {
        drop(self.replaced.take());
        self.server.kill().await;
    }

    fn restart(&mut self) {
        self.server.restart();
    }

    async fn take_down(
        &mut self,
        site: &Arc<Site>,
        fault: Fault,
        length: Duration,
        _: &mut Dice,
    ) -> (Instant, bool) {
        drop(self.replaced.take());
        if fault != Fault::TakenOver {
            return (take_down(&mut self.server, site, fault, length).await, false);
        }
        site.faults.add(fault);
        site.set_calm(true);
        let successor = server::successor(site, &self.server);
        self.replaced = Some(std::mem::replace(&mut self.server, successor));
        (Instant::now(), false)
    }
}

/// One outage: since when the server is back.
async fn take_down(
    server: &mut FaultServer,
    site: &Site,
    fault: Fault,
    length: Duration,
) -> Instant {
    if fault == Fault::FullBacklog {
        site.faults.add(fault);
        let backlog = server.fill_backlog().await;
        sleep(length).await;
        site.set_calm(true);
        backlog.drain(server).await;
        return Instant::now();
    }
    if fault == Fault::Frozen {
        site.faults.add(fault);
        site.set_frozen(true);
        sleep(length).await;
        site.set_calm(true);
        site.set_frozen(false);
        return Instant::now();
    }
    server.kill().await;
    let fault = match fault {
        Fault::SocketIsForbidden if !server.restart_forbidden() => {
            server.kill().await;
            Fault::ForbiddenDoesNotBind
        }
        other => other,
    };
    site.faults.add(fault);
    match fault {
        Fault::SocketRemoved => server.remove_socket(),
        Fault::SocketIsAFile => server.replace_with_file(),
        Fault::SocketIsADirectory => server.replace_with_directory(),
        _ => {}
    }
    if fault != Fault::Restart {
        sleep(length).await;
    }
    site.set_calm(true);
    server.restart();
    Instant::now()
}
