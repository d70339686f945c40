//! Any request over gRPC, in any pieces, and any time that it gives itself: taken or refused
//! as a plain reading of all of it says, as soon as that can be said.
#![no_main]

use std::time::Duration;

use hookwire::fuzz_bridge::grpc::{read_request, read_timeout, write_timeout};
use hookwire_fuzz::grpc::{first_fault, message, response};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64;

const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

fn check_message(bytes: &[u8]) {
    let (sent, body) = response(bytes);
    let pieces = sent.pieces;
    let expected = message(&body, LIMIT);
    let mut read = None;
    let counted = allocation_counter::measure(|| read = Some(read_request(&pieces, LIMIT)));
    let most = 4 * body.len() + 1024;
    assert!(counted.bytes_max as usize <= most, "{} for {}", counted.bytes_max, body.len());
    match read.expect("it was read") {
        Ok(message) => assert_eq!(Some(&message[..]), expected),
        Err((taken, code)) => {
            assert_eq!((expected, taken), (None, first_fault(&pieces, LIMIT)));
            let length = body
                .get(1..5)
                .map(|length| u32::from_be_bytes(length.try_into().expect("four bytes")) as usize);
            assert_eq!(
                code,
                match (body.first(), length) {
                    (Some(1), Some(_)) => UNIMPLEMENTED,
                    (Some(0), Some(length)) if length > LIMIT => RESOURCE_EXHAUSTED,
                    _ => INVALID_ARGUMENT,
                }
            );
        }
    }
}

/// In nanoseconds.
fn timeout(text: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let nanoseconds = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    is_number.then(|| digits.parse::<u128>().expect("digits") * nanoseconds)
}

fn check_timeout(text: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(text) else { return };
    match read_timeout(&value) {
        Ok(time) => assert_eq!(Some(time.as_nanos()), timeout(text)),
        Err(code) => assert_eq!((code, timeout(text)), (INVALID_ARGUMENT, None)),
    }
}

/// What the client writes is read as no more than it has, and not much less.
fn check_written(left: Duration) {
    const MOST: Duration = Duration::from_secs(99_999_999);
    let written = write_timeout(left);
    let read = read_timeout(&HeaderValue::try_from(written).expect("a header's value"));
    let read = read.expect("a timeout");
    let lost = left.min(MOST).checked_sub(read).expect("no longer than it has");
    let tolerated = (left / 99_999).max(Duration::from_micros(1));
    assert!(lost <= tolerated, "{lost:?} of {left:?}");
}

fuzz_target!(|bytes: &[u8]| {
    check_message(bytes);
    check_timeout(bytes);
    if let Some((number, rest)) = bytes.split_first_chunk() {
        let shift = u32::from(rest.first().copied().unwrap_or_default()) % 64;
        check_written(Duration::from_nanos(u64::from_le_bytes(*number) >> shift));
        check_written(Duration::from_secs(u64::from_le_bytes(*number) >> shift));
    }
});
