//! A plugin server in this process, for tests and for plugins written in Rust.
//!
//! Handlers are functions from a payload to a verdict, one per hook:
//!
//! ```
//! use hookwire::hooks::ToolPreInvoke;
//! use hookwire::server::{Handlers, PluginServer};
//! use hookwire::{PluginResult, PluginViolation};
//!
//! # async fn run(path: &std::path::Path) -> std::io::Result<()> {
//! let guard = Handlers::new().on::<ToolPreInvoke>(|payload, _context| async move {
//!     Ok(match payload.name.as_str() {
//!         "rm" => PluginResult::deny(PluginViolation::new("RM").with_reason("no").with_description("rm is not allowed")),
//!         _ => PluginResult::allow(),
//!     })
//! });
//! let server = PluginServer::builder().plugin("Guard", guard).bind(path).await?;
//! // ... until it is time to stop:
//! server.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Behavior
//! Towards clients it is the reference server, with the deviations named here.
//! - The requests of a connection are answered one at a time and in order,
//!   connections beside each other. A reply is written before the next request is
//!   begun; where it cannot be written, the client has left and nothing more is run.
//! - Each hook reply names the plugin that was called, errors included; it brings
//!   the context back if state, metadata or global state is not empty afterwards.
//! - Names are compared exactly in hook calls and without regard to case in
//!   questions for a configuration; hooks of a disabled plugin are not found.
//! - A request that is no valid hook call, for example because it nests deeper than
//!   100 messages, is tried as another kind and normally gets an empty reply.
//! - A client that announces more than 16 MiB, or sends no request for 300 s, is
//!   disconnected. Both can be set.
//! - A handler that panics is answered with an error; its connection goes on.
//! - **Deviation:** what the handler returned is sent as it is. The reference
//!   acts on the plugin's mode, and drops the metadata, headers and delay of a
//!   denial; here the mode is only reported.
//! - **Deviation:** a reply beyond the size or nesting of the protocol, or with an
//!   integer that it cannot carry, becomes an error reply with the code
//!   `INTERNAL_ERROR`. The reference closes the connection, sends what nobody can
//!   decode, or rounds.
//! - **Deviation:** a handler is never timed out.

mod builder;
mod connection;
mod error;
#[cfg(feature = "grpc")]
pub mod grpc;
mod handlers;
mod info;
mod listener;
mod plugin;
mod reply;
pub(crate) mod request;
mod service;
mod socket_file;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use listener::Run;
use socket_file::SocketFile;

pub use builder::PluginServerBuilder;
pub use error::HandlerError;
pub use handlers::{Handler, Handlers, IntoReply};
pub use info::PluginInfo;
pub use plugin::{HookCall, HookFuture, HookReply, Plugin};
pub use service::{PluginService, ServerStats};

/// A plugin server that listens on a Unix socket. See the [module](self) for an
/// example and for what it does.
///
/// Dropping it stops it at once: handlers are cancelled, connections closed and
/// the socket file removed.
pub struct PluginServer {
    service: PluginService,
    run: watch::Sender<Run>,
    listener: JoinHandle<()>,
    file: SocketFile,
}

impl PluginServer {
    /// Starts the description of a server.
    pub fn builder() -> PluginServerBuilder {
        PluginServerBuilder::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn socket_path(&self) -> &Path {
        self.file.path()
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.service.stats()
    }

    /// Stops in good order: removes the socket file, accepts the connections that were
    /// made until then and no more, answers every request that was received on any of
    /// them, closes them. What is not finished after `grace` is cancelled.
    ///
    /// A request that a client writes later is lost with its connection.
    ///
    /// The file is removed only if it is still the one that this server made, so
    /// a successor may have taken the path already.
    ///
    /// # Cancel safety
    /// Dropping the future stops the server at once.
    pub async fn shutdown(mut self, grace: Duration) {
        self.file.remove();
        self.run.send_replace(Run::Drain);
        if tokio::time::timeout(grace, &mut self.listener).await.is_err() {
            self.stop_now().await;
        }
    }

    /// Stops like a process that is killed: all connections are gone at once,
    /// and the socket file stays behind with nobody listening. For tests.
    ///
    /// # Cancel safety
    /// Dropping the future stops the server at once.
    pub async fn kill(mut self) {
        self.file.leave_behind();
        self.stop_now().await;
    }

    async fn stop_now(&mut self) {
        self.run.send_replace(Run::Stop);
        // It can only have been cancelled with its runtime, and is gone then too.
        let _ = (&mut self.listener).await;
    }
}

impl Drop for PluginServer {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl fmt::Debug for PluginServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginServer")
            .field("socket_path", &self.socket_path())
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
