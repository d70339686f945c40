//! Replies made to cost their reader memory, which is counted as it is allocated.
//! docs/reliability.md has the bounds.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::shapes::{entries, entry, field, item, list, object, reply, shapes};
use crate::hooks::{Hook, HttpPreRequest, MessagePayload, ToolPreInvokePayload};
use crate::model::PluginResult;
use crate::wire::reply::{Expected, HookReply, configs_reply, hook_reply};
use crate::wire::reply_fault::ReplyFault;

const MIB: usize = 1024 * 1024;

/// The protocol's largest message.
const MAX_FRAME_LEN: usize = 16 * MIB;

/// What any reply of up to that size may cost, and how many times its bytes a
/// small one may.
const LIMIT: usize = 256 * MIB;
const WORST: usize = 128;

fn read<P: DeserializeOwned>(message: &[u8]) -> Result<HookReply<P>, ReplyFault> {
    hook_reply(message, Expected { plugin: "Guard", request_id: "1", stamp: None })
}

/// The most memory that `work` takes at a time.
fn most_memory(work: impl FnOnce()) -> usize {
    allocation_counter::measure(work).bytes_max as usize
}

/// The most memory that reading `message` takes at a time, and whether it was accepted.
fn cost<P: DeserializeOwned>(message: &[u8]) -> (usize, bool) {
    let mut accepted = false;
    let cost = most_memory(|| accepted = read::<P>(message).is_ok());
    (cost, accepted)
}

// Promise: C1
#[test]
fn a_small_reply_costs_at_most_128_times_its_bytes() {
    let mut worst = 0.0_f64;
    for (name, value) in shapes(MIB) {
        let message = reply("modified_payload", &value);
        let (cost, accepted) = cost::<Value>(&message);
        let factor = cost as f64 / message.len() as f64;
        println!("{factor:6.1} x {name}");
        assert!(accepted, "{name}");
        assert!(cost <= WORST * message.len(), "{name}: {cost}");
        worst = worst.max(factor);
    }
    assert!(worst > 50.0, "the shapes are too harmless: {worst}");
}

// Promise: C2
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
            refused.push(name);
        }
    }
    assert!(refused.contains(&"objects with an empty key"), "{refused:?}");
    assert!(!refused.contains(&"one long string"), "{refused:?}");
    assert!(!refused.contains(&"numbers"), "{refused:?}");
}

/// What honest servers send passes: the smallest of rows, a quarter of a million.
// Promise: C2
#[test]
fn a_table_of_eight_mebibytes_is_read() {
    let row =
        [entry("id", &[0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), entry("ok", &[0x20, 1])].concat();
    let message = reply("modified_payload", &list(&item(&object(&row)), 8 * MIB));
    let Ok(HookReply::Result(PluginResult { modified_payload, .. }, _)) = read::<Value>(&message)
    else {
        panic!("refused");
    };
    let rows = modified_payload.unwrap();
    assert!(rows.as_array().is_some_and(|rows| rows.len() > 200_000));
}

/// Wherever else in a reply a tree can be.
// Promise: C2
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
        let cost = most_memory(|| drop(configs_reply(&message)));
        println!("{:4} MiB configurations", cost / MIB);
        assert!(cost <= LIMIT);
    }
}

/// A result that repeats itself is merged by prost, whose tree is gone before ours
/// is built. Only small replies may be like that.
// Promise: C1
#[test]
fn a_reply_that_repeats_fields_costs_no_more_than_another() {
    let bare = item(&object(&[0x0a, 0])).repeat(MIB / 6 - 100);
    let twice = [reply("modified_payload", &field(0x32, &bare)), field(0x12, &[])].concat();
    let (cost, accepted) = cost::<Value>(&twice);
    assert!(accepted);
    assert!(cost <= (WORST + 8) * twice.len(), "{} times", cost / twice.len());
}

// Promise: C1
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

/// The reading of it gave up at its size, and only then at its verdict.
// Promise: C2
#[test]
fn a_denial_that_is_too_large_to_be_read_is_still_a_denial() {
    let bare = field(0x32, &item(&object(&[0x0a, 0])).repeat(3 * MIB / 6));
    let heavy = entry("k", &bare);
    let request_id = field(0x0a, &field(0x0a, b"1"));
    let context = field(0x1a, &[&request_id[..], &field(0x12, &heavy)].concat());
    for verdict in [0, 1] {
        let verdict_entry = entry("continue_processing", &[0x20, verdict]);
        for (name, reply) in [
            ("payload", [&verdict_entry[..], &entry("modified_payload", &bare)].concat()),
            ("metadata", [&verdict_entry[..], &entry("metadata", &object(&heavy))].concat()),
            ("context", verdict_entry.clone()),
        ] {
            let mut message = [field(0x0a, b"Guard"), field(0x12, &reply)].concat();
            if name == "context" {
                message.extend_from_slice(&context);
            }
            let mut heard = None;
            let cost = most_memory(|| heard = Some(read::<Value>(&message)));
            assert!(cost <= LIMIT, "{name}: {cost}");
            match heard.unwrap() {
                Ok(HookReply::Result(result, None)) if verdict == 0 => {
                    assert!(!result.is_allowed(), "{name}");
                }
                Err(ReplyFault::Unfit(_)) if verdict == 1 => {}
                other => panic!("{name}, verdict {verdict}: {other:?}"),
            }
        }
    }
}
