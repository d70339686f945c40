//! Where the servers of an entry are: its targets, and every address that their names lead to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hookwire::config::Target;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::trouble::Trouble;

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

/// All servers, and the targets that lead to none, each with its trouble. Side by side, since a
/// name that hangs takes its whole time.
pub(super) async fn find(
    targets: &[Target],
    limit: Duration,
) -> (Vec<Place>, Vec<(String, Trouble)>) {
    let mut lookups = JoinSet::new();
    for (at, target) in targets.iter().cloned().enumerate() {
        lookups.spawn(async move { (at, servers(target, limit).await) });
    }
    let mut found = lookups.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    let (mut places, mut troubles) = (Vec::new(), Vec::new());
    for (_, servers) in found {
        match servers {
            Ok(servers) => places.extend(servers),
            Err(trouble) => troubles.push(trouble),
        }
    }
    (places, troubles)
}

/// Those of one target.
async fn servers(target: Target, limit: Duration) -> Result<Vec<Place>, (String, Trouble)> {
    let named = target.to_string();
    match target {
        Target::Addresses(addresses) => {
            let place = |address| Place::Address { address, host: None };
            Ok(addresses.into_iter().map(place).collect())
        }
        Target::Unix(path) => Ok(vec![Place::Socket(path)]),
        Target::Host { host, port } => {
            let found = resolve(&host, port, limit).await;
            let addresses = found.map_err(|reason| (named, Trouble::name(&host, &reason)))?;
            let place = |address| Place::Address { address, host: Some(host.clone()) };
            Ok(addresses.into_iter().map(place).collect())
        }
        _ => Err((named, Trouble::unknown())),
    }
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
