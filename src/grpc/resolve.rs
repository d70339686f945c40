//! From names to addresses, and what has changed since the last time.

use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;

/// All addresses of a name, as [`in_order`] has them.
///
/// It asks the system (`getaddrinfo`), on a thread of the runtime's, with no time limit of
/// its own.
///
/// # Errors
/// If the system knows no address, or cannot tell. What was known before then stays true.
///
/// # Cancel safety
/// Dropped, the system's question goes on by itself, and its answer is not looked at.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = lookup_host((host, port)).await.map_err(|error| {
        io::Error::new(error.kind(), format!("the name `{host}` cannot be resolved: {error}"))
    })?;
    let addresses = in_order(found);
    if addresses.is_empty() {
        let none = format!("the name `{host}` has no address");
        return Err(io::Error::new(io::ErrorKind::NotFound, none));
    }
    Ok(addresses)
}

/// Each address once, sorted: resolvers shuffle, and that is no change.
pub(crate) fn in_order(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.into_iter().collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// What a new list of addresses means for the servers that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// In both.
    pub(crate) stay: Vec<SocketAddr>,
    /// To be connected to.
    pub(crate) new: Vec<SocketAddr>,
    /// No longer there: nothing new for them, what they run may end.
    pub(crate) gone: Vec<SocketAddr>,
}

impl Change {
    /// From the servers that are known to those that were found, each in order.
    pub(crate) fn between(known: &[SocketAddr], found: &[SocketAddr]) -> Self {
        let (known, found) = (in_order(known.iter().copied()), in_order(found.iter().copied()));
        let is_in = |list: &[SocketAddr], address: &SocketAddr| list.binary_search(address).is_ok();
        let (stay, gone) = known.iter().partition(|address| is_in(&found, address));
        let new = found.iter().copied().filter(|address| !is_in(&known, address)).collect();
        Self { stay, new, gone }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;

    /// Far above what the system takes for its own names.
    const LIMIT: Duration = Duration::from_secs(20);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_that_is_told_twice_is_one_server() {
        let twice = addresses(&["10.0.0.2:1", "[::1]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(in_order(twice), addresses(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]));
    }

    #[test]
    fn another_order_is_no_change() {
        let known = addresses(&["10.0.0.1:1", "10.0.0.2:1"]);
        let found = addresses(&["10.0.0.2:1", "10.0.0.1:1"]);
        let change = Change::between(&known, &found);
        assert!(change.is_none());
        assert_eq!(change.stay, known);
    }

    #[test]
    fn another_port_is_another_server() {
        let change = Change::between(&addresses(&["10.0.0.1:1"]), &addresses(&["10.0.0.1:2"]));
        assert_eq!(
            (change.new, change.gone),
            (addresses(&["10.0.0.1:2"]), addresses(&["10.0.0.1:1"]))
        );
        assert_eq!(change.stay, []);
    }

    fn some_addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
        let address = (0..6_u8, 1..3_u16).prop_map(|(ip, port)| ([10, 0, 0, ip], port).into());
        proptest::collection::vec(address, 0..12)
    }

    proptest! {
        #[test]
        fn every_server_is_told_once_and_those_that_stay_or_are_new_are_what_was_found(
            known in some_addresses(),
            found in some_addresses(),
        ) {
            let Change { stay, new, gone } = Change::between(&known, &found);
            prop_assert_eq!(in_order(stay.iter().chain(&new).copied()), in_order(found));
            prop_assert_eq!(in_order(stay.iter().chain(&gone).copied()), in_order(known));
            let told = [&stay[..], &new, &gone].concat();
            prop_assert_eq!(in_order(told.iter().copied()).len(), told.len());
        }
    }

    #[tokio::test]
    async fn an_address_and_the_systems_own_name_are_resolved() {
        let own = timeout(LIMIT, resolve("::1", 7)).await.unwrap().unwrap();
        assert_eq!(own, addresses(&["[::1]:7"]));
        let local = timeout(LIMIT, resolve("localhost", 7)).await.unwrap().unwrap();
        assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    }

    /// Refused without a question: it is no name.
    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_told() {
        let error = timeout(LIMIT, resolve("a b", 7)).await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("the name `a b` cannot be resolved: "), "{error}");
    }
}
