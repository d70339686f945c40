//! Any response to a call over gRPC, in any pieces: it is a reply only where a plain reading
//! of all of it finds one message and an OK, and what else it is has words for people.
#![no_main]

use std::cell::RefCell;

use hookwire::fuzz_bridge::grpc::{Ended, Sent, exchange, read_reply};
use hookwire_fuzz::grpc::{first_fault, message, response};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

const LIMIT: usize = 64;
const REFUSED_STREAM: u32 = 7;

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

/// Of the one status that there is, or of several that are the same.
fn is_ok(headers: &HeaderMap) -> Option<bool> {
    let first = headers.get("grpc-status")?.as_bytes();
    let is_zero = !first.is_empty() && first.iter().all(|digit| *digit == b'0');
    let agree = headers.get_all("grpc-status").iter().all(|other| other.as_bytes() == first);
    Some(is_zero && agree)
}

fn is_allowed_to_be_a_reply(sent: &Sent) -> bool {
    let content_type = sent.headers.get("content-type").map_or(&b""[..], |value| value.as_bytes());
    let rest = content_type.strip_prefix(b"application/grpc");
    let is_grpc = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
    let early = is_ok(&sent.headers);
    let late = sent.trailers.as_ref().and_then(is_ok);
    sent.http_status == 200
        && is_grpc
        && early != Some(false)
        && late.or(early) == Some(true)
        && sent.reset.is_none()
}

fn check_words(words: &str) {
    assert!(!words.is_empty() && words.chars().count() < 400, "{words}");
    assert!(!words.contains(char::is_control), "{words:?}");
}

fuzz_target!(|bytes: &[u8]| {
    let (sent, body) = response(bytes);
    let expected = message(&body, LIMIT);

    let most = 4 * body.len() + LIMIT + 1024;
    let mut read = None;
    let counted = allocation_counter::measure(|| read = Some(read_reply(&sent.pieces, LIMIT)));
    assert!(counted.bytes_max as usize <= most, "{} for {}", counted.bytes_max, body.len());
    match read.expect("it was read") {
        Ok(message) => assert_eq!(Some(&message[..]), expected),
        Err((taken, words)) => {
            assert_eq!((expected, taken), (None, first_fault(&sent.pieces, LIMIT)), "{words}");
            check_words(&words);
        }
    }

    // The HTTP/2 library has had enough of so many headers, or of so many pieces without a byte or
    // with a few.
    let headers = sent.headers.len().max(sent.trailers.as_ref().map_or(0, HeaderMap::len));
    let is_too_much = sent.pieces.len() > 100 || headers > 200;
    let expected = expected.filter(|_| is_allowed_to_be_a_reply(&sent));
    // A reset may overtake what was sent before it.
    let is_refused = sent.reset == Some(REFUSED_STREAM);
    let ended = RUNTIME.with_borrow(|runtime| runtime.block_on(exchange(sent, LIMIT)));
    match ended {
        Ended::Reply(message) => assert_eq!(Some(&message[..]), expected),
        Ended::Refused => assert!(is_refused && expected.is_none()),
        Ended::Status(words) | Ended::Failed(words) => {
            assert_eq!(expected, None, "{words}");
            check_words(&words);
        }
        Ended::Other(what) => {
            let told = ["too_many_data_frames", "stream error detected"];
            assert!(is_too_much && told.iter().any(|told| what.contains(told)), "{what}");
        }
    }
});
