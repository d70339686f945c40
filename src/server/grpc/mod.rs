//! The embedded plugin server over gRPC, for gateways on other machines (features `server`
//! and `grpc`).
//!
//! The same plugins as over the Unix socket, served as the reference serves them. Here to
//! gateways that show a certificate of one authority, and for one of two names:
//!
//! ```no_run
//! use hookwire::hooks::ToolPreInvoke;
//! use hookwire::server::grpc::{GrpcServerConfig, ServerTlsConfig};
//! use hookwire::server::{Handlers, PluginServer};
//! use hookwire::{PluginResult, PluginViolation};
//! use std::time::Duration;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = Handlers::new().on::<ToolPreInvoke>(|payload, _context| async move {
//!     Ok(match &*payload.name {
//!         "rm" => PluginResult::deny(PluginViolation::new("RM").with_reason("not here")),
//!         _ => PluginResult::allow(),
//!     })
//! });
//! let gateways = ["gateway.internal", "spiffe://cluster/ns/gateway"];
//! let tls = ServerTlsConfig::new("/etc/plugins/tls.crt", "/etc/plugins/tls.key")
//!     .require_clients("/etc/plugins/gateways-ca.crt", gateways);
//! let config = GrpcServerConfig::tcp("0.0.0.0:50051".parse()?)
//!     .tls(tls)
//!     .max_buffered(512 * 1024 * 1024)
//!     .transfer_timeout(Duration::from_secs(30));
//! let server = PluginServer::builder().plugin("Guard", guard).bind_grpc(config).await?;
//! // ... until it is time to stop:
//! server.shutdown(Duration::from_secs(30)).await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Behavior
//! - It serves `cpex.PluginService` and `cpex.Health`, and `grpc.health.v1.Health` for the
//!   probes of orchestrators, with `Watch`. There is no reflection and no compression.
//! - Calls run beside each other, those of one connection too. A call whose `grpc-timeout`
//!   is over, or whose client has left or reset it, is cancelled: its handler is dropped
//!   where it waits. A `Watch` goes on until its client leaves, whatever its `grpc-timeout`.
//! - A hook's own failures are replies, as over the Unix socket. A status other than OK
//!   tells that no handler has run to its end: `RESOURCE_EXHAUSTED` for a request that is
//!   too large or finds no room, `INVALID_ARGUMENT` for what is no request, `UNIMPLEMENTED` for
//!   an unknown method, `DEADLINE_EXCEEDED`. It has run where `INTERNAL` tells that not even an
//!   error fits into [`max_frame_len`](super::PluginServerBuilder::max_frame_len), and where
//!   `RESOURCE_EXHAUSTED` says that there is no room for the reply.
//! - A handler that panics is answered with an error, and costs its own call only.
//! - On a Unix socket, a client must send an authority that is one, such as `localhost`, as
//!   most do. The one of grpc's C core (Python, C++) sends the path and is refused with a
//!   protocol error, unless it is given the option `grpc.default_authority`; the
//!   reference's client cannot be given it, and comes over TCP.
//! - A request that nests deeper than 100 messages is `INVALID_ARGUMENT`.
//!
//! ## Limits
//! Of [`GrpcServerConfig`], and the last three of [`PluginServerBuilder`]:
//!
//! | what | default | beyond it |
//! |---|---|---|
//! | [`max_request_len`](GrpcServerConfig::max_request_len) | 4 MiB | `RESOURCE_EXHAUSTED`, at the request's first bytes |
//! | [`max_buffered`](GrpcServerConfig::max_buffered), of all connections | 256 MiB | `RESOURCE_EXHAUSTED`, for those who hold much first; counted in [`ServerStats::refused`] |
//! | [`max_connections`](GrpcServerConfig::max_connections) | 1,024 | they wait in the kernel |
//! | [`max_concurrent_streams`](GrpcServerConfig::max_concurrent_streams) of a connection | 256 | `REFUSED_STREAM` |
//! | [`handshake_timeout`](GrpcServerConfig::handshake_timeout), of TLS and the first bytes of HTTP/2 | 10 s | the connection is closed |
//! | [`transfer_timeout`](GrpcServerConfig::transfer_timeout) of a request | 60 s | `DEADLINE_EXCEEDED` |
//! | the same of a reply | 60 s to 120 s | the connection is closed |
//! | the same where a client takes no byte of anything | 60 s | the connection is closed |
//! | an answer to a ping, each minute | 20 s | the connection is closed |
//! | [`idle_timeout`](super::PluginServerBuilder::idle_timeout) without a call | 300 s | the connection is closed in good order |
//! | [`max_frame_len`](super::PluginServerBuilder::max_frame_len) of a reply | 16 MiB | an error, or `INTERNAL` |
//! | [`big_integers`](super::PluginServerBuilder::big_integers) in a reply | refused | an error |
//!
//! A handler has the time that its call's `grpc-timeout` says, and without one no limit.
//!
//! ## What HTTP/2 lets clients do
//! What is known to be abused is bounded for each connection, as follows; beyond a bound the
//! connection ends, with GOAWAY and `ENHANCE_YOUR_CALM` where there is time for it.
//!
//! - Streams that are opened and reset (CVE-2023-44487): a call that is reset is cancelled, and
//!   1,024 may wait that were reset before they were looked at. A process that was stopped for
//!   a while finds some; the library's own bound is 20.
//! - Streams that the server must reset, for errors in them or because there are more than it
//!   allows (CVE-2025-8671): 1,024 in the life of the connection.
//! - Headers: 16 KiB of a call, once they are unpacked, with names, values and 32 bytes for each,
//!   in no more than 5 CONTINUATION frames (CVE-2024-27316).
//! - Pings and settings (CVE-2019-9512, CVE-2019-9515): no more is read before they can be
//!   answered, so a client that reads no answers is not read, and is closed as above.
//! - Data in tiny frames or none at all (CVE-2019-9518): small ones wait by the hundreds only,
//!   empty ones come by the hundred only.
//! - Windows that stay closed, and replies that are not read (CVE-2019-9511, CVE-2019-9517): by
//!   `max_buffered` and `transfer_timeout`.
//!
//! What comes faster than it can be looked at is bounded by the windows: 256 KiB for a
//! connection, or 1 KiB for each of its streams where that is more. The figures are those
//! that are set here, and of h2 0.4.20.
//!
//! What is not bounded is how often a client calls: one that is let in can keep the server as
//! busy as it can send, and take all connections. Let in whom you know, by
//! [`require_clients`](ServerTlsConfig::require_clients).

