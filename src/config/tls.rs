//! How the way to a gRPC server is secured: names of files, never what is in them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::rule::{Held, file, replaced, some, some_path, switch, text};
use super::section::Section;
use crate::grpc::target::host_name;

const PREFIX: &str = "grpc.tls.";

pub(super) const KEYS: &[&str] =
    &["certfile", "keyfile", "ca_bundle", "keyfile_password", "verify"];

/// TLS to a plugin's gRPC servers. Feature `grpc`.
///
/// The server's certificate is always verified. The files are PEM, and are read whenever a
/// connection is made, so certificates that are replaced on disk are picked up. As it is made,
/// it trusts the authorities that the system trusts and has no certificate of its own.
///
/// ```
/// use hookwire::GrpcConfig;
/// use hookwire::config::TlsConfig;
///
/// let tls = TlsConfig::new()
///     .with_ca_bundle("/etc/gateway/plugins-ca.pem")
///     .with_client_certificate("/etc/gateway/gateway.pem", "/etc/gateway/gateway.key")
///     .with_server_name("guard.internal");
/// let grpc = GrpcConfig::builder().target("10.0.0.7:50051").tls(tls).build()?;
/// assert!(grpc.tls().is_some());
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[must_use]
pub struct TlsConfig {
    #[serde(serialize_with = "some_path", skip_serializing_if = "Option::is_none")]
    pub(crate) certfile: Option<PathBuf>,
    #[serde(serialize_with = "some_path", skip_serializing_if = "Option::is_none")]
    pub(crate) keyfile: Option<PathBuf>,
    #[serde(serialize_with = "some_path", skip_serializing_if = "Option::is_none")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// In a file it stands beside this section.
    #[serde(skip)]
    pub(crate) server_name: Option<String>,
}

impl TlsConfig {
    /// The authorities that the system trusts, and no certificate for the client.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this file, and no others.
    pub fn with_ca_bundle(mut self, path: impl AsRef<Path>) -> Self {
        self.ca_bundle = Some(path.as_ref().into());
        self
    }

    /// Shows the server this certificate (with those that it was issued with), and proves it
    /// with this key, which must not be encrypted. One file may hold both.
    pub fn with_client_certificate(
        mut self,
        certfile: impl AsRef<Path>,
        keyfile: impl AsRef<Path>,
    ) -> Self {
        self.certfile = Some(certfile.as_ref().into());
        self.keyfile = Some(keyfile.as_ref().into());
        self
    }

    /// Expects this name, or address, in the server's certificate.
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The client's certificate.
    #[must_use]
    pub fn certfile(&self) -> Option<&Path> {
        self.certfile.as_deref()
    }

    /// The key of the client's certificate.
    #[must_use]
    pub fn keyfile(&self) -> Option<&Path> {
        self.keyfile.as_deref()
    }

    /// The authorities that are trusted; `None`: those that the system trusts.
    #[must_use]
    pub fn ca_bundle(&self) -> Option<&Path> {
        self.ca_bundle.as_deref()
    }

    /// The name, or address, that the server's certificate must have; `None`: what the target
    /// names.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

/// The section, if there is one.
pub(super) fn read(section: &mut Section<'_>) -> Option<TlsConfig> {
    let mut name = None;
    section.read("server_name", &mut name, some(server_name));
    let keys = match section.get("tls") {
        Some(Value::Object(keys)) => keys,
        Some(_) => {
            // Whatever was meant, it may be a secret.
            section.refuse_key(
                "tls",
                "must be an object; `tls: {}` is TLS with the authorities that the system trusts",
            );
            return None;
        }
        None => {
            if name.is_some() {
                section.refuse("server_name", "is the name in the server's certificate, and there is no `tls`; add `tls: {}`, or remove it");
            }
            return None;
        }
    };
    let mut tls = TlsConfig { server_name: name, ..TlsConfig::default() };
    let section = &mut section.within(keys, PREFIX);
    read_path(section, "certfile", &mut tls.certfile);
    read_path(section, "keyfile", &mut tls.keyfile);
    read_path(section, "ca_bundle", &mut tls.ca_bundle);
    for (one, other) in [("certfile", "keyfile"), ("keyfile", "certfile")] {
        if section.get(one).is_some() && section.get(other).is_none() {
            section.refuse_key(other, format!("missing, and `{one}` is set: a client's certificate needs both (one file may hold them)"));
        }
    }
    if section.get("keyfile_password").is_some() {
        section.refuse_key("keyfile_password", "encrypted keys are not read; decrypt the key once, into a file that only the gateway's user can read, and remove this");
    }
    let mut verify = true;
    section.read("verify", &mut verify, switch);
    if !verify {
        section.refuse("verify", "must not be false: anybody on the way could pose as the server; name its authority in `ca_bundle`, and the name in its certificate in `server_name`");
    }
    for (key, nearest) in section.unknown(&[KEYS]) {
        let reason = match meant(key).or(nearest) {
            _ if key == "server_name" => "stands beside `tls`, not in it".to_owned(),
            Some(known) => format!("unknown key, did you mean `{known}`?"),
            None => "unknown key".to_owned(),
        };
        section.refuse_key(key, reason);
    }
    Some(tls)
}

/// What others call these keys. By their letters, some are nearer to one that is not meant.
fn meant(key: &str) -> Option<&'static str> {
    match key {
        "ca" | "cacert" | "ca_cert" | "ca_certs" | "ca_certificate" | "ca_file" | "cafile"
        | "root_ca" => Some("ca_bundle"),
        "client_cert" | "client_certificate" => Some("certfile"),
        "client_key" | "private_key" => Some("keyfile"),
        "insecure" => Some("verify"),
        _ => None,
    }
}

/// The path of a file. A key that was written in its place is not told.
fn read_path(section: &mut Section<'_>, key: &str, held: &mut Option<PathBuf>) {
    let Some(value) = section.get(key) else { return };
    let text = value.as_str().unwrap_or_default();
    match file(value) {
        _ if text.contains("-----BEGIN") => section.refuse_key(key, INLINE),
        Ok(path) => *held = Some(path),
        Err(reason) if key == "keyfile" && text.len() >= SHORTEST_KEY => {
            section.refuse_key(key, reason);
        }
        Err(reason) => section.refuse(key, reason),
    }
}

const INLINE: &str = "must be the path of a file, and here is what should be in it; write that to a file, which \
     only the gateway's user can read";

/// Of a private key in base64.
const SHORTEST_KEY: usize = 64;

/// A host name or an address, as it may stand in a certificate.
fn server_name(value: &Value) -> Held<String> {
    let name = text(value)?;
    replaced(value)?;
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(name);
    }
    match host_name(&name) {
        Ok(name) => Ok(name),
        Err(_) => Err("must be a host name or an address, without a port".into()),
    }
}
