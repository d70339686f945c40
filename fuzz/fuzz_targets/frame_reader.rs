//! Any bytes, cut into any reads: each reply goes to the request that it answers,
//! and the socket ends where a plain reading of all bytes says.
#![no_main]

use hookwire::fuzz_bridge::socket::{Ended, Played, Script, play};
use libfuzzer_sys::fuzz_target;

/// The same over all bytes at once, `taken` by the reads that were made: no buffer
/// that grows, no partial frames.
fn model(script: &Script, taken: &[usize]) -> Played {
    let mut replies = vec![None; script.requests.len()];
    let bytes: Vec<u8> = script.reads.iter().flatten().copied().collect();
    // Where the next frame begins, whose reply it is, and where its request ends.
    let (mut at, mut next, mut left) = (0, 0, 0);
    let mut arrived = 0;
    for read in taken {
        arrived += read;
        while let Some((header, rest)) = bytes[at..arrived].split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*header) as usize;
            if length > script.max_frame_len {
                return Played { replies, ended: Ended::Framing };
            }
            let Some(message) = rest.get(..length) else { break };
            let Some(&(size, has_left)) = script.requests.get(next) else {
                return Played { replies, ended: Ended::Unasked };
            };
            left += size;
            if left > script.written {
                return Played { replies, ended: Ended::Unasked };
            }
            replies[next] = (!has_left).then(|| message.to_vec());
            (at, next) = (at + 4 + length, next + 1);
            if next == replies.len() {
                break;
            }
        }
        if next == replies.len() && at < arrived {
            return Played { replies, ended: Ended::Unasked };
        }
    }
    let ended = match (script.eof, at == arrived) {
        (false, _) => Ended::Waiting,
        (true, true) => Ended::Eof,
        (true, false) => Ended::Framing,
    };
    Played { replies, ended }
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(script) = hookwire_fuzz::script::script(bytes) {
        let (played, taken) = play(script.clone());
        assert_eq!(played, model(&script, &taken));
    }
});