mod activity;
mod body;
mod calls;
mod config;
mod connection;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod health;
mod linger;
mod listener;
mod memory;
mod message;
mod names;
mod pace;
mod status;
mod tls;
mod untaken;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use config::{At, Limits};
use listener::Listener;
use memory::Memory;
use tls::Acceptor;

use super::listener::{Guarded, Refusals, Run};
use super::socket_file::{self, SocketFile};
use super::{PluginServerBuilder, PluginService, ServerStats};
use crate::trust::Peers;

pub use config::GrpcServerConfig;
pub use tls::ServerTlsConfig;

/// What the tasks of a server share.
#[derive(Debug)]
struct Shared {
    service: PluginService,
    tls: Option<Acceptor>,
    run: watch::Receiver<Run>,
    serving: watch::Receiver<bool>,
    limits: Limits,
    memory: Arc<Memory>,
    refusals: Mutex<Refusals>,
}

impl Shared {
    /// A line in the log for a client that did not get through the handshake, but no more
    /// than one in a while: whoever can connect can do so over and over.
    fn tell_refusal(&self, peer: Option<SocketAddr>, error: &io::Error) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(untold) = refusals.count(Instant::now()) {
            tracing::warn!(?peer, %error, untold, "a client did not get through the TLS handshake");
        }
    }
}

/// A plugin server that listens for gRPC. See the [module](self) for an example and for what
/// it does.
///
/// Dropping it stops it at once: handlers are cancelled, connections closed and a socket
/// file removed.
pub struct GrpcServer {
    service: PluginService,
    run: watch::Sender<Run>,
    serving: watch::Sender<bool>,
    address: Option<SocketAddr>,
    file: Option<SocketFile>,
}

