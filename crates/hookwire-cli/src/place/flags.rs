//! The flags for servers over gRPC: where they are, and how the way there is secured.

use std::path::{Path, PathBuf};

use clap::Args;
use hookwire::config::{GrpcBuilder, Problem, TlsConfig};
use hookwire::{ConfigError, GrpcConfig};

use super::words;
use crate::failure::Failure;

// Named as in grpcurl, ghz and curl, where these have a flag for it.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(crate) struct GrpcFlags {
    /// A plugin server that speaks gRPC, instead of a socket: host:port, [v6]:port,
    /// dns:///host:port, ipv4:A:PORT,B:PORT, ipv6:[A]:PORT,[B]:PORT, or unix:PATH. Several that
    /// are as good as each other: repeat it, or put commas between them. Every address of a
    /// name is a server.
    #[arg(long = "grpc", value_name = "TARGET")]
    targets: Vec<String>,
    /// TLS, with the authorities that this system trusts. Each of --cacert, --cert and
    /// --server-name asks for TLS too. Other than grpcurl, which takes TLS for granted, nothing
    /// is taken for granted here: without TLS, addresses of this machine (127.0.0.1, [::1])
    /// are spoken to in plaintext, and all others refused.
    #[arg(long)]
    tls: bool,
    /// The authorities that the server's certificate must be of, in PEM; no others are trusted.
    #[arg(long, value_name = "FILE", alias = "ca")]
    cacert: Option<PathBuf>,
    /// The certificate to show to the server, in PEM, with those that it was issued with.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of --cert, in PEM, not encrypted; one file may hold both.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// What the server's certificate must be for, if that is not the host of the target: a
    /// name or an address.
    #[arg(long, value_name = "NAME", alias = "servername")]
    server_name: Option<String>,
    /// Plaintext to other machines too: whoever is on the way can read and change calls, so only
    /// where something else encrypts, such as a service mesh.
    #[arg(long, conflicts_with_all = ["tls", "cacert", "cert", "key", "server_name"])]
    plaintext: bool,
    /// Refused, for it is plaintext in some clients and TLS with anybody in others.
    #[arg(long, hide = true)]
    insecure: bool,
}

impl GrpcFlags {
    /// Refuses flags that have no effect on a socket: whoever gives one takes the way for secured.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        let given = [
            ("--tls", self.tls),
            ("--cacert", self.cacert.is_some()),
            ("--cert", self.cert.is_some()),
            ("--key", self.key.is_some()),
            ("--server-name", self.server_name.is_some()),
            ("--plaintext", self.plaintext),
            ("--insecure", self.insecure),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((flag, _)) => Err(Failure::usage(format!(
                "{flag} is about servers over gRPC, and there is no --grpc; add it, or remove {flag}"
            ))),
        }
    }

    pub(super) fn with_targets(&self, targets: &str) -> Self {
        Self { targets: vec![targets.to_owned()], ..self.clone() }
    }

    /// As they are written in one line.
    pub(crate) fn targets(&self) -> Vec<&str> {
        let each = |text| match is_list(text) {
            true => vec![text],
            false => text.split(',').map(str::trim).collect(),
        };
        self.targets.iter().flat_map(|text| each(text)).collect()
    }

    /// What they say, not checked yet.
    pub(super) fn builder(&self) -> Result<GrpcBuilder, Failure> {
        if self.insecure {
            return Err(Failure::usage(
                "--insecure means plaintext in ghz, and a server that may be anybody in grpcurl; say --plaintext for the first, and for the second name the server's own authority in --cacert",
            ));
        }
        let targets = self.targets();
        if let Some(path) = targets.iter().find(|target| target.starts_with('/')) {
            return Err(Failure::usage(format!(
                "--grpc {path:?} is a path; write `--grpc unix:{path}` for a socket on which a server speaks gRPC, and `--socket {path}` for any other"
            )));
        }
        if targets.iter().any(|target| target.starts_with("unix-abstract:")) {
            return Err(Failure::usage(
                "--grpc unix-abstract:… is a socket without a path; let the server listen at a path, and write `unix:/path`",
            ));
        }
        let mut grpc = match (&targets[..], targets.iter().find_map(|target| socket(target))) {
            ([_], Some(path)) => GrpcConfig::builder().uds(socket_path(path)?),
            (_, Some(path)) => {
                return Err(Failure::usage(format!(
                    "--grpc unix:{path} cannot stand beside other targets"
                )));
            }
            ([target], None) => GrpcConfig::builder().target(*target),
            (targets, None) => GrpcConfig::builder().targets(targets.iter().copied()),
        };
        if let Some(tls) = self.security()? {
            grpc = grpc.tls(tls);
        }
        Ok(if self.plaintext { grpc.plaintext(true) } else { grpc })
    }

    fn security(&self) -> Result<Option<TlsConfig>, Failure> {
        let Self { tls, cacert, cert, key, server_name, .. } = self;
        if !tls && cacert.is_none() && cert.is_none() && server_name.is_none() {
            return Ok(None);
        }
        let mut tls = TlsConfig::new();
        if let Some(path) = cacert {
            tls = tls.with_ca_bundle(file("--cacert", path)?);
        }
        if let Some((cert, key)) = cert.as_ref().zip(key.as_ref()) {
            tls = tls.with_client_certificate(file("--cert", cert)?, file("--key", key)?);
        }
        if let Some(name) = server_name {
            tls = tls.with_server_name(name);
        }
        Ok(Some(tls))
    }

    /// Why the configuration that they make is refused.
    pub(super) fn refused(&self, error: &ConfigError) -> String {
        let told: Vec<_> = error.problems().iter().map(|problem| self.problem(problem)).collect();
        told.join("; ")
    }

    fn problem(&self, problem: &Problem) -> String {
        let (flag, reason) = (words::flag(problem.field()), words::of_clients(problem.reason()));
        // The configuration counts what here is written out.
        let item = reason.strip_prefix("item ").and_then(|rest| rest.split_once(": "));
        let item = item.and_then(|(number, reason)| {
            let at = number.parse::<usize>().ok()?.checked_sub(1)?;
            Some((*self.targets().get(at)?, reason.to_owned()))
        });
        match (item, problem.value()) {
            // A URI may have a password in it.
            (Some((target, reason)), _) if !target.contains('@') => {
                format!("{flag} {target:?}: {reason}")
            }
            (Some((_, reason)), _) => format!("{flag}: {reason}"),
            (None, Some(value)) => format!("{flag} {value}: {reason}"),
            (None, None) => format!("{flag}: {reason}"),
        }
    }
}

/// Addresses of several servers in one target, with commas of its own.
fn is_list(target: &str) -> bool {
    target.starts_with("ipv4:") || target.starts_with("ipv6:")
}

/// What stands behind `unix:`.
pub(crate) fn socket(target: &str) -> Option<&str> {
    target.strip_prefix("unix:")
}

/// The socket that is meant, as gRPC's own libraries read it.
pub(crate) fn socket_path(text: &str) -> Result<PathBuf, Failure> {
    let path = match text.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(path) => {
            return Err(Failure::usage(format!(
                "--grpc unix://{path} names a host before the path; write `unix:/{path}`"
            )));
        }
        None => text,
    };
    file("--grpc unix:", Path::new(path))
}

/// A path that holds wherever it is read: a command line is about the directory that it is
/// written in.
pub(crate) fn file(flag: &str, path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("{flag} must be a path: {error}")))
}
