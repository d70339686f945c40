//! What a hostile server can make its client allocate, counted over real sockets: by a
//! reply that is too large for its memory, and by the announcement of one. The bounds of
//! each shape of reply are counted where replies are read, in `src/wire`.
//! docs/reliability.md has them all.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use hookwire::{
    CallPolicy, ErrorKind, PluginConfig, PluginContext, PluginHandle, UnixSocketConfig, Verdict,
};

const MIB: usize = 1024 * 1024;

/// The protocol's largest message.
const MAX_FRAME_LEN: usize = 16 * MIB;

/// What any reply of up to that size may cost, and what is kept of its bytes on the way.
const LIMIT: usize = 256 * MIB;
const RAW: usize = 2 * MAX_FRAME_LEN + 2 * MIB;

fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    prost::encode_length_delimiter(content.len(), &mut field).unwrap();
    field.extend_from_slice(content);
    field
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A result that allows, with this Value as its payload.
fn allow(payload: &[u8]) -> Vec<u8> {
    let entry =
        |key: &[u8], value: &[u8]| field(0x0a, &[field(0x0a, key), field(0x12, value)].concat());
    let verdict = entry(b"continue_processing", &[0x20, 1]);
    let result = [verdict, entry(b"modified_payload", payload)].concat();
    frame(&[field(0x0a, b"Guard"), field(0x12, &result)].concat())
}

/// Answers each request with the next of `replies`.
fn answer(mut stream: UnixStream, replies: &[Vec<u8>]) -> std::io::Result<()> {
    for reply in replies {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        stream.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize])?;
        stream.write_all(reply)?;
    }
    stream.read(&mut [0]).map(drop)
}

/// Six bytes of it are an object in a list, which takes a hundred times as much.
// Promise: C2
#[test]
fn a_reply_that_would_take_too_much_memory_fails_its_call_alone() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let objects = [0x0a, 4, 0x2a, 2, 0x0a, 0].repeat((MAX_FRAME_LEN - 1024) / 6);
    let replies = [allow(&field(0x32, &objects)), allow(&[0x20, 1])];
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        answer(stream, &replies)
    });

    let unix_socket = UnixSocketConfig::builder(&socket).max_connections(1);
    let policy = CallPolicy::builder().verify(false);
    let config = PluginConfig::builder("Guard").unix_socket(unix_socket).policy(policy);
    let config = config.build().unwrap();
    let payload = serde_json::json!({"name": "search"});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.block_on(async { PluginHandle::connect_lazy(config) });
    let call = || {
        let mut context = PluginContext::new("1");
        runtime.block_on(handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context))
    };
    let mut heavy = None;
    let counted = allocation_counter::measure(|| heavy = Some(call()));
    println!("{} MiB", counted.bytes_max as usize / MIB);
    let error = heavy.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::BadReply, "undecodable"), "{error}");
    assert!(counted.bytes_max as usize <= LIMIT + RAW, "{}", counted.bytes_max);
    // Over the same connection: the server accepts one only.
    let Verdict::Allowed(payload) = call().unwrap().into_verdict() else { panic!("denied") };
    assert_eq!(payload, Some(true.into()));
    drop((handle, runtime));
    server.join().unwrap().unwrap();
}

/// Announces the largest reply to each request, and sends nothing of it.
fn announce(listener: UnixListener) {
    for mut stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut request = [0; 4096];
            while stream.read(&mut request).is_ok_and(|count| count > 0) {
                if stream.write_all(&(MAX_FRAME_LEN as u32).to_be_bytes()).is_err() {
                    break;
                }
            }
        });
    }
}

// Promise: C3
#[test]
fn a_reply_that_is_only_announced_costs_a_mebibyte_for_each_connection() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || announce(listener));

    let connections = 8;
    let unix_socket = UnixSocketConfig::builder(&socket).max_connections(connections);
    let policy = CallPolicy::builder().verify(false);
    let config = PluginConfig::builder("Guard").unix_socket(unix_socket).policy(policy);
    let config = config.build().unwrap();
    let payload = serde_json::json!({"name": "search"});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.block_on(async { PluginHandle::connect_lazy(config) });
    let counted = allocation_counter::measure(|| {
        let calls = futures::future::join_all((0..connections).map(|_| async {
            let mut context = PluginContext::new("1");
            handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await
        }));
        let all_announced = async {
            while handle.stats().bytes_received < 4 * connections as u64 {
                tokio::task::yield_now().await;
            }
        };
        runtime.block_on(async {
            tokio::select! {
                _ = calls => panic!("a call ended without a reply"),
                () = all_announced => {}
            }
        });
    });
    println!("{} KiB for {connections} connections", counted.bytes_max / 1024);
    assert!(
        counted.bytes_max as usize <= connections * (MIB + 128 * 1024),
        "{}",
        counted.bytes_max
    );
    assert!(counted.bytes_max as usize >= connections * MIB / 2, "no announcement was read");
}
