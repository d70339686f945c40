//! What is at a plugin's path.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use fault_server::FaultServer;

use super::{GUARD, Site, serve_at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_absent_or_left_by_a_dead_server_is_told() {
    let site = Site::new();
    site.guard(GUARD).await.fails(&["there is no /", "p.sock", "start the plugin's server"]);
    let below = site.0.path().join("no/such/p.sock");
    site.guard_at(&below, GUARD).await.fails(&["there is no directory /", "/no "]);
    std::os::unix::fs::symlink(&below, site.socket()).unwrap();
    site.guard(GUARD).await.fails(&["is a symbolic link to nothing"]);

    let mut server = FaultServer::honest();
    server.kill().await;
    site.guard_at(&server.path(), GUARD)
        .await
        .fails(&["Connection refused", "nobody listens there"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_socket_is_told() {
    let server = FaultServer::honest();
    server.replace_with_file();
    let site = Site::new();
    site.guard_at(&server.path(), GUARD)
        .await
        .fails(&["is a regular file, no socket", "correct `unix_socket.path`"]);
    server.replace_with_directory();
    site.guard_at(&server.path(), GUARD).await.fails(&["is a directory, no socket"]);
}

/// By mode and owner, for permissions do not bind root, whom tests may run as.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_nobody_may_connect_to_is_told() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    fs::set_permissions(site.socket(), Permissions::from_mode(0o444)).unwrap();
    site.guard(GUARD).await.fails(&[
        "nobody but root may connect",
        "mode 0444",
        "run the gateway as user",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_anybody_can_write_to_is_warned_of() {
    let site = Site::new();
    let open = site.0.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let socket = open.join("p.sock");
    let _server = serve_at(&socket, "Guard").await;
    let diagnosis = site.guard_at(&socket, GUARD).await;
    diagnosis.tells("WARN", &["anybody can put another socket into", "`trust_path: true`"]);
    assert_eq!(diagnosis.plain.code, Some(0));

    // Then the gateway looks by itself, and connects to nobody.
    let diagnosis = site.entry(&socket, GUARD, "trust_path: true").await;
    diagnosis.fails(&["the plugin's server is not trusted", "/open", "has mode 0777"]);
    assert!(!diagnosis.plain.stdout.contains("anybody can put another socket"));
}
