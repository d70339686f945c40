//! Who is on the other side: a server that is not trusted is sent nothing.
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::calls::{at, call, config, eventually, in_time, knobs, lazy};
use common::knobs::Knobs;
use common::over::{Over, apply, both};
use fault_server::FaultServer;
use hookwire::{ErrorKind, PluginError, PluginHandle, Sent};
use rustix::process::{getegid, geteuid};

fn uid() -> u32 {
    geteuid().as_raw()
}

fn gid() -> u32 {
    getegid().as_raw()
}

/// A server that counts the bytes it is sent, whatever they are meant for.
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
async fn refused_path(over: Over, path: &Path) -> String {
    let error = refused(at(over, path).trust_path(true)).await.to_string();
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

#[apply(both)]
async fn p1_a_server_of_another_user_or_group_is_sent_no_byte(over: Over) {
    for (own, group) in [(uid(), false), (gid(), true)] {
        let (server, bytes) = counting();
        let other = [own + 1, own + 2];
        let way = at(over, server.path());
        let way = if group { way.peer_gids(other) } else { way.peer_uids(other) };
        let error = refused(way).await.to_string();
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

#[apply(both)]
async fn p1_a_server_of_an_expected_user_and_group_is_called(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server).peer_uids([uid() + 1, uid()]).peer_gids([gid()]));
    assert_eq!(call(&handle, "mine").await.unwrap(), "mine");
}

#[apply(both)]
async fn p1_both_lists_must_have_the_server(over: Over) {
    let server = over.honest();
    let error = refused(knobs(&server).peer_uids([uid()]).peer_gids([gid() + 1])).await;
    assert!(error.to_string().contains("`peer_gids`"), "{error}");
    let error = refused(knobs(&server).peer_uids([uid() + 1]).peer_gids([gid()])).await;
    assert!(error.to_string().contains("`peer_uids`"), "{error}");
}

#[apply(both)]
async fn p1_a_start_with_an_untrusted_server_fails_and_asks_it_nothing(over: Over) {
    let (server, bytes) = counting();
    let way = at(over, server.path()).peer_uids([uid() + 1]);
    let error = PluginHandle::connect(config(way)).await.unwrap_err();
    assert_eq!(error.reason(), "untrusted");
    assert!(error.is_retryable(), "the server may be replaced by the right one");
    assert_eq!(bytes.load(SeqCst), 0);
}

// --- P2: trust_path ---

#[apply(both)]
async fn p2_a_socket_that_nobody_else_could_have_put_there_is_called(over: Over) {
    let server = over.honest();
    for mode in [0o700, 0o755] {
        set_mode(&directory(&server), mode);
        let handle = lazy(knobs(&server).trust_path(true));
        assert_eq!(call(&handle, "mine").await.unwrap(), "mine");
    }
}

#[apply(both)]
async fn p2_a_symbolic_link_is_refused_at_the_end_and_on_the_way(over: Over) {
    let server = over.honest();
    let link = directory(&server).join("link");
    symlink(server.path(), &link).unwrap();
    let told = refused_path(over, &link).await;
    assert_eq!(told, format!("{} is a symbolic link, expected a socket", link.display()));

    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(directory(&server), &link).unwrap();
    let told = refused_path(over, &link.join("plugin.sock")).await;
    assert_eq!(told, format!("{} is a symbolic link, expected a directory", link.display()));
    assert_eq!(server.record().seen().connections(), 0);
}

#[apply(both)]
async fn p2_a_directory_that_others_can_write_to_is_refused(over: Over) {
    let server = over.honest();
    let directory = directory(&server);
    for mode in [0o777, 0o770, 0o707, 0o1777] {
        set_mode(&directory, mode);
        let told = refused_path(over, &server.path()).await;
        let expected = "expected no write access for group and others";
        assert_eq!(told, format!("{} has mode {mode:04o}, {expected}", directory.display()));
    }
    assert_eq!(server.record().seen().connections(), 0);
}

#[apply(both)]
async fn p2_a_directory_further_up_may_be_sticky_and_not_just_writable(over: Over) {
    let server = over.honest();
    let inner = directory(&server).join("inner");
    fs::create_dir(&inner).unwrap();
    set_mode(&inner, 0o700);
    fs::rename(server.path(), inner.join("plugin.sock")).unwrap();
    set_mode(&directory(&server), 0o1777);
    let handle = lazy(at(over, inner.join("plugin.sock")).trust_path(true));
    assert_eq!(call(&handle, "mine").await.unwrap(), "mine");
    set_mode(&directory(&server), 0o777);
    let told = refused_path(over, &inner.join("plugin.sock")).await;
    assert!(told.starts_with(&format!("{} has mode 0777", directory(&server).display())), "{told}");
}

#[apply(both)]
async fn p2_what_is_no_socket_is_refused_and_what_is_not_there_is_absent(over: Over) {
    let mut server = over.honest();
    server.kill().await;
    server.replace_with_file();
    let told = refused_path(over, &server.path()).await;
    assert!(told.ends_with("is a file of another kind, expected a socket"), "{told}");
    server.replace_with_directory();
    let told = refused_path(over, &server.path()).await;
    assert!(told.ends_with("is a directory, expected a socket"), "{told}");

    server.remove_socket();
    let handle = lazy(knobs(&server).trust_path(true));
    assert_eq!(call(&handle, "x").await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.restart();
    eventually("the plugin is found again", || handle.state().is_ready()).await;
    assert_eq!(call(&handle, "back").await.unwrap(), "back");
}

/// Files can be given to another user by root alone: elsewhere there is nothing to try.
#[apply(both)]
async fn p2_a_socket_of_another_user_is_refused_unless_that_user_is_named(over: Over) {
    let server = over.honest();
    let stranger = uid() + 1;
    if chown(server.path(), Some(stranger), None).is_err() {
        return;
    }
    let told = refused_path(over, &server.path()).await;
    let path = server.path();
    assert!(told.starts_with(&format!("{} belongs to user {stranger}", path.display())), "{told}");
    let named = at(over, &path).trust_path(true).peer_uids([stranger, uid()]);
    assert_eq!(call(&lazy(named), "mine").await.unwrap(), "mine");
}

// --- P3 ---

#[apply(both)]
async fn p3_a_server_that_becomes_trusted_is_found_in_the_background(over: Over) {
    let server = over.honest();
    set_mode(&directory(&server), 0o777);
    let handle = lazy(knobs(&server).trust_path(true));
    assert_eq!(call(&handle, "first").await.unwrap_err().reason(), "untrusted");
    set_mode(&directory(&server), 0o700);
    eventually("the plugin is found again", || handle.state().is_ready()).await;
    assert_eq!(call(&handle, "second").await.unwrap(), "second");
}
