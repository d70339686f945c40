use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::yield_now;

use super::super::streams::Stream;
use super::*;

/// A stream with so many calls under way, and what comes out of it.
fn with_calls(count: usize) -> (Gathering<DuplexStream>, DuplexStream, Vec<Stream>) {
    let (near, far) = duplex(1024);
    let streams = Arc::new(Streams::new(100));
    let calls = (0..count).filter_map(|_| streams.enter()).collect();
    (Gathering::new(near, streams), far, calls)
}

#[tokio::test]
async fn who_is_alone_writes_at_once() {
    let (mut stream, _far, _call) = with_calls(1);
    assert!(stream.write_all(b"a request").now_or_never().is_some());
}

#[tokio::test]
async fn of_several_calls_the_first_waits_for_one_round_of_the_scheduler() {
    let (mut stream, mut far, _calls) = with_calls(2);
    let writer = tokio::spawn(async move {
        stream.write_all(b"a request").await.unwrap();
        stream
    });
    // Behind the writer in the queue, as the others' calls are.
    let before = tokio::spawn(async move {
        let mut bytes = [0; 9];
        let early = far.read_exact(&mut bytes).now_or_never().is_some();
        (early, far)
    });
    let (early, mut far) = before.await.unwrap();
    assert!(!early, "written before the others had their turn");
    let _stream = writer.await.unwrap();
    far.read_exact(&mut [0; 9]).now_or_never().unwrap().unwrap();
}

#[tokio::test]
async fn what_is_written_until_nothing_is_left_waits_once() {
    let (mut stream, _far, _calls) = with_calls(2);
    for _ in 0..2 {
        assert!(stream.write_all(b"headers").now_or_never().is_none());
        yield_now().await;
        for _ in 0..3 {
            assert!(stream.write_all(b"data").now_or_never().is_some());
        }
        stream.flush().await.unwrap();
    }
}
