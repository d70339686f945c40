//! Row H22 of docs/reliability.md: foreign code panics inside the plugin's tasks. A log
//! subscriber is such code, and one that writes to where nobody reads any more panics too.
//!
//! Each fault has a process of its own: its subscriber is that of all threads, and where a
//! panic meets another there is no process left.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use common::calls::{call, eventually, in_time, knobs, lazy};
use common::child::{self, Child};
use common::over::{Over, apply, both, name_of};
use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::fmt;

/// A plugin goes and comes back, which the log is told of by its tasks; `before` is called
/// while it is well. The first call after its return must succeed.
fn lose_a_plugin_and_have_it_back(over: Over, before: impl FnOnce()) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut server = over.honest();
        // Over gRPC the log is told of a plugin that is down, and not of each connection.
        let attempts = if over == Over::Socket { 1_000_000 } else { 1 };
        let lively = knobs(&server).max_connections(2).reconnect_attempts(attempts);
        let handle = lazy(lively);
        assert_eq!(in_time("a call", call(&handle, "first")).await.unwrap(), "first");
        before();
        server.kill().await;
        server.remove_socket();
        eventually("its end is noticed", || !handle.state().is_ready()).await;
        // A call that finds it gone, and has the plugin's tasks look for it.
        let gone = tokio::spawn({
            let handle = handle.clone();
            async move { call(&handle, "gone").await }
        });
        eventually("it is called", || handle.stats().calls == 2).await;
        server.restart();
        if over != Over::Socket {
            eventually("it is back", || handle.state().is_ready()).await;
        }
        let next = in_time("the call after its return", call(&handle, "next")).await;
        assert_eq!(next.unwrap(), "next");
        // It was not sent before, so it waited, or was failed by a panic: it ends.
        let _ = in_time("the call that found it gone", gone).await;
        assert_eq!(server.record().seen().executions_of("next"), 1);
        assert!(handle.stats().panics > 0, "{:?}", handle.stats());
        assert!(handle.state().is_ready());
    });
}

/// What the process writes to its log finds no reader any more, nor does the complaint
/// about it: `eprintln` panics.
#[apply(both)]
fn h22_a_log_whose_reader_is_gone_takes_neither_the_process_nor_the_plugin_down(over: Over) {
    const NAME: &str =
        "h22_a_log_whose_reader_is_gone_takes_neither_the_process_nor_the_plugin_down";
    if child::role().is_none() {
        return Child::start_unheard(&name_of(NAME, over), "child").has_succeeded();
    }
    fmt().with_max_level(Level::INFO).with_writer(std::io::stderr).init();
    lose_a_plugin_and_have_it_back(over, child::unheard);
    child::succeed();
}

/// Panics at events of this crate, so many times, once it is armed.
struct Panicking {
    armed: &'static AtomicBool,
    left: AtomicU64,
}

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hookwire")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        let armed = self.armed.load(SeqCst);
        let panics = |left: u64| if armed { left.checked_sub(1) } else { None };
        assert!(self.left.fetch_update(SeqCst, SeqCst, panics).is_err(), "the log is broken");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn with_a_log_that_panics(over: Over, times: u64) -> ! {
    static ARMED: AtomicBool = AtomicBool::new(false);
    let subscriber = Panicking { armed: &ARMED, left: AtomicU64::new(times) };
    tracing::subscriber::set_global_default(subscriber).unwrap();
    lose_a_plugin_and_have_it_back(over, || ARMED.store(true, SeqCst));
    child::succeed()
}

#[apply(both)]
fn h22_a_log_that_panics_once_does_not_end_the_plugin(over: Over) {
    const NAME: &str = "h22_a_log_that_panics_once_does_not_end_the_plugin";
    match child::role() {
        None => Child::start(&name_of(NAME, over), "child").has_succeeded(),
        Some(_) => with_a_log_that_panics(over, 1),
    }
}

#[apply(both)]
fn h22_a_log_that_panics_at_every_line_does_not_end_the_plugin_or_the_process(over: Over) {
    const NAME: &str = "h22_a_log_that_panics_at_every_line_does_not_end_the_plugin_or_the_process";
    match child::role() {
        None => Child::start(&name_of(NAME, over), "child").has_succeeded(),
        Some(_) => with_a_log_that_panics(over, u64::MAX),
    }
}