impl PluginServerBuilder {
    /// Listens for gRPC and serves in the background, on the current runtime.
    ///
    /// # Errors
    /// - As [`build`](Self::build) and, for a Unix socket, as [`bind`](Self::bind).
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) if TLS is missing where others than
    ///   this machine can connect, if a limit lets nobody in, if `peer_uids` or `peer_gids` are
    ///   set and it is no Unix socket, or if a file of the TLS configuration cannot be used: the
    ///   error names it, and never its content.
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse) if somebody listens there.
    ///
    /// # Cancel safety
    /// Dropped, it serves nothing and leaves no socket file of its own.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn bind_grpc(self, config: GrpcServerConfig) -> io::Result<GrpcServer> {
        config.check(self.max_frame_len)?;
        let limits_peers = !(self.peer_uids.is_empty() && self.peer_gids.is_empty());
        if limits_peers && matches!(config.at, At::Tcp(_)) {
            let reason = "`peer_uids` and `peer_gids` are about a Unix socket, and this is TCP: \
                          limit clients by their certificates (`ServerTlsConfig::require_clients`)";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let peers = Peers::new(&self.peer_uids, &self.peer_gids);
        let mode = self.socket_mode;
        let service = self.build()?;
        let tls = match config.tls {
            Some(tls) => Some(Acceptor::new(tls).await?),
            None => None,
        };
        let (listener, address, file) = match &config.at {
            At::Tcp(address) => {
                let failed = |error: io::Error| {
                    let reason = format!("cannot listen on {address}: {error}");
                    io::Error::new(error.kind(), reason)
                };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr()?;
                (Listener::Tcp(listener), Some(address), None)
            }
            At::Unix(path) => {
                let (listener, file) = socket_file::listen(path, mode).await?;
                (Listener::Unix(Guarded::new(listener, peers)), None, Some(file))
            }
        };
        let (run, stop) = watch::channel(Run::Serve);
        let (serving, is_serving) = watch::channel(true);
        let shared = Arc::new(Shared {
            service: service.clone(),
            tls,
            run: stop,
            serving: is_serving,
            limits: config.limits,
            memory: Memory::new(config.limits.max_buffered, config.limits.max_connections),
            refusals: Mutex::default(),
        });
        tokio::spawn(listener::run(listener, shared));
        Ok(GrpcServer { service, run, serving, address, file })
    }
}

impl GrpcServer {
    /// The address that it listens on, with the port that the system has chosen; `None` for
    /// a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The Unix socket that it listens on, if it does.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        self.file.as_ref().map(SocketFile::path)
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.service.stats()
    }

    /// What both health services answer from now on: SERVING, as from the start, or
    /// NOT_SERVING. Calls are answered all the same: so a load balancer is asked to send no
    /// more of them, some time before [`shutdown`](Self::shutdown).
    ///
    /// ```no_run
    /// # async fn stop(server: hookwire::server::grpc::GrpcServer) {
    /// server.set_serving(false);
    /// // As long as those who send calls take to hear of it.
    /// tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    /// server.shutdown(std::time::Duration::from_secs(30)).await;
    /// # }
    /// ```
    pub fn set_serving(&self, serving: bool) {
        self.serving.send_replace(serving);
    }

    /// Stops in good order: the health is NOT_SERVING, a socket file is removed, the
    /// connections that were made until then are accepted and no more, and each client is told
    /// to begin nothing more on those that it has (GOAWAY). Calls that have begun go on to their
    /// end, and until their clients have taken the replies; what is not finished after `grace`
    /// is cancelled.
    ///
    /// A call that a client begins before it hears of it is answered, or told to have had no
    /// effect (its stream is beyond the last one that GOAWAY names).
    ///
    /// Clients without calls have a second to say goodbye. One that was sent a reply above 60
    /// KiB lately has until [`transfer_timeout`](GrpcServerConfig::transfer_timeout) after
    /// that, for it may still be reading. A `Watch` is told NOT_SERVING and ends; one that is not
    /// read is not waited for.
    ///
    /// # Cancel safety
    /// Dropping the future stops the server at once.
    pub async fn shutdown(mut self, grace: Duration) {
        if let Some(file) = &mut self.file {
            file.remove();
        }
        self.serving.send_replace(false);
        self.run.send_replace(Run::Drain);
        if tokio::time::timeout(grace, self.run.closed()).await.is_err() {
            self.stop_now().await;
        }
    }

    /// Stops like a process that is killed: all connections are gone at once, and a socket
    /// file stays behind with nobody listening. For tests.
    ///
    /// # Cancel safety
    /// Dropping the future stops the server at once.
    pub async fn kill(mut self) {
        if let Some(file) = &mut self.file {
            file.leave_behind();
        }
        self.stop_now().await;
    }

    /// Every task of the server holds a receiver for as long as it lives.
    async fn stop_now(&self) {
        self.run.send_replace(Run::Stop);
        self.run.closed().await;
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.run.send_replace(Run::Stop);
    }
}

impl fmt::Debug for GrpcServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServer")
            .field("address", &self.address)
            .field("socket_path", &self.socket_path())
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
