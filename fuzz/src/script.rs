//! What a server may send, in which pieces.
//!
//! As bytes: three numbers (the longest message in units of 16, the bytes of all
//! requests that leave, and how many requests there are, whose last bit closes
//! the socket at the end and whose first two say how many replies are delivered in
//! one turn), then pieces. A piece is a number, whose low two bits
//! say what it is and whose other six how long, and its bytes.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use hookwire::fuzz_bridge::socket::Script;

/// A request of the script.
const REQUEST: usize = 8;

/// A reader that is given the bytes of a frame, or bytes that are none.
pub fn script(bytes: &[u8]) -> Option<Script> {
    let (&[unit, written, requests], mut rest) = bytes.split_first_chunk()?;
    let mut reads = VecDeque::new();
    let mut read = Vec::new();
    while let Some((&piece, after)) = rest.split_first() {
        let length = usize::from(piece >> 2);
        let taken = after.split_at(length.min(after.len()));
        match piece & 3 {
            // A frame.
            0 => {
                read.extend((taken.0.len() as u32).to_be_bytes());
                read.extend(taken.0);
            }
            // Bytes as they are.
            1 => read.extend(taken.0),
            // A header; its bytes may come or not.
            2 => read.extend((length as u32 * u32::from(unit)).to_be_bytes()),
            // What was collected is read at once.
            _ => reads.push_back(std::mem::take(&mut read)),
        }
        rest = if piece & 3 < 2 { taken.1 } else { after };
    }
    reads.push_back(read);
    // An empty read would be the end.
    reads.retain(|read| !read.is_empty());
    let callers = (0..requests >> 1 & 31).map(|number| (REQUEST, number % 3 == 2));
    Some(Script {
        max_frame_len: usize::from(unit) * 16,
        requests: callers.collect(),
        written: usize::from(written),
        reads,
        eof: requests & 1 == 1,
        share: NonZeroUsize::new(usize::from(requests >> 6)).unwrap_or(NonZeroUsize::MAX),
    })
}
