//! What a call allocates, counted and held: it is on the way of every request of
//! a gateway. Counted on the thread that runs both the caller and the connection.
// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use hookwire::hooks::{PromptPreFetch, PromptPreFetchPayload};
use hookwire::{CallPolicy, PluginConfig, PluginContext, PluginHandle};
use prost::Message;
use prost_types::{Struct, Value, value::Kind};

/// The reply's fields that are needed here.
#[derive(Clone, PartialEq, Message)]
struct Reply {
    #[prost(string, tag = "1")]
    plugin_name: String,
    #[prost(message, optional, tag = "2")]
    result: Option<Struct>,
    #[prost(bytes = "vec", tag = "3")]
    context: Vec<u8>,
}

/// The request's field that is needed here, encoded as it came.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(bytes = "vec", tag = "4")]
    context: Vec<u8>,
}

/// Answers every frame of one connection with a result that allows, and its context.
fn serve(mut stream: UnixStream) -> std::io::Result<()> {
    let allow = Value { kind: Some(Kind::BoolValue(true)) };
    let result = Struct { fields: [("continue_processing".to_owned(), allow)].into() };
    let mut reply =
        Reply { plugin_name: "Guard".to_owned(), result: Some(result), context: Vec::new() };
    let mut buffer = vec![0; 1 << 16];
    loop {
        stream.read_exact(&mut buffer[..4])?;
        let length = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
        stream.read_exact(&mut buffer[..length])?;
        reply.context = Request::decode(&buffer[..length])?.context;
        let message = reply.encode_to_vec();
        stream.write_all(&[&(message.len() as u32).to_be_bytes()[..], &message].concat())?;
    }
}

/// Per typed call: the request's buffer; the oneshot channel for its reply; and
/// now and then a buffer for many replies, or a block of the queue.
const MOST_PER_CALL: f64 = 2.5;

#[test]
fn a_typed_call_allocates_its_request_and_its_channel_and_hardly_anything_else() {
    for stamp in [false, true] {
        let per_call = allocations_per_call(stamp);
        assert!(per_call <= MOST_PER_CALL, "{per_call} allocations per call, stamp: {stamp}");
        assert!(per_call >= 1.0, "the counter does not count");
    }
}

fn allocations_per_call(stamp: bool) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let payload = PromptPreFetchPayload::new("greeting").with_arg("name", "Ada");
    let mut context = PluginContext::new("request-1");
    let policy = CallPolicy::builder().stamp(stamp);
    let config = PluginConfig::builder("Guard").socket(&socket).policy(policy).build().unwrap();
    let handle = runtime.block_on(async { PluginHandle::connect_lazy(config) });
    let mut call = |count: usize| {
        runtime.block_on(async {
            for _ in 0..count {
                let result = handle.invoke_hook::<PromptPreFetch>(&payload, &mut context).await;
                assert!(result.unwrap().is_allowed());
            }
        });
    };
    call(100);
    let calls = 2000;
    let counted = allocation_counter::measure(|| call(calls));
    let per_call = counted.count_total as f64 / calls as f64;
    println!("{per_call:.2} allocations, {} bytes per call", counted.bytes_total / calls as u64);
    per_call
}
