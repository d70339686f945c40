//! One file per part: the entry, its socket, the merge with the server's answer, and files
//! that say something else than their authors meant.

mod files;
mod merge;
mod plugin;
mod socket;

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{PluginConfig, Problem};

/// A valid entry with these keys on top.
fn entry(keys: Value) -> Value {
    let mut entry = json!({"name": "P", "unix_socket": {"path": "/run/p.sock"}});
    let extra = keys.as_object().cloned().unwrap_or_default();
    entry.as_object_mut().unwrap().extend(extra);
    entry
}

fn plugin(keys: Value) -> PluginConfig {
    PluginConfig::from_value(entry(keys)).unwrap()
}

/// The problems of an entry, as a person reads them.
fn problems(entry: Value) -> Vec<String> {
    let error = PluginConfig::from_value(entry).unwrap_err();
    error.problems().iter().map(Problem::to_string).collect()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged meanwhile.
fn logged(read: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, read);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
