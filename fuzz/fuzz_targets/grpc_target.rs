//! Any text as where a server is: what is accepted has one meaning, is written as it is read,
//! and can be called and asked for its certificate; and no refusal quotes what it refuses.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use hookwire::config::Target;
use hookwire::fuzz_bridge::grpc::{is_local, parse_target};
use http::uri::Authority;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::ServerName;

/// No reason's own words have it.
const SECRET: &str = "hunter2";

fn check_address(address: &SocketAddr) {
    let ip = address.ip();
    assert!(address.port() > 0 && !ip.is_unspecified() && !ip.is_multicast(), "{address}");
    // As it stands in a request.
    let authority = SocketAddr::new(ip, address.port()).to_string();
    assert!(authority.parse::<Authority>().is_ok(), "{authority}");
}

fn check_host(host: &str, port: u16) {
    assert!(port > 0 && (1..=254).contains(&host.len()), "{host}");
    assert!(host.is_ascii() && !host.contains(|c: char| c.is_ascii_uppercase()), "{host}");
    assert!(host.parse::<IpAddr>().is_err(), "{host} is an address");
    let name = host.trim_end_matches('.');
    let authority = format!("{name}:{port}").parse::<Authority>().expect("an authority");
    assert_eq!((authority.host(), authority.port_u16()), (name, Some(port)));
    assert!(matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_))), "{name}");
}

fn check(text: &str) {
    let target = match parse_target(text) {
        Ok(target) => target,
        Err(reason) => {
            assert!(!reason.is_empty() && !reason.contains(SECRET), "{reason}");
            return;
        }
    };
    let written = target.to_string();
    assert_eq!(parse_target(&written), Ok(target.clone()), "{text} is written as {written}");
    match &target {
        Target::Host { host, port } => {
            check_host(host, *port);
            assert!(!is_local(&target), "nobody knows where a name leads");
        }
        Target::Addresses(addresses) => {
            assert!(!addresses.is_empty());
            addresses.iter().for_each(check_address);
            for (at, address) in addresses.iter().enumerate() {
                assert!(!addresses[..at].contains(address), "{address} twice");
            }
            let leaves = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
            assert_eq!(is_local(&target), !addresses.iter().any(leaves));
        }
        Target::Unix(path) => panic!("{} is no target", path.display()),
        other => panic!("{other:?} is not known here"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check(text);
    check(&text.replace('?', SECRET));
});
