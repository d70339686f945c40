//! What a server may do with single frames, and what this side sends of its own accord.

use super::goaway::{DATA, END_HEADERS, END_STREAM, HEADERS, accept, plugin, plugin_with};
use super::*;

const PING: u8 = 6;
const SECOND: Duration = Duration::from_secs(1);

fn begin(plugin: &Arc<GrpcPlugin>, timeout: Duration) -> JoinHandle<Result<Reply, Box<Failure>>> {
    let plugin = Arc::clone(plugin);
    tokio::spawn(async move { plugin.exchange(hook("a", timeout)).await })
}

/// The reference's server ends the running call at the fifth of them.
#[tokio::test(start_paused = true)]
async fn no_ping_is_sent_however_long_a_call_runs() {
    let settings = Settings { keep_alive: Some(SECOND), ..Settings::default() };
    let (plugin, mut connections) = plugin_with(settings);
    let call = begin(&plugin, SECOND * 3600);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    let mut checks = 0;
    let hour = tokio::time::timeout(SECOND * 3000, async {
        loop {
            let (kind, flags, stream) = wire.read().await;
            assert_ne!(kind, PING);
            if kind == DATA && flags & END_STREAM > 0 {
                checks += 1;
                wire.answer(stream).await;
            }
        }
    });
    assert!(hour.await.is_err());
    assert!(checks > 1000, "{checks}");
    wire.answer(stream).await;
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn interim_answers_are_no_reply_however_many_come() {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin, TIMEOUT);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    for _ in 0..10_000 {
        // `:status: 103`
        wire.write(HEADERS, END_HEADERS, stream, &[0x08, 3, b'1', b'0', b'3']).await;
    }
    settle().await;
    assert!(!call.is_finished());
    wire.answer(stream).await;
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_has_begun_was_not_passed_over_whatever_its_server_says() {
    let (plugin, mut connections) = plugin();
    let call = begin(&plugin, TIMEOUT);
    let mut wire = accept(&mut connections).await;
    let stream = wire.request().await;
    let mut head = vec![0x88, 0x5f, 16];
    head.extend_from_slice(b"application/grpc");
    wire.write(HEADERS, END_HEADERS, stream, &head).await;
    wire.go_away(stream - 2, 0).await;
    let (cause, sent) = failed(call.await.unwrap());
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}
