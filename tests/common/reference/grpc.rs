//! The reference's gRPC server, with the plugins of `tests/reference`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use hookwire::PluginConfig;
use hookwire::config::{GrpcBuilder, GrpcConfig, PluginConfigBuilder};
use tempfile::TempDir;

use super::port::Port;
use super::{OwnedChild, START_LIMIT, file, lines_of, venv};

/// The server as a child process, killed when dropped; it also ends with the test process.
/// Where it listens stays the same over [`restart`](Self::restart).
pub(crate) struct GrpcReference {
    venv: PathBuf,
    dir: TempDir,
    /// `None` for a Unix socket.
    port: Option<Port>,
    /// Its certificates.
    variables: Vec<(&'static str, PathBuf)>,
    running: Option<OwnedChild>,
}

impl GrpcReference {
    /// On a free port of this machine.
    pub(crate) fn over_tcp() -> Option<Self> {
        Some(Self::start(venv()?, Some(Port::reserve()), Vec::new()))
    }

    /// On a Unix socket of its own.
    pub(crate) fn over_uds() -> Option<Self> {
        Some(Self::start(venv()?, None, Vec::new()))
    }

    /// With TLS, and a demand for clients of this authority.
    pub(crate) fn over_tls(
        (certfile, keyfile): (PathBuf, PathBuf),
        clients: PathBuf,
    ) -> Option<Self> {
        let variables = vec![
            ("PLUGINS_GRPC_SERVER_SSL_CERTFILE", certfile),
            ("PLUGINS_GRPC_SERVER_SSL_KEYFILE", keyfile),
            ("PLUGINS_GRPC_SERVER_SSL_CA_CERTS", clients),
            ("PLUGINS_GRPC_SERVER_SSL_ENABLED", "true".into()),
            ("PLUGINS_GRPC_SERVER_SSL_CLIENT_AUTH", "require".into()),
        ];
        Some(Self::start(venv()?, Some(Port::reserve()), variables))
    }

    /// The one over TCP that the tests of one process share; none of them may stop it.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<GrpcReference>> = OnceLock::new();
        // Says for every test why it is skipped.
        venv()?;
        SERVER.get_or_init(Self::over_tcp).as_ref()
    }

    fn start(venv: PathBuf, port: Option<Port>, variables: Vec<(&'static str, PathBuf)>) -> Self {
        let dir = tempfile::Builder::new().prefix("hookwire").tempdir().expect("a directory");
        let mut server = Self { venv, dir, port, variables, running: None };
        server.restart();
        server
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Kills the server if it runs, starts it again in the same place, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(self.venv.join("bin/python"));
        // The directory is empty: the server would read a `.env` file from where it runs.
        command
            .current_dir(self.dir.path())
            .args([file("serve_grpc.py").as_path(), self.dir.path()])
            .env("PYTHONPATH", file(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PLUGINS_CONFIG_PATH", file("plugins.yaml"))
            .env("PLUGINS_LOG_LEVEL", "INFO")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("HOOKWIRE_EXECUTIONS", self.executions_file())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        match &self.port {
            Some(port) => {
                let address = port.address;
                let (host, port) = (address.ip().to_string(), address.port().to_string());
                command.args(["--host", &host, "--port", &port]);
            }
            None => drop(command.env("PLUGINS_GRPC_SERVER_UDS", self.socket())),
        }
        let mut child = OwnedChild(command.spawn().expect("the reference server starts"));
        let stderr = lines_of(child.0.stderr.take().expect("stderr is piped"));
        let deadline = Instant::now() + START_LIMIT;
        let mut log = Vec::new();
        loop {
            match stderr.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains("gRPC plugin server started on") => break,
                Ok(line) => log.push(line),
                Err(why) => panic!("the gRPC server is not ready ({why}): {}", log.join("\n")),
            }
        }
        self.running = Some(child);
    }

    /// How often the plugin `Counter` ran for this marker, over all restarts.
    pub(crate) fn executions(&self, marker: &str) -> usize {
        let text = fs::read_to_string(self.executions_file()).unwrap_or_default();
        text.lines().filter(|line| *line == marker).count()
    }

    fn executions_file(&self) -> PathBuf {
        self.dir.path().join("executions")
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("plugins.sock")
    }

    /// Where the server is, and no more.
    pub(crate) fn transport(&self) -> GrpcBuilder {
        match &self.port {
            Some(port) => GrpcConfig::builder().target(port.address.to_string()),
            None => GrpcConfig::builder().uds(self.socket()),
        }
    }

    /// Its address.
    pub(crate) fn target(&self) -> String {
        self.port.as_ref().expect("it is not on a socket").address.to_string()
    }

    /// A configuration of this plugin that says no more than it must.
    pub(crate) fn config(&self, plugin: &str) -> PluginConfigBuilder {
        PluginConfig::builder(plugin).grpc(self.transport())
    }
}
