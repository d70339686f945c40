//! A plugin server that misbehaves on command, over a real Unix socket or over gRPC.
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
mod grpc;
mod listen;
mod messages;
mod permissions;
mod record;

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::net::UnixStream;
use tokio::task::{JoinHandle, JoinSet};

use self::grpc::{Settings, lock};
use self::listen::{Listener, Place};

pub use self::{
    connection::{Connection, Stream},
    gate::Gate,
    grpc::{Grpc, Health},
    messages::{Reply, Request, argument, config_reply, fields, frame, proto},
    permissions::bind_to_permissions,
    record::{Record, Seen},
};

/// As many connections as wait to be accepted by default: more than any test opens.
const BACKLOG: u32 = 1024;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Frames on a Unix socket.
    Socket,
    /// gRPC on a Unix socket: what becomes of its path is the same.
    Grpc,
    /// gRPC on a TCP port of this machine.
    Tcp,
}

impl Over {
    /// Listens, and runs `script` for each connection.
    pub fn start<F>(self, script: impl Fn(Connection) -> F + Send + Sync + 'static) -> FaultServer
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut server = self.absent(script);
        server.restart();
        server
    }

    /// A server that is not there yet: nobody listens before [`restart`](FaultServer::restart).
    pub fn absent<F>(self, script: impl Fn(Connection) -> F + Send + Sync + 'static) -> FaultServer
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        FaultServer {
            over: self,
            record: Arc::default(),
            script: Arc::new(move |connection| Box::pin(script(connection))),
            accepting: None,
            place: Arc::new(Place::new(self)),
            settings: Arc::default(),
        }
    }

    /// A server that does everything right.
    pub fn honest(self) -> FaultServer {
        self.start(|mut connection| async move { connection.serve().await })
    }

    /// A server that accepts, and never reads or writes; over gRPC it says that it is there.
    pub fn deaf(self) -> FaultServer {
        self.start(|connection| async move { connection.stall().await })
    }
}

type Script = dyn Fn(Connection) -> Running + Send + Sync;
type Running = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A scripted server on a socket of its own. Dropping it ends everything. Those that are not
/// made by [`Over`] are over a Unix socket.
pub struct FaultServer {
    over: Over,
    record: Arc<Record>,
    script: Arc<Script>,
    accepting: Option<JoinHandle<()>>,
    /// Shared by those that take it over.
    place: Arc<Place>,
    settings: Arc<Mutex<Settings>>,
}

impl FaultServer {
    /// Listens, and runs `script` for each connection.
    pub fn start<F>(script: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        Over::Socket.start(script)
    }

    /// A server that is not there yet: there is no socket before [`restart`](Self::restart).
    pub fn absent<F>(script: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        Over::Socket.absent(script)
    }

    /// Another server takes the path over, as in a rolling restart: new connections are its
    /// own. This one keeps those that it has, and listens where nobody finds it.
    pub fn succeeded_by<F>(&self, script: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut successor = self.over.absent(script);
        successor.record = Arc::new(self.record.anew());
        successor.place = Arc::clone(&self.place);
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
        Over::Socket.honest()
    }

    /// A server that accepts, and never reads or writes.
    pub fn deaf() -> Self {
        Over::Socket.deaf()
    }

    /// How it is spoken to.
    pub fn over(&self) -> Over {
        self.over
    }

    /// Where it listens. The path stays the same over restarts.
    ///
    /// # Panics
    ///
    /// Over TCP, as do the faults of paths.
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Where it listens over TCP. The port is its own until it is dropped, over restarts too.
    ///
    /// # Panics
    ///
    /// Over a Unix socket.
    pub fn address(&self) -> SocketAddr {
        self.place.address()
    }

    /// Over gRPC: what becomes of checks from now on.
    pub fn set_health(&self, health: Health) {
        lock(&self.settings).health = health;
    }

    /// Over gRPC: how many calls a connection may have at a time, from the next connection on.
    pub fn set_max_streams(&self, streams: u32) {
        lock(&self.settings).max_streams = Some(streams);
    }

    /// What it saw, over all restarts.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Listens on the path, whatever is there now. On a port, only where nobody listens.
    pub fn restart(&mut self) {
        self.listen(BACKLOG);
    }

    fn listen(&mut self, backlog: u32) {
        self.accept(self.place.listen(backlog));
    }

    fn accept(&mut self, listener: Listener) {
        self.abort();
        let (record, script) = (Arc::clone(&self.record), Arc::clone(&self.script));
        let (over, settings) = (self.over, Arc::clone(&self.settings));
        self.accepting = Some(tokio::spawn(async move {
            // Aborted with this task, and so are its connections.
            let mut connections = JoinSet::new();
            while let Ok(stream) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (number, record) = (record.accepted(), Arc::clone(&record));
                if over == Over::Socket {
                    connections.spawn(script(Connection::new(number, stream, record)));
                    continue;
                }
                let (script, settings) = (Arc::clone(&script), Arc::clone(&settings));
                connections.spawn(async move {
                    script(Connection::accept(number, stream, record, settings).await?).await
                });
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
        listen::clear(&self.path());
    }

    /// Puts a regular file in the place of the socket.
    pub fn replace_with_file(&self) {
        listen::clear(&self.path());
        fs::write(self.path(), b"no socket").expect("a file");
    }

    /// Puts a directory in the place of the socket.
    pub fn replace_with_directory(&self) {
        listen::clear(&self.path());
        fs::create_dir(self.path()).expect("a directory");
    }

    /// Listens, but lets nobody write to the socket. False if that does not keep this
    /// process from connecting: permissions do not bind root.
    pub fn restart_forbidden(&mut self) -> bool {
        let socket = self.place.bound();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o000)).expect("its own file");
        self.accept(Listener::Unix(socket.listen(BACKLOG).expect("a bound socket listens")));
        std::os::unix::net::UnixStream::connect(self.path()).is_err()
    }

    /// Listens with a backlog that is full already and accepts nothing, so that
    /// connecting gives EAGAIN, until the answer is told to [`drain`](Backlog::drain).
    pub async fn fill_backlog(&mut self) -> Backlog {
        self.kill().await;
        let listener = self.place.listen(1);
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
    listener: Listener,
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
