//! Where a server is, as it is written in a configuration: text in, a value or the reason why
//! it is refused out.
//!
//! A reason never quotes the text, which may come from where it is not to be told.
//!
//! What is accepted has one meaning. gRPC's own libraries take any string that has a colon, and
//! fail with the first call.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;

/// A name that the system's resolver takes is no longer.
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// What means something else before a colon.
const SCHEMES: [&str; 5] = ["dns", "ipv4", "ipv6", "unix", "unix-abstract"];

/// Where a plugin's server is, or several servers that are as good as each other.
///
/// `Display` is what a configuration may have as its `target`; of a socket, what gRPC's own
/// libraries would take.
///
/// ```
/// use hookwire::config::{GrpcConfig, Target};
///
/// let grpc = GrpcConfig::builder().target("127.0.0.1:50051").build()?;
/// let [Target::Addresses(addresses)] = grpc.targets() else { panic!() };
/// assert!(addresses[0].ip().is_loopback());
/// assert_eq!(grpc.targets()[0].to_string(), "127.0.0.1:50051");
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A name: each of its addresses is a server.
    Host {
        /// In lower case.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// Addresses, each of a server; never empty.
    Addresses(Vec<SocketAddr>),
    /// A Unix socket on which a server speaks gRPC.
    Unix(PathBuf),
}

impl Target {
    /// Reads `host:port`, `[v6]:port`, `dns:///host:port`, `ipv4:a:port,b:port` or
    /// `ipv6:[a]:port,[b]:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        if text.contains(|char: char| char.is_control() || char.is_whitespace()) {
            return Err("must not contain spaces or control characters".into());
        }
        if let Some(list) = text.strip_prefix("ipv4:") {
            return addresses(list, SocketAddr::is_ipv4, "ipv4:10.0.0.1:50051,10.0.0.2:50051");
        }
        if let Some(list) = text.strip_prefix("ipv6:") {
            return addresses(list, SocketAddr::is_ipv6, "ipv6:[fd00::1]:50051,[fd00::2]:50051");
        }
        if text.contains(',') {
            return Err("is one server; several are a list, `targets`".into());
        }
        match text.strip_prefix("dns:") {
            Some(name) => match name.strip_prefix("///") {
                Some(name) => one(name),
                None => Err("must be `dns:///host:port`: names are resolved by the system, and no other DNS server can be named".into()),
            },
            None => scheme(text).map_or_else(|| one(text), Err),
        }
    }

    /// True if nothing that is sent there leaves this machine. A name never counts: what it
    /// resolves to is not known, and may change.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Host { .. } => false,
            Self::Addresses(addresses) => {
                addresses.iter().all(|address| address.ip().to_canonical().is_loopback())
            }
            Self::Unix(_) => true,
        }
    }
}

/// What is wrong with a target that names a scheme which is not known here, if it does.
fn scheme(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let told = match scheme {
        "unix" | "unix-abstract" => "names a Unix socket; set `uds` to its path instead",
        "http" | "grpc" if rest.starts_with('/') => {
            "must be `host:port`, without a scheme; for plaintext beyond this machine, set `plaintext: true`"
        }
        "https" | "grpcs" if rest.starts_with('/') => {
            "must be `host:port`, without a scheme; for TLS, set `tls: {}`"
        }
        _ if rest.starts_with("//") => {
            "must be `host:port`, `[v6]:port` or `dns:///host:port`; no other scheme is known"
        }
        _ => return None,
    };
    Some(told.into())
}

