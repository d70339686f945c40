//! What may come back for a call, and what its caller learns.

use h2::Reason;

use super::fake::{Do, Seen};
use super::*;
use crate::unix::reconnect::ConnectionState;

#[tokio::test(start_paused = true)]
async fn a_reply_comes_back_over_the_stream_of_its_call() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.plugin.state(), ConnectionState::Idle);
    let calls: Vec<_> =
        (0..50).map(|call| bench.begin(hook(&format!("call {call}"), TIMEOUT))).collect();
    for (call, answer) in calls.into_iter().enumerate() {
        let reply = answer.await.unwrap().unwrap();
        assert_eq!(&reply.message[..], format!("call {call}").as_bytes());
    }
    assert_eq!(bench.plugin.state(), ConnectionState::Ready);
    assert_eq!(bench.one().connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_method_has_its_path_and_no_message_asks_for_all() {
    let mut bench = Bench::new(1);
    for (method, message, path) in [
        (Method::InvokeHook, "a", "/cpex.PluginService/InvokeHook"),
        (Method::GetConfig, "a", "/cpex.PluginService/GetPluginConfig"),
        (Method::Check, "a", "/cpex.PluginService/GetPluginConfig"),
        (Method::GetConfig, "", "/cpex.PluginService/GetPluginConfigs"),
    ] {
        let reply = bench.plugin.exchange(outbound(method, message.as_bytes(), TIMEOUT)).await;
        assert_eq!(&reply.unwrap().message[..], message.as_bytes());
        assert_eq!(bench.one().called().await, path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_alone_is_waited_for_without_a_call() {
    let mut bench = Bench::new(1);
    let reply = bench.plugin.exchange(outbound(Method::Connect, b"", TIMEOUT)).await.unwrap();
    assert!(reply.message.is_empty());
    assert_eq!(bench.one().calls(), 0);
    assert_eq!(bench.one().connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_is_left_goes_out_with_the_call() {
    let mut bench = Bench::new(1);
    bench.plugin.exchange(hook("a", Duration::from_millis(1500))).await.unwrap();
    let seen = bench.one().seen.recv().await.unwrap();
    let Seen::Call { timeout, .. } = seen else { panic!("{seen:?}") };
    assert_eq!(timeout, "1500000u");
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_pieces_is_put_together() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Pieces);
    let reply = bench.call("in many pieces").await.unwrap();
    assert_eq!(&reply.message[..], b"in many pieces");
}

#[tokio::test(start_paused = true)]
async fn a_message_with_a_bad_status_behind_it_is_no_reply() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Late(13));
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert!(cause.to_string().contains("INTERNAL"), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_an_error_of_its_kind_and_may_have_run() {
    let mut bench = Bench::new(1);
    for (code, message, words) in [
        (1, "CANCELLED", "the server answered CANCELLED: CANCELLED"),
        (2, "Unexpected%20%3Cclass%3E", "answered UNKNOWN: Unexpected <class>"),
        (
            7,
            "who%20are%20you",
            "is not trusted (1 attempt failed): the server answered PERMISSION_DENIED",
        ),
        (
            12,
            "Method not found!",
            "the server answered UNIMPLEMENTED: Method not found!; is it a plugin server",
        ),
        (14, "Cancelling all calls", "answered UNAVAILABLE: Cancelling all calls"),
        (16, "", "is not trusted (1 attempt failed): the server answered UNAUTHENTICATED"),
        (99, "", "the server answered the unknown status 99"),
        (
            8,
            "SERVER: Received message larger than max (4194305 vs. 4194304)",
            "the request is 1 bytes, the limit is 4194304;",
        ),
    ] {
        bench.one().does(Do::Status(code, message));
        let (cause, sent) = bench.failure("a").await;
        assert!(cause.to_string().contains(words), "{cause}");
        assert!(!cause.to_string().contains("connection was lost"), "{cause}");
        assert_eq!(sent, Sent::Maybe, "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn ok_without_a_message_is_no_reply() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Status(0, ""));
    let (cause, sent) = bench.failure("a").await;
    assert!(cause.to_string().contains("ended within its message"), "{cause}");
    assert_eq!(sent, Sent::Maybe);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_grpc_is_told_as_what_it_is() {
    let mut bench = Bench::new(1);
    let two = [&[0, 0, 0, 0, 1, 7][..], &[0, 0, 0, 0, 1, 7]].concat();
    for (what, words) in [
        (Do::Http(503), "UNAVAILABLE: the answer is HTTP 503"),
        (Do::Http(403), "PERMISSION_DENIED: the answer is HTTP 403"),
        (Do::ContentType("text/html"), "the content-type of the reply is `text/html`"),
        // Found by fuzzing.
        (Do::ContentType("text/\thtml"), "the content-type of the reply is `text/ html`"),
        (Do::Http(413), "takes no request of that size (HTTP 413)"),
        (Do::ContentType("application/grpcx"), "the content-type of the reply"),
        (Do::NoTrailers, "the reply ended without a status"),
        (Do::Raw(two), "the reply is more than one message"),
        (Do::Raw(vec![1, 0, 0, 0, 1, 7]), "the reply is compressed"),
        (Do::Raw(vec![0, 0, 0, 0, 2, 7]), "the reply ended within its message"),
        (Do::Raw(vec![0, 0, 0]), "the reply ended within its message"),
        (Do::Raw(vec![0, 255, 0, 0, 0, 7]), "the reply is 4278190080 bytes, the limit is 16777216"),
    ] {
        bench.one().does(what);
        let (cause, sent) = bench.failure("a").await;
        assert!(cause.to_string().contains(words), "{cause}");
        assert_eq!(sent, Sent::Maybe, "{cause}");
    }
    // All of that was on one connection, and the next call is in order.
    bench.one().does(Do::Echo);
    assert_eq!(&bench.call("b").await.unwrap().message[..], b"b");
    assert_eq!(bench.one().connects(), 1);
}

/// Our own side ends its stream, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn a_reply_with_endless_headers_is_a_bad_reply_and_counts_against_its_server() {
    let mut bench = Bench::new(1);
    let words = Box::leak("x".repeat(20_000).into_boxed_str());
    bench.one().next(Do::Status(14, words));
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Framing(_)), "{cause}");
    assert!(cause.to_string().contains("headers"), "{cause}");
    assert_eq!(sent, Sent::Maybe);
    assert_eq!(bench.plugin.shared().lock().admission.standing(0).failures, 1);
    bench.call("b").await.unwrap();
    assert_eq!(bench.one().connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reply_up_to_the_limit_is_taken_and_one_byte_more_is_not() {
    let settings = Settings { max_reply_len: 300_000, ..Settings::default() };
    let bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    let text = "x".repeat(300_000);
    assert_eq!(bench.call(&text).await.unwrap().message.len(), 300_000);
    let (cause, _) = bench.failure(&format!("{text}x")).await;
    assert!(cause.to_string().contains("300001 bytes, the limit is 300000"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_request_above_the_limit_is_refused_before_anything_is_opened() {
    let settings = Settings { max_request_len: 3, ..Settings::default() };
    let mut bench = Bench::with(1, settings, CallPolicy::builder().build().unwrap());
    let (cause, sent) = bench.failure("four").await;
    assert!(matches!(cause, Cause::MessageTooLarge { size: 4, limit: Some(3) }));
    assert_eq!((sent, bench.one().connects()), (Sent::No, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_may_have_run_and_is_not_sent_again() {
    let mut bench = Bench::new(1);
    bench.one().next(Do::Reset(Reason::REFUSED_STREAM));
    let (cause, sent) = bench.failure("a").await;
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
    assert_eq!((sent, bench.one().calls()), (Sent::Maybe, 1), "a proxy may have passed it on");
    assert_eq!(&bench.call("b").await.unwrap().message[..], b"b");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_for_another_reason_may_have_run_and_is_not_tried_again() {
    let mut bench = Bench::new(1);
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::ENHANCE_YOUR_CALM] {
        bench.one().next(Do::Reset(reason));
        bench.one().calls();
        let (cause, sent) = bench.failure("a").await;
        assert!(matches!(cause, Cause::Disconnected(_)), "{cause}");
        assert_eq!((sent, bench.one().calls()), (Sent::Maybe, 1));
    }
}
