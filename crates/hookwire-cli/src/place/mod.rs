//! Where a command's server is: behind a Unix socket, or reached over gRPC.

mod flags;
pub(crate) mod words;

use std::io;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use hookwire::config::PluginConfigBuilder;
use hookwire::{ConfigError, ErrorKind, PluginConfig, PluginError, UnixSocketConfig};

pub(crate) use flags::{GrpcFlags, socket, socket_path};

use crate::failure::Failure;

// What all commands have in common that ask one server. (A doc comment would become their help.)
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("place").args(["socket", "targets"]).required(true)))]
pub(crate) struct Place {
    /// The plugin server's Unix socket, as an absolute path.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    grpc: GrpcFlags,
}

const OTHER: &str =
    "if its server speaks gRPC there, write `--grpc unix:PATH` instead of `--socket PATH`";

const LOOK: &str = "`hookwire doctor` with the same --grpc and flags looks at each server";

/// Whether it is not known why no server could be used: the end of a connection may be all that a
/// server says to a client that it does not let in.
fn leaves_open_why(error: &PluginError) -> bool {
    let known =
        [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound, io::ErrorKind::InvalidInput];
    error.reason() == "unavailable"
        && error.io_error().is_some_and(|error| !known.contains(&error.kind()))
}

/// Whether a socket's server may be of the other kind. It says something before it is asked, takes
/// what it is sent for nonsense, and hangs up: which of it is met first is chance.
fn may_speak_grpc(error: &PluginError) -> bool {
    let misunderstood = [
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::InvalidData,
    ];
    matches!(error.reason(), "disconnected" | "unavailable" | "framing")
        && error.io_error().is_some_and(|error| misunderstood.contains(&error.kind()))
}

/// What a command asks of its connections; what is not set has the library's default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Sockets; over gRPC each server has one connection.
    pub(crate) connections: Option<usize>,
    /// Of a message in either direction, in bytes.
    pub(crate) message_len: Option<usize>,
}

impl Place {
    pub(crate) fn socket(path: PathBuf) -> Self {
        Self { socket: Some(path), grpc: GrpcFlags::default() }
    }

    pub(crate) fn over_grpc(grpc: GrpcFlags) -> Self {
        Self { socket: None, grpc }
    }

    /// Another place that is written as one word: an absolute path, or targets that are reached
    /// in the same way as these.
    pub(crate) fn other(&self, place: &str) -> Self {
        match place.contains(':') && !place.starts_with('/') {
            true => Self::over_grpc(self.grpc.with_targets(place)),
            false => Self::socket(place.into()),
        }
    }

    pub(crate) fn is_grpc(&self) -> bool {
        self.socket.is_none()
    }

    /// The configuration of a plugin that is there, to be completed.
    pub(crate) fn plugin(
        &self,
        name: &str,
        limits: Limits,
    ) -> Result<PluginConfigBuilder, Failure> {
        let plugin = PluginConfig::builder(name);
        let Some(path) = &self.socket else {
            let mut grpc = self.grpc.builder()?;
            if let Some(bytes) = limits.message_len {
                grpc = grpc.max_message_len(bytes).max_reply_len(bytes);
            }
            return Ok(plugin.grpc(grpc));
        };
        self.grpc.refuse()?;
        let mut socket = UnixSocketConfig::builder(path);
        if let Some(connections) = limits.connections {
            socket = socket.max_connections(connections);
        }
        if let Some(bytes) = limits.message_len {
            socket = socket.max_frame_len(bytes);
        }
        Ok(plugin.unix_socket(socket))
    }

    /// The same as it is, checked.
    pub(crate) fn build(&self, plugin: PluginConfigBuilder) -> Result<PluginConfig, Failure> {
        plugin.build().map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &ConfigError) -> Failure {
        match self.is_grpc() {
            true => Failure::config(self.grpc.refused(error)),
            false => Failure::config(error.to_string()),
        }
    }

    /// A failed call or question, in the words of whoever wrote the command.
    pub(crate) fn failed(&self, error: PluginError) -> Failure {
        // The words of the plugin's own error are not ours.
        let ours = error.kind() != ErrorKind::Plugin;
        let is_of_a_file = self.is_grpc()
            && error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::InvalidInput);
        let advice = match self.is_grpc() {
            true => leaves_open_why(&error).then_some(LOOK),
            false => may_speak_grpc(&error).then_some(OTHER),
        };
        let mut failure = Failure::from(error).with_advice(advice.map(str::to_owned));
        if is_of_a_file {
            failure = failure.of_usage();
        }
        if ours { failure.told(|message| self.told(message)) } else { failure }
    }

    /// What the library says of a setting, said of the flag that sets it.
    pub(crate) fn told(&self, message: &str) -> String {
        if self.is_grpc() { words::of_clients(message) } else { message.to_owned() }
    }
}
