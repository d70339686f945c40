//! Reloads at a signal.

use std::io;
use std::sync::{Arc, Mutex};

use hookwire::PluginConfig;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;

use crate::world::{Served, run, start, until};

type Loaded = Result<Vec<PluginConfig>, io::Error>;

/// What is loaded next.
type File = Arc<Mutex<Arc<dyn Fn() -> Loaded + Send + Sync>>>;

fn hang_up() {
    kill_process(getpid(), Signal::HUP).unwrap();
}

/// One test only: all tests of a process get the same signals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_reloads_and_what_goes_wrong_keeps_the_running_plugins() {
    let served = Arc::new(Served::start(&["A", "B"]).await);
    let entries = |names: &'static [&'static str]| {
        let served = Arc::clone(&served);
        move || -> Loaded { Ok(names.iter().map(|name| served.entry(name, json!({}))).collect()) }
    };
    let gateway = start(entries(&["A"])().unwrap()).await;
    let file: File = Arc::new(Mutex::new(Arc::new(entries(&["B", "A"]))));
    let reloader = gateway
        .reload_on_sighup({
            let file = Arc::clone(&file);
            move || {
                let load = Arc::clone(&file.lock().unwrap());
                async move { load() }
            }
        })
        .unwrap();
    hang_up();
    until("the reload", || gateway.chain().names() == ["B", "A"]).await;

    let failed = |times| {
        hang_up();
        let gateway = &gateway;
        async move { until("the refusal", || gateway.reload_stats().failed == times).await }
    };
    // A file that is not there, one that is cut off, one that is refused, one that breaks the
    // loader.
    *file.lock().unwrap() = Arc::new(|| Err(io::ErrorKind::NotFound.into()));
    failed(1).await;
    *file.lock().unwrap() = Arc::new(entries(&[]));
    failed(2).await;
    *file.lock().unwrap() = Arc::new(entries(&["A", "A"]));
    failed(3).await;
    *file.lock().unwrap() = Arc::new(|| panic!("a loader that panics"));
    failed(4).await;
    assert!(!gateway.reload_stats().up_to_date);
    assert_eq!(gateway.chain().names(), ["B", "A"]);
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());

    *file.lock().unwrap() = Arc::new(entries(&["A"]));
    hang_up();
    until("the reload", || gateway.chain().names() == ["A"]).await;
    assert!(gateway.reload_stats().up_to_date);

    // Ended, it reloads no more, and the signal still does not end the process.
    drop(reloader);
    until("its end", || Arc::strong_count(&file) == 1).await;
    hang_up();
    assert!(run(&gateway.chain(), "2", "search").await.is_ok());
}
