//! A plugin server that misbehaves on command, over a real Unix socket.
//!
//! Its script is an async closure that is run once for each accepted connection
//! and plays the server's side of it step by step: see [`Connection`] for the
//! steps, [`Gate`] for making a step wait until the test says so. An error from
//! a step ends the script, and with it the connection, so scripts use `?`.
//! What the server saw is in its [`Record`]. The faults of the socket file
//! itself (gone, replaced, full backlog) are methods of [`FaultServer`].
//!
//! It knows the protocol's schema and nothing of hookwire, whose own tests use it too.

// Nothing prints a server.
#![allow(missing_debug_implementations)]
// As in all test code; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod connection;
mod gate;
mod messages;
mod permissions;
mod record;

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

pub use self::{
    connection::Connection,
    gate::Gate,
    messages::{Reply, Request, argument, config_reply, fields, frame, proto},
    permissions::bind_to_permissions,
    record::{Record, Seen},
};

/// As many connections as wait to be accepted by default: more than any test opens.
const BACKLOG: u32 = 1024;

type Script = dyn Fn(Connection) -> Running + Send + Sync;
type Running = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A scripted server on a socket of its own. Dropping it ends everything.
pub struct FaultServer {
    record: Arc<Record>,
    script: Arc<Script>,
    accepting: Option<JoinHandle<()>>,
    /// Shared by those that take its path over.
    dir: Arc<TempDir>,
}

impl FaultServer {
    /// Listens, and runs `script` for each connection.
    pub fn start<F>(script: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut server = Self::absent(script);
        server.restart();
        server
    }

    /// A server that is not there yet: there is no socket before [`restart`](Self::restart).
    pub fn absent<F>(script: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let script: Arc<Script> = Arc::new(move |connection| Box::pin(script(connection)));
        let dir = tempfile::Builder::new().prefix("fault").tempdir().expect("a directory");
        Self { record: Arc::default(), script, accepting: None, dir: Arc::new(dir) }
    }

    /// Another server takes the path over, as in a rolling restart: new connections are its
    /// own. This one keeps those that it has, and listens where nobody finds it.
    pub fn succeeded_by<F>(&self, script: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let script: Arc<Script> = Arc::new(move |connection| Box::pin(script(connection)));
        let (record, dir) = (Arc::new(self.record.anew()), Arc::clone(&self.dir));
        let mut successor = Self { record, script, accepting: None, dir };
        successor.restart();
        successor
    }

    /// For servers that live long: the record keeps numbers only.
    pub fn without_history(mut self) -> Self {
        self.record = Arc::new(Record::numbers_only());
        self
    }

    /// A server that does everything right.
    pub fn honest() -> Self {
        Self::start(|mut connection| async move { connection.serve().await })
    }

    /// A server that accepts, and never reads or writes.
    pub fn deaf() -> Self {
        Self::start(|connection| async move { connection.stall().await })
    }

    /// Where it listens. The path stays the same over restarts.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("plugin.sock")
    }

    /// What it saw, over all restarts.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Listens on the path, whatever is there now.
    pub fn restart(&mut self) {
        self.listen(BACKLOG);
    }

    fn listen(&mut self, backlog: u32) {
        self.accept(self.bind(backlog));
    }

    fn bind(&self, backlog: u32) -> UnixListener {
        self.bound().listen(backlog).expect("a bound socket listens")
    }

    fn bound(&self) -> UnixSocket {
        clear(&self.path());
        let socket = UnixSocket::new_stream().expect("a socket");
        socket.bind(self.path()).expect("the path is free");
        socket
    }

    fn accept(&mut self, listener: UnixListener) {
        self.abort();
        let (record, script) = (Arc::clone(&self.record), Arc::clone(&self.script));
        self.accepting = Some(tokio::spawn(async move {
            // Aborted with this task, and so are its connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let connection = Connection::new(record.accepted(), stream, Arc::clone(&record));
                connections.spawn(script(connection));
            }
        }));
    }

    /// Dies as in a crash: closes all connections and listens no more. The socket
    /// file stays behind, and connecting to it is refused.
    pub async fn kill(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Takes the socket file away. Connections that are open stay.
    pub fn remove_socket(&self) {
        clear(&self.path());
    }

    /// Puts a regular file in the place of the socket.
    pub fn replace_with_file(&self) {
        clear(&self.path());
        fs::write(self.path(), b"no socket").expect("a file");
    }

    /// Puts a directory in the place of the socket.
    pub fn replace_with_directory(&self) {
        clear(&self.path());
        fs::create_dir(self.path()).expect("a directory");
    }

    /// Listens, but lets nobody write to the socket. False if that does not keep this
    /// process from connecting: permissions do not bind root.
    pub fn restart_forbidden(&mut self) -> bool {
        let socket = self.bound();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o000)).expect("its own file");
        self.accept(socket.listen(BACKLOG).expect("a bound socket listens"));
        std::os::unix::net::UnixStream::connect(self.path()).is_err()
    }

    /// Listens with a backlog that is full already and accepts nothing, so that
    /// connecting gives EAGAIN, until the answer is told to [`drain`](Backlog::drain).
    pub async fn fill_backlog(&mut self) -> Backlog {
        self.kill().await;
        let listener = self.bind(1);
        let mut waiting = Vec::new();
        loop {
            match UnixStream::connect(self.path()).await {
                Ok(stream) => waiting.push(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("a full backlog refuses with EAGAIN, not with {error}"),
            }
        }
        Backlog { listener, waiting }
    }

    fn abort(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Connections that fill a server's backlog.
pub struct Backlog {
    listener: UnixListener,
    waiting: Vec<UnixStream>,
}

impl Backlog {
    /// Accepts and closes what fills the backlog, and lets the server go on.
    pub async fn drain(self, server: &mut FaultServer) {
        for stream in self.waiting {
            drop(stream);
            let _ = self.listener.accept().await.expect("a connection waits");
        }
        server.accept(self.listener);
    }
}

/// Whatever is at the path, if anything.
fn clear(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
}
