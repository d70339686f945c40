//! Row H23 of docs/reliability.md: processes that have SIGPIPE at its default, which is to
//! die. Rust programs ignore it from their start; a C host that loads this crate does not.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{IoSlice, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

use common::calls::{call, in_time, knobs, lazy, spawn_call};
use common::child::{self, Child};
use common::over::{Over, apply, both, name_of};
use rustix::process::Signal;
use tokio::runtime::Runtime;

/// Where the kernel's own answer is not to kill, the tests below would show nothing.
#[test]
fn h23_a_vectored_write_of_the_standard_library_kills_such_a_process() {
    const NAME: &str = "h23_a_vectored_write_of_the_standard_library_kills_such_a_process";
    if child::role().is_none() {
        assert_eq!(Child::start(NAME, "child").ended().signal(), Some(Signal::PIPE.as_raw()));
        return;
    }
    sigpipe::reset();
    let (mut near, far) = UnixStream::pair().unwrap();
    drop(far);
    let _ = near.write_vectored(&[IoSlice::new(b"x")]);
    child::succeed();
}

/// A plugin that restarts: it closes connections on which calls are being written.
#[apply(both)]
fn h23_a_plugin_that_leaves_does_not_kill_the_gateway(over: Over) {
    const NAME: &str = "h23_a_plugin_that_leaves_does_not_kill_the_gateway";
    if child::role().is_none() {
        return Child::start(&name_of(NAME, over), "child").has_succeeded();
    }
    sigpipe::reset();
    Runtime::new().unwrap().block_on(async {
        // Takes one hook with what is written behind it along; calls are being written.
        let server = over.start(|mut connection| async move {
            let first = connection.hook().await?;
            connection.answer(&first).await
        });
        let busy = knobs(&server).max_connections(4).reconnect_attempts(1_000_000);
        let handle = lazy(busy);
        while handle.stats().reconnects < 100 {
            let calls: Vec<_> = (0..64).map(|i| spawn_call(&handle, i.to_string())).collect();
            for call in calls {
                let _ = in_time("a call", call).await.unwrap();
            }
        }
        let well = over.honest();
        assert_eq!(call(&lazy(knobs(&well)), "after").await.unwrap(), "after");
    });
    child::succeed();
}

/// A client that leaves: it asks, and closes before it is answered.
#[cfg(feature = "server")]
#[test]
fn h23_a_client_that_leaves_does_not_kill_the_embedded_server() {
    use common::calls::{eventually, socket};
    use hookwire::hooks::ToolPreInvoke;
    use hookwire::server::{Handlers, PluginServer};

    const NAME: &str = "h23_a_client_that_leaves_does_not_kill_the_embedded_server";
    if child::role().is_none() {
        return Child::start(NAME, "child").has_succeeded();
    }
    sigpipe::reset();
    Runtime::new().unwrap().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plugin.sock");
        let gone = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let guard = Handlers::new().on::<ToolPreInvoke>({
            let gone = std::sync::Arc::clone(&gone);
            move |payload, _| {
                let gone = std::sync::Arc::clone(&gone);
                async move {
                    if payload.name == "leave" {
                        gone.acquire().await?.forget();
                    }
                    Ok(hookwire::PluginResult::modify(payload))
                }
            }
        });
        let server = PluginServer::builder().plugin("Guard", guard).bind(&path).await.unwrap();
        for _ in 0..20 {
            let mut client = UnixStream::connect(&path).unwrap();
            let before = server.stats().requests;
            client.write_all(&request("leave")).unwrap();
            eventually("a connection", || server.stats().open_connections > 0).await;
            // Nobody reads the reply: it is written to a socket that is closed.
            drop(client);
            gone.add_permits(1);
            eventually("the reply", || server.stats().requests > before).await;
            eventually("the end", || server.stats().open_connections == 0).await;
        }
        assert_eq!(call(&lazy(socket(&path)), "after").await.unwrap(), "after");
    });
    child::succeed();
}

/// A call of the plugin's tool hook, without a line of the crate under test.
#[cfg(feature = "server")]
fn request(name: &str) -> Vec<u8> {
    use fault_server::{fields, frame, proto};
    use prost::Message as _;
    use prost_types::value::Kind;

    let payload = fields([("name", Kind::StringValue(name.to_owned()))]);
    let request = proto::InvokeHookRequest {
        hook_type: "tool_pre_invoke".into(),
        plugin_name: common::calls::PLUGIN.into(),
        payload: Some(payload),
        ..Default::default()
    };
    frame(&request.encode_to_vec())
}
