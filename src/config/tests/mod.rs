//! One file per part: the entry, its socket, its servers over gRPC, the merge with the server's answer, and files
//! that say something else than their authors meant.

mod files;
#[cfg(feature = "grpc")]
mod grpc;
mod merge;
mod plugin;
#[cfg(feature = "grpc")]
mod servers;
mod socket;
#[cfg(feature = "grpc")]
mod tls;

use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

use super::{PluginConfig, Problem};
use crate::test_log::Log;

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

/// What is logged meanwhile.
fn logged(read: impl FnOnce()) -> String {
    let (log, _logging) = Log::start(LevelFilter::INFO);
    read();
    log.text()
}
