//! A plugin's servers, of which one or several are out at times.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::certificates::Certificates;
use super::server::Server;
use super::way::Way;
use super::wire::Flow;
use crate::dice::Dice;
use crate::fault::Fault;
use crate::outage::Outages;
use crate::site::Site;

/// Servers of a plugin.
const SERVERS: usize = 3;

/// One plugin in so many has TLS.
const TLS: usize = 4;

pub(crate) struct Cluster {
    servers: Vec<Server>,
    certificates: Option<Arc<Certificates>>,
}

impl Cluster {
    /// Each server has an address of its own, which nobody else takes while it is away.
    pub(crate) fn start(site: &Arc<Site>) -> Self {
        let has_tls = site.index % TLS == TLS - 1;
        let certificates = has_tls.then(|| Arc::new(Certificates::new()));
        let acceptor = || certificates.as_ref().map(|certificates| certificates.right());
        let start = |index| Server::start(site, index, address(site, index), acceptor());
        Self { servers: (0..SERVERS).map(start).collect(), certificates }
    }

    pub(crate) fn way(&self) -> Way {
        let servers = self.servers.iter().map(Server::address).collect();
        Way { servers, certificates: self.certificates.clone() }
    }
}

impl Outages for Cluster {
    async fn kill(&mut self) {
        for server in &mut self.servers {
            server.kill().await;
        }
    }

    fn restart(&mut self) {
        for server in &mut self.servers {
            server.member.set_flow(Flow::Free);
            server.member.set_serving(true);
            server.member.set_acceptor(self.certificates.as_ref().map(|all| all.right()));
            server.restart();
        }
    }

    async fn take_down(
        &mut self,
        site: &Arc<Site>,
        fault: Fault,
        length: Duration,
        dice: &mut Dice,
    ) -> (Instant, bool) {
        let fault = match fault {
            Fault::WrongCertificate if self.certificates.is_none() => Fault::Restart,
            fault => fault,
        };
        site.faults.add(fault);
        let (out, first) = (dice.pick(&[1, 1, 2, SERVERS]), dice.below(SERVERS));
        self.servers.rotate_left(first);
        let certificates = self.certificates.clone();
        let servers = &mut self.servers[..out];
        for server in servers.iter_mut() {
            match fault {
                Fault::Frozen => server.member.set_flow(Flow::Still),
                Fault::NotServing => {
                    server.member.set_serving(false);
                    server.member.go_away();
                }
                Fault::StoppedInOrder => {
                    server.stop_listening().await;
                    server.member.go_away();
                }
                Fault::HalfOpen => {
                    server.kill().await;
                    server.member.set_flow(Flow::Still);
                    server.restart();
                }
                Fault::WrongCertificate => {
                    server.kill().await;
                    server.member.set_acceptor(certificates.as_ref().map(|all| all.wrong(dice)));
                    server.restart();
                }
                _ => server.kill().await,
            }
        }
        if fault != Fault::Restart {
            sleep(length).await;
        }
        site.set_calm(true);
        for server in servers {
            match fault {
                Fault::Frozen => server.member.set_flow(Flow::Free),
                Fault::NotServing => server.member.set_serving(true),
                Fault::StoppedInOrder | Fault::HalfOpen | Fault::WrongCertificate => {
                    server.kill().await;
                    server.member.set_flow(Flow::Free);
                    server.member.set_acceptor(certificates.as_ref().map(|all| all.right()));
                    server.restart();
                }
                _ => server.restart(),
            }
        }
        (Instant::now(), out < SERVERS)
    }
}

/// Of this process, this plugin and this server.
fn address(site: &Site, index: usize) -> SocketAddr {
    let process = std::process::id();
    let server = site.index * SERVERS + index;
    let [high, low] = [process / 250 % 120, process % 250].map(|part| part as u8);
    let ip = Ipv4Addr::new(127, 1 + high, 1 + low, 1 + (server % 250) as u8);
    SocketAddr::from((ip, 0))
}
