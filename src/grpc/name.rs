//! A byte stream to a server that is known by its name.

use std::io;

use super::connect::TcpConnector;
use super::resolve::resolve;
use crate::unix::connect::{Connect, Connecting};

/// Resolves the name for each connection, and takes the first of its addresses that answers,
/// beginning anywhere: many gateways do not all go to the same one.
#[derive(Debug)]
pub(crate) struct NameConnector {
    host: String,
    port: u16,
}

impl NameConnector {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }
}

impl Connect for NameConnector {
    fn connect(&self) -> Connecting {
        let (host, port) = (self.host.clone(), self.port);
        Box::pin(async move {
            let mut addresses = resolve(&host, port).await?;
            // There is at least one.
            let first = fastrand::usize(..addresses.len());
            addresses.rotate_left(first);
            let mut failed = None;
            for address in addresses {
                match TcpConnector::new(address).connect().await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => {
                        failed = Some(io::Error::new(error.kind(), format!("{address}: {error}")));
                    }
                }
            }
            Err(failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
        })
    }
}
