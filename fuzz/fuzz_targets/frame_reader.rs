//! Any bytes, cut into any reads: each reply goes to the request that it answers,
//! and the socket ends where a plain reading of all bytes says.
#![no_main]

use hookwire::internals::socket::{Ended, Script, play};
use libfuzzer_sys::fuzz_target;

/// The same over all bytes at once: no buffer that grows, no partial reads.
fn model(script: &Script) -> (Vec<Option<Vec<u8>>>, Ended) {
    let mut replies = vec![None; script.requests.len()];
    let bytes: Vec<u8> = script.reads.iter().flatten().copied().collect();
    // Where the next frame begins, whose reply it is, and where its request ends.
    let (mut at, mut next, mut left) = (0, 0, 0);
    let mut arrived = 0;
    for read in &script.reads {
        arrived += read.len();
        while let Some((header, rest)) = bytes[at..arrived].split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*header) as usize;
            if length > script.max_frame_len {
                return (replies, Ended::Framing);
            }
            let Some(message) = rest.get(..length) else { break };
            let Some(&(size, has_left)) = script.requests.get(next) else {
                return (replies, Ended::Unasked);
            };
            left += size;
            if left > script.written {
                return (replies, Ended::Unasked);
            }
            replies[next] = (!has_left).then(|| message.to_vec());
            (at, next) = (at + 4 + length, next + 1);
        }
        if next == replies.len() && at < arrived {
            return (replies, Ended::Unasked);
        }
    }
    let ended = match (script.eof, at == arrived) {
        (false, _) => Ended::Waiting,
        (true, true) => Ended::Eof,
        (true, false) => Ended::Framing,
    };
    (replies, ended)
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(script) = hookwire_fuzz::script::script(bytes) {
        let expected = model(&script);
        assert_eq!(play(script), expected);
    }
});
