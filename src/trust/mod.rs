//! Who is on the other side of a socket, and who could put another one in its place.
//!
//! Both are asked before a byte is sent or read. `peer` asks the kernel who holds the
//! other end, once there is one; `path` looks at the file system before connecting,
//! which shows who could have put a socket there, not who did. Each closes a gap of
//! the other: together they say that a trusted user listens on a trusted path.

mod path;
mod peer;

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

pub(crate) use path::Kind;
pub(crate) use peer::Peers;

#[cfg(feature = "grpc")]
use crate::config::GrpcConfig;
use crate::config::UnixSocketConfig;

/// What a plugin's server must be before it is sent anything.
#[derive(Debug)]
pub(crate) struct Trust {
    path: bool,
    peers: Peers,
}

impl From<&UnixSocketConfig> for Trust {
    fn from(config: &UnixSocketConfig) -> Self {
        let peers = Peers::new(config.peer_uids(), config.peer_gids());
        Self { path: config.trust_path(), peers }
    }
}

/// Of a Unix socket on which a server speaks gRPC.
#[cfg(feature = "grpc")]
impl From<&GrpcConfig> for Trust {
    fn from(config: &GrpcConfig) -> Self {
        let peers = Peers::new(config.peer_uids(), config.peer_gids());
        Self { path: config.trust_path(), peers }
    }
}

impl Trust {
    /// Before connecting. It waits for the file system, but not longer than
    /// connecting does, which looks the same path up in the same way.
    pub(crate) fn check_path(&self, path: &Path) -> io::Result<()> {
        if !self.path {
            return Ok(());
        }
        let own = rustix::process::geteuid().as_raw();
        let mut trusted = [&[0, own], self.peers.uids()].concat();
        trusted.sort_unstable();
        trusted.dedup();
        path::check(path, &trusted)
    }

    /// After connecting, before anything is sent.
    pub(crate) fn check_peer(&self, stream: &UnixStream) -> io::Result<()> {
        self.peers.check(stream)
    }
}

/// Why the other side is not trusted, or does not trust us: what was found, what was
/// expected, and which setting says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the other side is user {found}, expected {expected} (`peer_uids`)")]
    User { found: u32, expected: String },
    #[error("the other side is of group {found}, expected {expected} (`peer_gids`)")]
    Group { found: u32, expected: String },
    #[error("{} {fault} (`trust_path`)", path.display())]
    Path { path: PathBuf, fault: path::Fault },
    /// Of a server on another machine: that TLS or the server itself refused.
    #[cfg(feature = "grpc")]
    #[error("{0}")]
    Server(String),
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refusal)
    }
}

/// Whether an attempt to connect failed because the other side is not trusted.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Refusal>())
}

/// User or group ids, for people.
fn one_of(ids: &[u32]) -> String {
    let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
    match &ids[..] {
        [only] => only.clone(),
        ids => format!("one of {}", ids.join(", ")),
    }
}
