//! The description of a server, before it serves.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::listener::{self, Guarded, Run};
use super::{Plugin, PluginInfo, PluginServer, PluginService, socket_file};
use crate::config::BigIntegers;
use crate::trust::Peers;
use crate::wire::codec::DEFAULT_MAX_FRAME_LEN;

/// Describes a [`PluginServer`]: its plugins and its limits.
///
/// ```no_run
/// use hookwire::server::{Handlers, PluginServer};
/// use std::time::Duration;
///
/// # async fn run() -> std::io::Result<()> {
/// let server = PluginServer::builder()
///     .plugin("First", Handlers::new())
///     .plugin("Second", Handlers::new())
///     .idle_timeout(Duration::from_secs(60))
///     .bind("/run/plugins/my.sock")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct PluginServerBuilder {
    pub(super) plugins: Vec<(PluginInfo, Box<dyn Plugin>)>,
    pub(super) max_frame_len: usize,
    pub(super) idle_timeout: Duration,
    pub(super) big_integers: BigIntegers,
    pub(super) peer_uids: Vec<u32>,
    pub(super) peer_gids: Vec<u32>,
    pub(super) socket_mode: u32,
}

impl Default for PluginServerBuilder {
    fn default() -> Self {
        Self {
            plugins: Vec::new(),
            max_frame_len: DEFAULT_MAX_FRAME_LEN,
            idle_timeout: Duration::from_secs(300),
            big_integers: BigIntegers::default(),
            peer_uids: Vec::new(),
            peer_gids: Vec::new(),
            socket_mode: 0o600,
        }
    }
}

impl PluginServerBuilder {
    /// Adds a plugin, under a name or with a whole [`PluginInfo`].
    pub fn plugin(mut self, info: impl Into<PluginInfo>, plugin: impl Plugin) -> Self {
        self.plugins.push((info.into(), Box::new(plugin)));
        self
    }

    /// The largest message, in bytes, of requests and replies. Default: 16 MiB,
    /// the protocol's limit; a client expects no more and no less.
    pub fn max_frame_len(mut self, bytes: usize) -> Self {
        self.max_frame_len = bytes;
        self
    }

    /// How long a connection may be without a request before it is closed, and how
    /// long its client may take to read what was written. Default: 300 s, as the
    /// reference server for the former; it waits without end for the latter. Zero is
    /// refused; [`Duration::MAX`] is no limit.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// What happens to integers beyond ±2^53 in replies. Default: the call is
    /// answered with an error. The reference server rounds them.
    pub fn big_integers(mut self, choice: BigIntegers) -> Self {
        self.big_integers = choice;
        self
    }

    /// The users that may call, as the kernel tells after they connected. Any other is
    /// closed before a byte is read, with a warning in the log. Default empty: whoever
    /// the [mode](Self::socket_mode) of the socket lets connect.
    pub fn peer_uids(mut self, uids: impl IntoIterator<Item = u32>) -> Self {
        self.peer_uids = uids.into_iter().collect();
        self
    }

    /// The groups that may call: the effective group of a client, not its
    /// supplementary ones. With [`peer_uids`](Self::peer_uids), both must fit.
    /// Default empty: any.
    pub fn peer_gids(mut self, gids: impl IntoIterator<Item = u32>) -> Self {
        self.peer_gids = gids.into_iter().collect();
        self
    }

    /// The permissions of the socket file: who may write may connect. Default 0600: this
    /// process's user, and root. To let others in, widen it (`0o666`) and name them in
    /// [`peer_uids`](Self::peer_uids).
    ///
    /// ```
    /// use hookwire::server::PluginServer;
    ///
    /// let for_the_gateway = PluginServer::builder().socket_mode(0o666).peer_uids([990]);
    /// ```
    pub fn socket_mode(mut self, mode: u32) -> Self {
        self.socket_mode = mode;
        self
    }

    /// The plugins without a socket, to serve streams that are already connected.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if a plugin's name is empty or
    /// taken twice, its info cannot be encoded, or the idle timeout is zero.
    pub fn build(self) -> io::Result<PluginService> {
        PluginService::new(self)
    }

    /// Listens on `path` and serves in the background, on the current runtime.
    ///
    /// The socket has its mode before anybody can connect to it. A socket file
    /// that nobody listens on is replaced.
    ///
    /// # Errors
    /// - As [`build`](Self::build).
    /// - [`AddrInUse`](io::ErrorKind::AddrInUse) if somebody listens there.
    /// - [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is something that
    ///   is no socket; it is left alone.
    /// - Any other error of the system, for example that the directory does not exist;
    ///   every error names the path.
    ///
    /// # Cancel safety
    /// Dropped, it serves nothing and leaves no socket file of its own; one that nobody
    /// listened on may be gone.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn bind(self, path: impl AsRef<Path>) -> io::Result<PluginServer> {
        let peers = Peers::new(&self.peer_uids, &self.peer_gids);
        let mode = self.socket_mode;
        let service = self.build()?;
        let (listener, file) = socket_file::listen(path.as_ref(), mode).await?;
        let (run, stop) = watch::channel(Run::Serve);
        let guarded = Guarded::new(listener, peers);
        let listener = tokio::spawn(listener::run(guarded, service.clone(), stop));
        Ok(PluginServer { service, run, listener, file })
    }
}

impl fmt::Debug for PluginServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.plugins.iter().map(|(info, _)| info.name.as_str()).collect();
        f.debug_struct("PluginServerBuilder")
            .field("plugins", &names)
            .field("max_frame_len", &self.max_frame_len)
            .field("idle_timeout", &self.idle_timeout)
            .field("big_integers", &self.big_integers)
            .field("peer_uids", &self.peer_uids)
            .field("peer_gids", &self.peer_gids)
            .field("socket_mode", &format_args!("{:04o}", self.socket_mode))
            .finish()
    }
}
