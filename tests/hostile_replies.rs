//! What a hostile server can make its client allocate, counted: for one reply,
//! and for the announcement of one. docs/reliability.md has the bounds.

#![allow(missing_docs)]

#[path = "common/shapes.rs"]
mod shapes;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use hookwire::hooks::{HttpPreRequest, MessagePayload, ToolPreInvokePayload};
use hookwire::internals::{decode_configs, decode_reply, reply_weight};
use hookwire::{
    CallPolicy, Hook, PluginConfig, PluginContext, PluginHandle, UnixSocketConfig, Verdict,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use shapes::{entries, entry, field, item, list, object, reply, shapes};

const MIB: usize = 1024 * 1024;

/// The protocol's largest message.
const MAX_FRAME_LEN: usize = 16 * MIB;

/// What any reply of up to that size may cost, and how many times its bytes a
/// small one may.
const LIMIT: usize = 256 * MIB;
const WORST: usize = 128;

/// The most memory that reading `message` takes at a time, and whether it was accepted.
fn cost<P: DeserializeOwned>(message: &[u8]) -> (usize, bool) {
    let mut accepted = false;
    let counted = allocation_counter::measure(|| {
        accepted = decode_reply::<P>(message, "Guard", "1").is_ok();
    });
    (counted.bytes_max as usize, accepted)
}

#[test]
fn a_small_reply_costs_at_most_128_times_its_bytes_and_no_more_than_it_weighs() {
    let mut worst = 0.0_f64;
    for (name, value) in shapes(MIB) {
        let message = reply("modified_payload", &value);
        let (cost, accepted) = cost::<Value>(&message);
        let weight = reply_weight(&message).unwrap();
        let factor = cost as f64 / message.len() as f64;
        println!("{factor:6.1} x {name} (weighed {:.1})", weight as f64 / message.len() as f64);
        assert!(accepted, "{name}");
        assert!(cost <= weight + 1024, "{name}: cost {cost}, weighed {weight}");
        assert!(weight <= WORST * message.len(), "{name}: {weight}");
        worst = worst.max(factor);
    }
    assert!(worst > 50.0, "the shapes are too harmless: {worst}");
}

#[test]
fn no_reply_of_the_protocols_size_costs_more_than_256_mib() {
    let mut refused = Vec::new();
    for (name, value) in shapes(MAX_FRAME_LEN - 1024) {
        let message = reply("modified_payload", &value);
        assert!(message.len() <= MAX_FRAME_LEN);
        let (cost, accepted) = cost::<Value>(&message);
        println!("{:4} MiB {name}{}", cost / MIB, if accepted { "" } else { ", refused" });
        assert!(cost <= LIMIT, "{name}: {cost}");
        if !accepted {
            assert!(cost < 4096, "{name}: {cost} before it was refused");
            refused.push(name);
        }
    }
    assert!(refused.contains(&"objects with an empty key"), "{refused:?}");
    assert!(!refused.contains(&"one long string"), "{refused:?}");
    assert!(!refused.contains(&"numbers"), "{refused:?}");
}

/// What honest servers send passes: the smallest of rows, a quarter of a million.
#[test]
fn a_table_of_eight_mebibytes_is_read() {
    let row =
        [entry("id", &[0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), entry("ok", &[0x20, 1])].concat();
    let message = reply("modified_payload", &list(&item(&object(&row)), 8 * MIB));
    let result = decode_reply::<Value>(&message, "Guard", "1").unwrap().unwrap();
    let Verdict::Allowed(Some(rows)) = result.into_verdict() else { panic!("it allows") };
    assert!(rows.as_array().is_some_and(|rows| rows.len() > 200_000));
}

/// Wherever else in a reply a tree can be.
#[test]
fn the_bound_holds_for_contexts_errors_metrics_and_configurations() {
    let bare = item(&object(&[0x0a, 0])).repeat(3 * MIB / 6);
    let full = entry("k", &field(0x32, &bare));
    let verdict = entry("continue_processing", &[0x20, 1]);
    let allow = [field(0x0a, b"Guard"), field(0x12, &verdict)].concat();
    let request_id = field(0x0a, &field(0x0a, b"1"));
    let metrics: Vec<u8> = entries(4 * MIB, &[]);
    let messages = [
        (
            "state",
            [&allow[..], &field(0x1a, &[&request_id[..], &field(0x12, &full)].concat())].concat(),
        ),
        (
            "metadata",
            [&allow[..], &field(0x1a, &[&request_id[..], &field(0x1a, &full)].concat())].concat(),
        ),
        (
            "details",
            [
                field(0x0a, b"Guard"),
                field(0x22, &[field(0x0a, b"no"), field(0x22, &full)].concat()),
            ]
            .concat(),
        ),
        ("base", [&allow[..], &field(0x2a, &field(0x1a, &full))].concat()),
        ("metrics", [&allow[..], &field(0x2a, &field(0x22, &metrics))].concat()),
        ("extensions", reply("modified_extensions", &field(0x32, &bare))),
        ("executions", reply("executions", &field(0x32, &bare))),
        (
            "result's metrics",
            reply("denial_metadata", &object(&[entry("k", &field(0x32, &bare)), metrics].concat())),
        ),
    ];
    for (name, message) in messages {
        assert!((3 * MIB..MAX_FRAME_LEN).contains(&message.len()), "{name}");
        let (cost, _) = cost::<Value>(&message);
        println!("{:4} MiB {name}", cost / MIB);
        assert!(cost <= LIMIT, "{name}: {cost}");
    }

    let many = field(0x0a, &[0x0a, 0]).repeat(MAX_FRAME_LEN / 4);
    for message in [many, field(0x0a, &full)] {
        let counted = allocation_counter::measure(|| drop(decode_configs(&message)));
        println!("{:4} MiB configurations", counted.bytes_max as usize / MIB);
        assert!(counted.bytes_max as usize <= LIMIT);
    }
}

/// A result that repeats itself is merged by prost, whose tree is gone before ours
/// is built. Only small replies may be like that.
#[test]
fn a_reply_that_repeats_fields_costs_no_more_than_another() {
    let bare = item(&object(&[0x0a, 0])).repeat(MIB / 6 - 100);
    let twice = [reply("modified_payload", &field(0x32, &bare)), field(0x12, &[])].concat();
    let (cost, accepted) = cost::<Value>(&twice);
    assert!(accepted);
    assert!(cost <= (WORST + 8) * twice.len(), "{} times", cost / twice.len());
}

#[test]
fn typed_results_cost_no_more_than_json() {
    fn typed<P: DeserializeOwned>(name: &str, value: &[u8]) {
        let message = reply("modified_payload", value);
        let (cost, accepted) = cost::<P>(&message);
        println!(
            "{:6.1} x {name}{}",
            cost as f64 / message.len() as f64,
            if accepted { "" } else { ", refused" }
        );
        assert!(cost <= WORST * message.len(), "{name}: {cost}");
    }
    let bare = list(&item(&object(&[0x0a, 0])), MIB);
    let args = object(
        &[entry("name", &[0x1a, 1, b'x']), entry("args", &object(&entry("k", &bare)))].concat(),
    );
    typed::<ToolPreInvokePayload>("arguments of a tool", &args);
    let part = object(
        &[
            entry("content_type", &[0x1a, 5, b'i', b'm', b'a', b'g', b'e']),
            entry("content", &object(&[0x0a, 0])),
        ]
        .concat(),
    );
    let message = object(
        &[entry("role", &[0x1a, 1, b'x']), entry("content", &list(&item(&part), MIB))].concat(),
    );
    typed::<MessagePayload>("parts of a message", &object(&entry("message", &message)));
    typed::<<HttpPreRequest as Hook>::Modified>(
        "headers",
        &object(&entries(MIB, &[0x1a, 1, b'x'])),
    );
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