/// A host or an address, and its port.
fn one(text: &str) -> Result<Target, String> {
    if text.starts_with('/') {
        return Err("is a path; of a Unix socket it is `uds`".into());
    }
    if text.starts_with('[') {
        return v6(text).map(|address| Target::Addresses(vec![address]));
    }
    if text.parse::<Ipv6Addr>().is_ok() || text.matches(':').count() > 1 {
        return Err("an IPv6 address must be in brackets, with its port: `[::1]:50051`".into());
    }
    let Some((host, digits)) = text.split_once(':') else {
        return Err("has no port; write it behind the host, as in `guard.example:50051`".into());
    };
    let port = port(digits)?;
    match host.parse::<Ipv4Addr>() {
        Ok(ip) => usable(SocketAddrV4::new(ip, port).into()).map(|ip| Target::Addresses(vec![ip])),
        Err(_) => match host_name(host)? {
            // It would be written as that, and read as another thing.
            host if SCHEMES.contains(&&*host) => Err(
                "has a scheme where its host should be; schemes are in lower case, and a host of that name is written with a dot behind it".into(),
            ),
            host => Ok(Target::Host { host, port }),
        },
    }
}

fn addresses(
    list: &str,
    is_of_family: fn(&SocketAddr) -> bool,
    example: &str,
) -> Result<Target, String> {
    let address = |text: &str| match one(text) {
        Ok(Target::Addresses(addresses)) if addresses.iter().all(is_of_family) => Ok(addresses),
        Ok(_) => Err(format!("must be a list of such addresses, as in `{example}`")),
        Err(reason) => Err(format!("{reason}; it must be a list as in `{example}`")),
    };
    let addresses = list.split(',').map(address).collect::<Result<Vec<_>, _>>()?.concat();
    let twice = addresses.iter().enumerate().find(|(at, one)| addresses[..*at].contains(one));
    match twice {
        Some(_) => Err("has an address twice".into()),
        None => Ok(Target::Addresses(addresses)),
    }
}

fn v6(text: &str) -> Result<SocketAddr, String> {
    let Some((host, rest)) = text[1..].split_once(']') else {
        return Err("has no `]` behind the IPv6 address".into());
    };
    let Some(digits) = rest.strip_prefix(':') else {
        return Err("has no port; write it behind the address, as in `[::1]:50051`".into());
    };
    let port = port(digits)?;
    // With its scope, if it has one, which must be a number.
    let address = format!("[{host}]:{port}").parse::<SocketAddrV6>();
    let address = address.map_err(|_| "has no IPv6 address in its brackets".to_owned())?;
    usable(address.into())
}

/// The address of all interfaces is one to listen at.
fn usable(address: SocketAddr) -> Result<SocketAddr, String> {
    match address.ip() {
        ip if ip.is_unspecified() => Err(
            "is an address to listen at; connect to `127.0.0.1` or `[::1]`, or to the server's own"
                .into(),
        ),
        ip if ip.is_multicast() => Err("is a multicast address, not that of a server".into()),
        _ => Ok(address),
    }
}

fn port(digits: &str) -> Result<u16, String> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && is_number => Ok(port),
        _ => Err("must end with a port, a number from 1 to 65535".into()),
    }
}

/// A host name in lower case, if it can be one.
///
/// The system's resolver would take `127.1`, `2130706433` and `0x7f000001` for addresses: they
/// are neither names here nor addresses.
pub(crate) fn host_name(host: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name that ends with a dot is looked up as it is, without the system's search list.
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = |label: &str| {
        let hex = label.strip_prefix("0x").or(label.strip_prefix("0X"));
        match hex {
            Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => label.bytes().all(|byte| byte.is_ascii_digit()),
        }
    };
    if name.is_empty() {
        Err("has no host before its port".into())
    } else if !name.is_ascii() {
        Err("must have its name in ASCII, as `xn--…`".into())
    } else if name.len() > MAX_HOST || !name.split('.').all(is_label) {
        Err("has no host name: letters, digits, `-`, `_` and dots, at most 63 characters between dots and 253 in all".into())
    } else if is_number(last) {
        Err("ends like an address and is none; an IPv4 address has four numbers up to 255".into())
    } else {
        Ok(host.to_ascii_lowercase())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Addresses(addresses) => {
                if let [_, second, ..] = &addresses[..] {
                    f.write_str(if second.is_ipv4() { "ipv4:" } else { "ipv6:" })?;
                }
                for (at, address) in addresses.iter().enumerate() {
                    write!(f, "{}{address}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
