//! Row H27 of docs/reliability.md: a runtime that is named for a plugin drives it, whoever
//! calls and from wherever.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::mpsc;
use std::thread;

use common::calls::{LIMIT, call, config, in_time, knobs};
use common::over::{Over, apply, both};
use futures::executor::block_on;
use hookwire::{ConnectionState, PluginHandle};
use tokio::runtime::{Builder, Runtime};

#[apply(both)]
fn h27_a_runtime_that_is_named_drives_the_plugin_whoever_calls(over: Over) {
    let (servers, named) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let server = servers.block_on(async { over.honest() });
    let builder = PluginHandle::builder(config(knobs(&server)));
    // On a thread that has none.
    let handle = builder.runtime(named.handle().clone()).connect_lazy();
    for round in 0..10 {
        let callers = Builder::new_current_thread().enable_all().build().unwrap();
        let marker = format!("round {round}");
        let answer = callers.block_on(in_time("a call", call(&handle, &marker)));
        assert_eq!(answer.unwrap(), marker);
    }
    let caller = handle.clone();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(block_on(call(&caller, "no runtime"))));
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap().unwrap(), "no runtime");
    assert_eq!(server.record().seen().connections(), 1, "the callers' runtimes came and went");

    drop(named);
    assert_eq!(handle.state(), ConnectionState::Shutdown);
    let answer = servers.block_on(in_time("a call", call(&handle, "moved")));
    assert_eq!(answer.unwrap(), "moved");
}
