//! Who is on the other side: a server that is not trusted is sent nothing.
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::calls::{call, config, eventually, in_time, lazy, socket};
use common::knobs::Knobs;
use fault_server::FaultServer;
use hookwire::{ErrorKind, PluginError, PluginHandle, Sent};
use rustix::process::{getegid, geteuid};

fn uid() -> u32 {
    geteuid().as_raw()
}

fn gid() -> u32 {
    getegid().as_raw()
}

/// A server that counts the bytes it is sent.
fn counting() -> (FaultServer, Arc<AtomicUsize>) {
    let bytes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&bytes);
    let server = FaultServer::start(move |mut connection| {
        let bytes = Arc::clone(&counted);
        async move {
            loop {
                connection.bytes(1).await?;
                bytes.fetch_add(1, SeqCst);
            }
        }
    });
    (server, bytes)
}

/// How a call through this socket is refused.
async fn refused(socket: Knobs) -> PluginError {
    let handle = lazy(socket);
    let error = in_time("a refused call", call(&handle, "secret")).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("untrusted", Sent::No), "{error}");
    assert_eq!(handle.stats().bytes_sent, 0);
    assert_eq!(handle.stats().refused, 1);
    error
}

/// What is refused about the path of a server that listens at `path`.
async fn refused_path(path: &Path) -> String {
    let error = refused(socket(path).trust_path(true)).await.to_string();
    let Some((_, told)) = error.split_once("failed): ") else { panic!("{error}") };
    let (told, rest) = told.split_once(" (`trust_path`); the next attempt is ").unwrap();
    assert!(rest.ends_with("[not sent: the hook did not run]"), "{error}");
    told.to_owned()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The directory that a server's socket is in.
fn directory(server: &FaultServer) -> PathBuf {
    server.path().parent().unwrap().to_owned()
}

// --- P1: peer_uids, peer_gids ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_server_of_another_user_or_group_is_sent_no_byte() {
    for (own, group) in [(uid(), false), (gid(), true)] {
        let (server, bytes) = counting();
        let other = [own + 1, own + 2];
        let socket = socket(server.path());
        let socket = if group { socket.peer_gids(other) } else { socket.peer_uids(other) };
        let error = refused(socket).await.to_string();
        let told = if group {
            format!("is of group {own}, expected one of {}, {} (`peer_gids`)", own + 1, own + 2)
        } else {
            format!("is user {own}, expected one of {}, {} (`peer_uids`)", own + 1, own + 2)
        };
        assert!(error.contains(&told), "{error}");
        // It is tried again, as a server that is down.
        let record = server.record();
        record.wait_for(|seen| seen.connections() >= 3 && seen.ended == seen.connections()).await;
        assert_eq!(bytes.load(SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_server_of_an_expected_user_and_group_is_called() {
    let server = FaultServer::honest();
    let handle = lazy(socket(server.path()).peer_uids([uid() + 1, uid()]).peer_gids([gid()]));
    assert_eq!(call(&handle, "mine").await.unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_both_lists_must_have_the_server() {
    let server = FaultServer::honest();
    let error = refused(socket(server.path()).peer_uids([uid()]).peer_gids([gid() + 1])).await;
    assert!(error.to_string().contains("`peer_gids`"), "{error}");
    let error = refused(socket(server.path()).peer_uids([uid() + 1]).peer_gids([gid()])).await;
    assert!(error.to_string().contains("`peer_uids`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_start_with_an_untrusted_server_fails_and_asks_it_nothing() {
    let (server, bytes) = counting();
    let socket = socket(server.path()).peer_uids([uid() + 1]);
    let error = PluginHandle::connect(config(socket)).await.unwrap_err();
    assert_eq!(error.reason(), "untrusted");
    assert!(error.is_retryable(), "the server may be replaced by the right one");
    assert_eq!(bytes.load(SeqCst), 0);
}

// --- P2: trust_path ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_socket_that_nobody_else_could_have_put_there_is_called() {
    let server = FaultServer::honest();
    for mode in [0o700, 0o755] {
        set_mode(&directory(&server), mode);
        let handle = lazy(socket(server.path()).trust_path(true));
        assert_eq!(call(&handle, "mine").await.unwrap(), "mine");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_symbolic_link_is_refused_at_the_end_and_on_the_way() {
    let server = FaultServer::honest();
    let link = directory(&server).join("link");
    symlink(server.path(), &link).unwrap();
    let told = refused_path(&link).await;
    assert_eq!(told, format!("{} is a symbolic link, expected a socket", link.display()));

    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(directory(&server), &link).unwrap();
    let told = refused_path(&link.join("plugin.sock")).await;
    assert_eq!(told, format!("{} is a symbolic link, expected a directory", link.display()));
    assert_eq!(server.record().seen().connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_directory_that_others_can_write_to_is_refused() {
    let server = FaultServer::honest();
    let directory = directory(&server);
    for mode in [0o777, 0o770, 0o707, 0o1777] {
        set_mode(&directory, mode);
        let told = refused_path(&server.path()).await;
        let expected = "expected no write access for group and others";
        assert_eq!(told, format!("{} has mode {mode:04o}, {expected}", directory.display()));
    }
    assert_eq!(server.record().seen().connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_directory_further_up_may_be_sticky_and_not_just_writable() {
    let server = FaultServer::honest();
    let inner = directory(&server).join("inner");
    fs::create_dir(&inner).unwrap();
    set_mode(&inner, 0o700);
    fs::rename(server.path(), inner.join("plugin.sock")).unwrap();
    set_mode(&directory(&server), 0o1777);
    let handle = lazy(socket(inner.join("plugin.sock")).trust_path(true));
    assert_eq!(call(&handle, "mine").await.unwrap(), "mine");
    set_mode(&directory(&server), 0o777);
    let told = refused_path(&inner.join("plugin.sock")).await;
    assert!(told.starts_with(&format!("{} has mode 0777", directory(&server).display())), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_what_is_no_socket_is_refused_and_what_is_not_there_is_absent() {
    let mut server = FaultServer::honest();
    server.kill().await;
    server.replace_with_file();
    let told = refused_path(&server.path()).await;
    assert!(told.ends_with("is a file of another kind, expected a socket"), "{told}");
    server.replace_with_directory();
    let told = refused_path(&server.path()).await;
    assert!(told.ends_with("is a directory, expected a socket"), "{told}");

    server.remove_socket();
    let handle = lazy(socket(server.path()).trust_path(true));
    assert_eq!(call(&handle, "x").await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.restart();
    eventually("the plugin is found again", || handle.state().is_ready()).await;
    assert_eq!(call(&handle, "back").await.unwrap(), "back");
}

/// Files can be given to another user by root alone: elsewhere there is nothing to try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_socket_of_another_user_is_refused_unless_that_user_is_named() {
    let server = FaultServer::honest();
    let stranger = uid() + 1;
    if chown(server.path(), Some(stranger), None).is_err() {
        return;
    }
    let told = refused_path(&server.path()).await;
    let path = server.path();
    assert!(told.starts_with(&format!("{} belongs to user {stranger}", path.display())), "{told}");
    let named = socket(&path).trust_path(true).peer_uids([stranger, uid()]);
    assert_eq!(call(&lazy(named), "mine").await.unwrap(), "mine");
}

// --- P3 ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_server_that_becomes_trusted_is_found_in_the_background() {
    let server = FaultServer::honest();
    set_mode(&directory(&server), 0o777);
    let handle = lazy(socket(server.path()).trust_path(true));
    assert_eq!(call(&handle, "first").await.unwrap_err().reason(), "untrusted");
    set_mode(&directory(&server), 0o700);
    eventually("the plugin is found again", || handle.state().is_ready()).await;
    assert_eq!(call(&handle, "second").await.unwrap(), "second");
}
