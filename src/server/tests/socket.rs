//! The socket file: whom it lets in, what it replaces, who removes it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use tempfile::tempdir;
use tokio::net::UnixStream;

use super::*;
use crate::server::ServerStats;

#[tokio::test]
async fn the_socket_is_for_its_owner_alone() {
    let directory = tempdir().unwrap();
    let server = echo().bind(directory.path().join("s")).await.unwrap();
    let metadata = fs::symlink_metadata(server.socket_path()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_mode_of_the_socket_can_be_chosen() {
    let directory = tempdir().unwrap();
    let server = echo().socket_mode(0o666).bind(directory.path().join("s")).await.unwrap();
    let metadata = fs::symlink_metadata(server.socket_path()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o666);
}

// Promise: P4
#[tokio::test]
async fn a_client_that_is_not_named_is_closed_and_not_served() {
    let directory = tempdir().unwrap();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for (i, (uids, gids)) in
        [([uid + 1].to_vec(), vec![]), (vec![], [gid + 1].to_vec()), (vec![uid], vec![gid + 1])]
            .into_iter()
            .enumerate()
    {
        let builder = echo().peer_uids(uids).peer_gids(gids);
        let server = builder.bind(directory.path().join(i.to_string())).await.unwrap();
        for _ in 0..3 {
            let stream = UnixStream::connect(server.socket_path()).await.unwrap();
            assert!(Client(stream).is_closed().await);
        }
        assert_eq!(server.stats(), ServerStats::default());
    }
}

// Promise: P4
#[tokio::test]
async fn a_client_that_is_named_is_served() {
    let directory = tempdir().unwrap();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let builder = echo().peer_uids([uid + 1, uid]).peer_gids([gid]);
    let server = builder.bind(directory.path().join("s")).await.unwrap();
    let mut client = Client(UnixStream::connect(server.socket_path()).await.unwrap());
    assert_eq!(client.echo(json!({"a": 1})).await, json!({"a": 1}));
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let _server = echo().bind(&path).await.unwrap();
    let mut client = Client(UnixStream::connect(&path).await.unwrap());
    assert_eq!(client.echo(json!({"a": 1})).await, json!({"a": 1}));
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_left_to_them() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let _first = echo().bind(&path).await.unwrap();
    let error = echo().bind(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let mut client = Client(UnixStream::connect(&path).await.unwrap());
    assert_eq!(client.echo(json!({})).await, json!({}));
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "precious").unwrap();
    let link = directory.path().join("link");
    symlink(directory.path().join("nowhere"), &link).unwrap();
    for path in [&file, &link, &directory.path().to_owned()] {
        let error = echo().bind(path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("not a socket"), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[tokio::test]
async fn a_missing_directory_and_a_path_beyond_the_limit_are_clear_errors() {
    let directory = tempdir().unwrap();
    let missing = directory.path().join("missing/s");
    let error = echo().bind(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().ends_with("missing/s: its directory does not exist"), "{error}");

    let long = directory.path().join("x".repeat(120));
    let error = echo().bind(&long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("xxx"), "{error}");
}

#[tokio::test]
async fn the_file_is_removed_on_shutdown_and_on_drop_and_left_behind_by_a_kill() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let bind = || echo().bind(&path);
    bind().await.unwrap().shutdown(Duration::from_secs(5)).await;
    assert!(!path.exists());
    drop(bind().await.unwrap());
    assert!(!path.exists());
    bind().await.unwrap().kill().await;
    assert!(path.exists());
    let refused = UnixStream::connect(&path).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let _again = bind().await.unwrap();
}

#[tokio::test]
async fn the_file_of_a_successor_is_not_removed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let first = echo().bind(&path).await.unwrap();
    // Kept, so that its inode cannot be given to the successor's file.
    fs::rename(&path, directory.path().join("moved")).unwrap();
    let _second = echo().bind(&path).await.unwrap();
    first.shutdown(Duration::from_secs(5)).await;
    let mut client = Client(UnixStream::connect(&path).await.unwrap());
    assert_eq!(client.echo(json!({})).await, json!({}));
}

#[test]
fn plugins_need_names_of_their_own() {
    let twice = echo().plugin("Echo", Handlers::new()).build().unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::InvalidInput);
    assert!(twice.to_string().contains("`Echo`"), "{twice}");
    let nameless = PluginServer::builder().plugin("", Handlers::new()).build().unwrap_err();
    assert_eq!(nameless.kind(), ErrorKind::InvalidInput);
}

/// Elsewhere a time of zero is none. Here it would close each connection at once.
#[test]
fn an_idle_timeout_of_zero_is_refused_with_what_is_meant_by_none() {
    let error = echo().idle_timeout(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`Duration::MAX`"), "{error}");
    echo().idle_timeout(Duration::MAX).build().unwrap();
}
