//! A path from a configuration that others wrote may hold control characters: a line break
//! would forge a line of the log, an escape sequence command the terminal that shows it.
//! They are refused, or shown escaped (row R1 of docs/reliability.md).

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::calls::{PLUGIN, call, in_time};
use common::log::another_listens;
use hookwire::{PluginConfig, PluginHandle};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

/// Paths that nobody means well with.
fn hostile() -> [PathBuf; 5] {
    ["line\nbreak", "re\rturn", "esc\u{1b}[31m", "bell\u{7}", "next\u{85}line"]
        .map(|name| PathBuf::from(format!("/nowhere/{name}.sock")))
}

/// Line breaks between lines are the log's own.
fn assert_clean(text: &str) {
    let stray = text.chars().find(|char| char.is_control());
    assert_eq!(stray, None, "{text:?}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

/// Each event is one write, and one line.
impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// All that is traced while `work` runs, in one runtime on this thread.
fn traced(work: impl Future<Output = ()>) -> Vec<String> {
    another_listens();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work);
    });
    log.0.lock().unwrap().clone()
}

/// Whatever is told of a plugin at such a path, and of a refusal of it.
fn assert_told_cleanly<E: Display>(config: impl Fn(&Path) -> Result<PluginConfig, E>) {
    for path in hostile() {
        let lines = traced(async {
            let config = match config(&path) {
                Ok(config) => config,
                Err(error) => return assert_clean(&error.to_string()),
            };
            let handle = PluginHandle::connect_lazy(config);
            let error = in_time("a call", call(&handle, "nobody")).await.unwrap_err();
            assert_clean(&error.to_string());
            assert_clean(&format!("{error:?} {handle:?}"));
        });
        lines.iter().for_each(|line| assert_clean(line.trim_end_matches('\n')));
    }
}

#[test]
fn r1_control_characters_of_a_path_are_in_no_error_and_no_line_of_the_log() {
    assert_told_cleanly(|path| {
        PluginConfig::builder(PLUGIN).hook("tool_pre_invoke").socket(path).build()
    });
}

#[test]
fn r1_control_characters_of_a_path_in_a_file_are_in_no_error_and_no_line_of_the_log() {
    assert_told_cleanly(|path| {
        let entry =
            json!({"name": PLUGIN, "hooks": ["tool_pre_invoke"], "unix_socket": {"path": path}});
        serde_json::from_value::<PluginConfig>(entry)
    });
}

#[cfg(feature = "server")]
#[test]
fn r1_control_characters_of_the_embedded_servers_path_are_in_no_error_and_no_line_of_the_log() {
    use hookwire::server::{Handlers, PluginServer};

    let directory = tempfile::tempdir().unwrap();
    for path in hostile() {
        let usable = directory.path().join(path.file_name().unwrap());
        let lines = traced(async {
            let bind = async |path| {
                let builder = PluginServer::builder().plugin(PLUGIN, Handlers::new());
                // Of another user: every client is refused, and the log told of it.
                let nobody = rustix::process::geteuid().as_raw() + 1;
                builder.peer_uids([nobody]).bind(path).await
            };
            assert_clean(&bind(&path).await.unwrap_err().to_string());
            match bind(&usable).await {
                Err(error) => assert_clean(&error.to_string()),
                Ok(server) => {
                    assert_clean(&bind(&usable).await.unwrap_err().to_string());
                    assert_clean(&format!("{server:?}"));
                    let mut client = tokio::net::UnixStream::connect(&usable).await.unwrap();
                    let mut rest = Vec::new();
                    let closed = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut rest);
                    let _ = in_time("it is refused", closed).await;
                    server.kill().await;
                    std::fs::remove_file(&usable).unwrap();
                }
            }
        });
        lines.iter().for_each(|line| assert_clean(line.trim_end_matches('\n')));
    }
}
