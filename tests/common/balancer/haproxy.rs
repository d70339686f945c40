//! HAProxy with HTTP/2 on both sides.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Lines;

pub(super) fn arguments(command: &mut Command, dir: &Path) {
    command.arg("-db").arg("-f").arg(dir.join("balancer.conf"));
}

pub(super) fn configuration(
    dir: &Path,
    front: SocketAddr,
    servers: &[String],
    lines: &Lines,
) -> String {
    let dir = dir.display();
    let Lines { front: of_front, back, server, listen } = lines;
    let listen = if listen.is_empty() { "proto h2" } else { listen };
    let servers = servers.iter().enumerate();
    let servers = servers
        .map(|(n, at)| format!("    server s{n} {at} proto h2 check inter 200ms {server}\n"));
    let servers = servers.collect::<String>();
    format!(
        "global
    stats socket {dir}/admin.sock mode 600 level admin
    log stderr format raw local0
defaults
    mode http
    timeout connect 1s
    timeout client 1h
    timeout server 1h
frontend plugins
    bind {front} {listen}
    {of_front}
    default_backend servers
backend servers
    balance roundrobin
    retries 3
    option redispatch 1
    {back}
{servers}"
    )
}
