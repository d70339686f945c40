//! The servers that names lead to: each address is one.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::resolve::resolve;
use super::settings::{Finding, Names};
use super::target::Target;
use super::way::Way;

/// Finds the servers of targets of which at least one is a name.
pub(super) struct ByName {
    targets: Vec<Target>,
    way: Way,
    /// By target: what its name led to last. One name that cannot be resolved now takes no
    /// servers away.
    known: Arc<Mutex<Vec<Vec<SocketAddr>>>>,
    /// How long one name may take.
    patience: Duration,
}

impl ByName {
    pub(super) fn new(targets: Vec<Target>, way: Way, patience: Duration) -> Self {
        let known = Arc::new(Mutex::new(vec![Vec::new(); targets.len()]));
        Self { targets, way, known, patience }
    }
}

impl Names for ByName {
    /// Fails where nothing is known of any target, with why the last name cannot be resolved.
    fn find(&self) -> Finding {
        let (targets, way) = (self.targets.clone(), self.way.clone());
        let (known, patience) = (Arc::clone(&self.known), self.patience);
        Box::pin(async move {
            // Side by side, each with a limit: one that is slow takes none of the others away.
            let lookups = targets.iter().map(|target| async move {
                let Target::Host { host, port } = target else { return None };
                Some(in_time(patience, host, resolve(host, *port)).await)
            });
            let lookups = join_all(lookups).await;
            let mut remotes = Vec::new();
            let mut failed = None;
            for ((at, target), found) in targets.iter().enumerate().zip(lookups) {
                let (Target::Host { host, .. }, Some(found)) = (target, found) else {
                    remotes.extend(way.to(target));
                    continue;
                };
                let addresses = {
                    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    match found {
                        Ok(found) => known[at] = found,
                        Err(error) => failed = Some(error),
                    }
                    known[at].clone()
                };
                let name = |address| format!("{address} ({host})");
                let to = |address| way.to_address(name(address), Some(host), address);
                remotes.extend(addresses.into_iter().map(to));
            }
            match failed {
                Some(error) if remotes.is_empty() => Err(error),
                _ if remotes.is_empty() => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(remotes),
            }
        })
    }
}

async fn in_time(
    patience: Duration,
    host: &str,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> io::Result<Vec<SocketAddr>> {
    timeout(patience, lookup).await.unwrap_or_else(|_| {
        let reason = format!("the name `{host}` was not resolved in time");
        Err(io::Error::new(io::ErrorKind::TimedOut, reason))
    })
}

#[cfg(test)]
mod tests {
    use super::super::connect::Security;
    use super::*;

    fn names(targets: &[&str]) -> ByName {
        let targets = targets.iter().map(|target| Target::parse(target).unwrap());
        let way = Way { security: Security::Loopback, trust: None };
        // Far above what a system takes for names that it knows, or cannot know.
        ByName::new(targets.collect(), way, Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_resolved_too_slowly_is_told_by_its_name() {
        let second = Duration::from_secs(1);
        let error = in_time(second, "slow.example", std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "the name `slow.example` was not resolved in time");
    }

    async fn found(names: &ByName) -> Vec<String> {
        let found = names.find().await.unwrap();
        found.iter().map(|remote| remote.name.to_string()).collect()
    }

    #[tokio::test]
    async fn each_address_of_a_name_is_a_server_beside_those_that_are_no_names() {
        let found = found(&names(&["localhost:7", "127.0.0.2:7"])).await;
        assert!(found.contains(&"127.0.0.1:7 (localhost)".to_owned()), "{found:?}");
        assert!(found.contains(&"127.0.0.2:7".to_owned()), "{found:?}");
    }

    #[tokio::test]
    async fn a_name_that_is_not_known_takes_no_other_server_away() {
        let names = names(&["no-such-host.invalid:7", "127.0.0.2:7"]);
        assert_eq!(found(&names).await, ["127.0.0.2:7"]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_any_more_keeps_its_servers() {
        let names = names(&["no-such-host.invalid:7"]);
        names.known.lock().unwrap()[0] = vec!["127.0.0.3:7".parse().unwrap()];
        assert_eq!(found(&names).await, ["127.0.0.3:7 (no-such-host.invalid)"]);
    }

    #[tokio::test]
    async fn names_of_which_none_is_known_are_an_error_that_names_one() {
        let error = names(&["no-such-host.invalid:7"]).find().await.err().unwrap();
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    }
}
