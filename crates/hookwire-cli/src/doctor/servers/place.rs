//! Where the servers of an entry are: its targets, and every address that their names lead to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hookwire::config::Target;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::judge::Trouble;

/// One server.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Address {
        address: SocketAddr,
        /// The name that has led to it.
        host: Option<String>,
    },
    Socket(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address { address, host: Some(host) } => write!(f, "{address} ({host})"),
            Self::Address { address, host: None } => write!(f, "{address}"),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// All servers, and the names that lead to none, each with its trouble.
pub(super) async fn find(
    targets: &[Target],
    limit: Duration,
) -> (Vec<Place>, Vec<(String, Trouble)>) {
    let (mut places, mut troubles) = (Vec::new(), Vec::new());
    for target in targets {
        match target {
            Target::Addresses(addresses) => {
                let place = |address: &SocketAddr| Place::Address { address: *address, host: None };
                places.extend(addresses.iter().map(place));
            }
            Target::Unix(path) => places.push(Place::Socket(path.clone())),
            Target::Host { host, port } => match resolve(host, *port, limit).await {
                Ok(addresses) => places.extend(
                    addresses
                        .into_iter()
                        .map(|address| Place::Address { address, host: Some(host.clone()) }),
                ),
                Err(reason) => troubles.push((target.to_string(), Trouble::name(host, &reason))),
            },
            _ => {}
        }
    }
    (places, troubles)
}

/// Each address once, in an order that stays the same.
async fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let found = timeout(limit, lookup_host((host, port))).await;
    let found = found.map_err(|_| format!("no answer within {} s", limit.as_secs_f64()))?;
    let mut addresses: Vec<_> = found.map_err(|error| error.to_string())?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
}
