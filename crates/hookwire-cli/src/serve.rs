//! `hookwire serve`: the embedded server with three demo plugins.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args};
use hookwire::UnixSocketConfig;
use hookwire::server::grpc::{GrpcServer, GrpcServerConfig, ServerTlsConfig};
use hookwire::server::{PluginServer, PluginServerBuilder, ServerStats};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{self, Failure, note};
use crate::place::{self, words};
use crate::{input, plugins, text};

/// What calls under way get after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// Serve the demo plugins Replace, Deny and Echo until SIGINT or SIGTERM.
///
/// Prints READY on stdout when it listens, over gRPC with the address behind it. A socket file
/// that nobody listens on is replaced; the new one is for its owner only (mode 0600). On a
/// signal, calls under way have 5 s to finish.
#[derive(Debug, Args)]
#[command(after_long_help = plugins::description())]
#[command(group(ArgGroup::new("place").args(["socket", "grpc"]).required(true)))]
pub(crate) struct Serve {
    /// Where to listen, as an absolute path.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Listen for gRPC, instead: on an address and a port, such as 127.0.0.1:50051 or
    /// 0.0.0.0:50051 (port 0: one that the system chooses), or on unix:PATH.
    #[arg(long, value_name = "ADDR")]
    grpc: Option<String>,
    /// The server's certificate, in PEM, with those that it was issued with.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of --cert, in PEM, not encrypted; one file may hold both.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Let in only clients with a certificate of these authorities, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    client_ca: Option<PathBuf>,
    /// Of those, only clients whose certificate is for this name: a DNS name or a URI. Several:
    /// repeat it, or put commas between them. Default: all of --client-ca.
    #[arg(long, value_name = "NAME", requires = "client_ca", value_delimiter = ',')]
    client_name: Vec<String>,
    /// Without TLS on other addresses than those of this machine (127.0.0.1, [::1]) too: whoever
    /// is on the way can read and change calls.
    #[arg(long, conflicts_with = "cert")]
    plaintext: bool,
    /// The longest message in both directions, in bytes. Default: 16 MiB; of requests over gRPC
    /// 4 MiB, as the reference's server has it.
    #[arg(long, value_name = "BYTES", value_parser = input::whole::<usize>(input::FRAME_LEN), allow_negative_numbers = true)]
    max_frame_len: Option<usize>,
}

/// One of the two.
enum Server {
    Socket(PluginServer),
    Grpc(GrpcServer),
}

impl Server {
    fn stats(&self) -> ServerStats {
        match self {
            Self::Socket(server) => server.stats(),
            Self::Grpc(server) => server.stats(),
        }
    }

    async fn shutdown(self) {
        match self {
            Self::Socket(server) => server.shutdown(GRACE).await,
            Self::Grpc(server) => server.shutdown(GRACE).await,
        }
    }
}

impl Serve {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        // Before READY: whoever reads it may send a signal at once.
        let listen = |kind| signal(kind).map_err(Failure::io("listen to signals"));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;

        let (server, ready) = self.bind().await?;
        note(plugins::description());
        failure::print(ready)?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let served = text::count(server.stats().requests);
        server.shutdown().await;
        note(format_args!("stopped after {served} requests"));
        Ok(ExitCode::SUCCESS)
    }

    /// The server, and what is told once it listens.
    async fn bind(&self) -> Result<(Server, String), Failure> {
        let mut server = plugins::server();
        if let Some(bytes) = self.max_frame_len {
            server = server.max_frame_len(bytes);
        }
        match (&self.socket, &self.grpc) {
            (Some(path), _) => {
                if let Some(flag) = self.of_grpc() {
                    return Err(Failure::usage(format!(
                        "{flag} is for --grpc, and not for a socket; remove it"
                    )));
                }
                // What no client could be configured for is not served either.
                UnixSocketConfig::builder(path).build()?;
                let server = server.bind(path).await.map_err(Failure::server)?;
                Ok((Server::Socket(server), "READY".to_owned()))
            }
            (None, address) => self.bind_grpc(server, address.as_deref().unwrap_or_default()).await,
        }
    }

    /// A flag that would have no effect on a socket.
    fn of_grpc(&self) -> Option<&'static str> {
        let tls = self.cert.is_some().then_some("--cert");
        tls.or(self.plaintext.then_some("--plaintext"))
    }

    async fn bind_grpc(
        &self,
        server: PluginServerBuilder,
        address: &str,
    ) -> Result<(Server, String), Failure> {
        let mut config = match place::socket(address) {
            Some(_) if self.cert.is_some() => {
                return Err(Failure::usage(
                    "--cert is not for a Unix socket, which does not leave the machine; remove it",
                ));
            }
            Some(path) => GrpcServerConfig::unix(place::socket_path(path)?),
            None => GrpcServerConfig::tcp(tcp(address)?).plaintext(self.plaintext),
        };
        if let Some((cert, key)) = self.cert.as_ref().zip(self.key.as_ref()) {
            let mut tls = ServerTlsConfig::new(cert, key);
            if let Some(authorities) = &self.client_ca {
                tls = tls.require_clients(authorities, &self.client_name);
            }
            config = config.tls(tls);
        }
        if let Some(bytes) = self.max_frame_len {
            config = config.max_request_len(bytes);
        }
        let server = server
            .bind_grpc(config)
            .await
            .map_err(|error| Failure::server(error).told(words::of_servers))?;
        let at = match (server.local_addr(), server.socket_path()) {
            (Some(address), _) => address.to_string(),
            (None, Some(path)) => format!("unix:{}", path.display()),
            (None, None) => String::new(),
        };
        Ok((Server::Grpc(server), format!("READY {at}")))
    }
}

fn tcp(address: &str) -> Result<SocketAddr, Failure> {
    address.parse().map_err(|_| {
        Failure::usage(format!(
            "--grpc {address:?}: must be an address of this machine and a port, as in `127.0.0.1:50051`, `[::1]:50051` or, for all of them, `0.0.0.0:50051`; a name is none"
        ))
    })
}
