//! From names to addresses.

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
