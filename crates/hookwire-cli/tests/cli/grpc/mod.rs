//! The command line over gRPC: each command as over a socket, and each wrong flag with its words.

mod calls;
mod flags;
mod serve;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::certificates::{Authority, Files};
use crate::harness::{HOOKWIRE, Run, START_LIMIT, hookwire, lines, text};

/// A payload that every demo plugin lets pass, and one that `Deny` does not.
const FINE: &str = r#"{"name": "t", "args": {}}"#;
const DENIED: &str = r#"{"name": "t", "args": {"text": "my password"}}"#;

/// `hookwire serve --grpc`; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// What it says that it listens on.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0", &[])
    }

    pub(crate) fn start_at(address: &str, more: &[&str]) -> Self {
        let mut child = Command::new(HOOKWIRE)
            .args(["serve", "--grpc", address])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = lines(&mut child);
        let mut server = Self { child, address: String::new() };
        let ready = lines.recv_timeout(START_LIMIT).expect("the server starts");
        server.address = ready.strip_prefix("READY ").expect("its address").to_owned();
        server
    }

    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Run {
        run_at(&self.address, command, arguments)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command about the server at this target.
fn run_at(target: &str, command: &str, arguments: &[&str]) -> Run {
    hookwire(&[&[command, "--grpc", target], arguments].concat(), "")
}

/// `invoke` of `Deny`, which denies.
fn invoke(target: &str, more: &[&str]) -> Run {
    let call = ["--plugin", "Deny", "--hook", "tool_pre_invoke", "--payload", DENIED];
    run_at(target, "invoke", &[&call[..], more].concat())
}

/// An address of this machine at which nobody listens: it was free a moment ago.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// An authority, with a certificate for a server and for a client, as files.
pub(crate) struct Certificates {
    pub(crate) files: Files,
    pub(crate) ca: PathBuf,
    pub(crate) server: (PathBuf, PathBuf),
    pub(crate) client: (PathBuf, PathBuf),
}

impl Certificates {
    /// The server's is for this name, the client's for `gateway.internal`.
    pub(crate) fn for_server(name: &str) -> Self {
        Self::of("Plugins CA", name)
    }

    /// The same, of an authority of this name.
    pub(crate) fn of(authority: &str, name: &str) -> Self {
        let (files, authority) = (Files::new(), Authority::new(authority));
        Self {
            ca: files.write("ca.crt", &authority.pem()),
            server: files.identity("server", &authority.server(name)),
            client: files.identity("client", &authority.client("gateway.internal")),
            files,
        }
    }

    /// What a server with these has for arguments, which lets in whom this authority has signed.
    pub(crate) fn serving(&self) -> [&str; 6] {
        let (cert, key) = &self.server;
        ["--cert", text(cert), "--key", text(key), "--client-ca", text(&self.ca)]
    }

    /// What a client with these has for arguments.
    pub(crate) fn calling(&self) -> [&str; 6] {
        let (cert, key) = &self.client;
        ["--cacert", text(&self.ca), "--cert", text(cert), "--key", text(key)]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path(Path::new(name))
    }
}
