//! nginx as a proxy for gRPC.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Lines;

pub(super) fn arguments(command: &mut Command, dir: &Path) {
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("balancer.conf")).args(["-e", "stderr"]);
}

pub(super) fn configuration(
    dir: &Path,
    front: SocketAddr,
    servers: &[String],
    lines: &Lines,
) -> String {
    let dir = dir.display();
    let Lines { front: of_front, back, server, listen } = lines;
    let servers = servers.iter().map(|at| format!("server {at} max_fails=0 {server};\n        "));
    let servers = servers.collect::<String>();
    // Its own files would be the system's.
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = paths.map(|name| format!("{name}_temp_path {dir}/{name};\n    ")).concat();
    // A master that is root would give its workers to a user who cannot come here.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user}
daemon off;
worker_processes 1;
pid {dir}/pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {paths}
    client_max_body_size 5m;
    keepalive_requests 1000000;
    grpc_connect_timeout 1s;
    grpc_read_timeout 1h;
    grpc_send_timeout 1h;
    upstream plugins {{
        {servers}keepalive 64;
        {back}
    }}
    server {{
        listen {front} http2 {listen};
        {of_front}
        location / {{ grpc_pass grpc://plugins; }}
    }}
}}
"
    )
}
