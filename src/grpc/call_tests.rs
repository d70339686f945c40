use futures::FutureExt as _;
use proptest::prelude::*;

use super::super::open::CONNECTION_WINDOW;
use super::*;

#[test]
fn the_time_that_is_left_has_at_most_eight_digits() {
    for (left, expected) in [
        (Duration::ZERO, "0u"),
        (Duration::from_millis(1500), "1500000u"),
        (Duration::from_micros(99_999_999), "99999999u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(100_000), "100000S"),
        (Duration::from_secs(86_400 * 365), "31536000S"),
        (Duration::MAX, "99999999S"),
    ] {
        assert_eq!(timeout(left), expected);
    }
}

#[test]
fn a_content_type_is_grpc_with_or_without_a_format() {
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        assert!(is_grpc(kind.as_bytes()), "{kind}");
    }
    for kind in ["", "application/grpcweb", "application/grp", "text/html"] {
        assert!(!is_grpc(kind.as_bytes()), "{kind}");
    }
}

#[tokio::test]
async fn a_reply_that_is_broken_off_is_a_lost_call_whatever_the_reason() {
    for reason in [h2::Reason::NO_ERROR, h2::Reason::CANCEL, h2::Reason::REFUSED_STREAM] {
        let (mut server, sender) = connected(100).await;
        let call = begin(&sender);
        let (_request, mut respond) = server.accept().await.unwrap().unwrap();
        let mut head = http::Response::new(());
        head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let mut body = respond.send_response(head, false).unwrap();
        body.send_data(Bytes::from_static(&[0, 0, 0, 0, 1]), false).unwrap();
        serve(&mut server).await;
        body.send_reset(reason);
        serve(&mut server).await;
        let fault = call.await.unwrap().unwrap_err();
        assert!(matches!(fault, Fault::Failed(Cause::Disconnected(_))), "{fault:?}");
    }
}

type Server = h2::server::Connection<tokio::io::DuplexStream, Bytes>;

/// A server that allows so many calls at a time, and its client.
async fn connected(streams: u32) -> (Server, Sender) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let server = async {
        let mut builder = h2::server::Builder::new();
        let server = builder.max_concurrent_streams(streams).handshake::<_, Bytes>(server).await;
        server.unwrap()
    };
    let client = async {
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        builder.max_concurrent_reset_streams(1000).handshake(client).await
    };
    let (server, client) = tokio::join!(server, client);
    let (sender, connection) = client.unwrap();
    tokio::spawn(connection);
    (server, Sender::new(sender, Arc::default()))
}

fn begin(sender: &Sender) -> tokio::task::JoinHandle<Result<Bytes, Fault>> {
    let (sender, frame) = (sender.clone(), Bytes::from_static(&[0, 0, 0, 1, 7]));
    let path = Uri::from_static("http://server/method");
    tokio::spawn(async move { call(&sender, &path, frame, Duration::MAX, 100).await })
}

/// Reads and writes until both sides have come to rest; no call begins meanwhile.
async fn serve(server: &mut Server) {
    for _ in 0..100 {
        let accepted = server.accept().now_or_never().flatten();
        assert!(!matches!(accepted, Some(Ok(_))));
        tokio::task::yield_now().await;
    }
}

/// The chaos run saw it told as the end of the gateway.
#[tokio::test]
async fn a_call_that_waits_for_a_stream_is_disconnected_when_its_connection_is_lost() {
    let (mut server, sender) = connected(1).await;
    let first = begin(&sender);
    let held = server.accept().await.unwrap().unwrap();
    let second = begin(&sender);
    serve(&mut server).await;
    drop((held, server));
    for call in [first, second] {
        let fault = call.await.unwrap().unwrap_err();
        assert!(matches!(fault, Fault::Lost(Cause::Disconnected(_))), "{fault:?}");
    }
}

/// Otherwise nobody else would get it, and what is left of the request would lie there for good.
#[tokio::test]
async fn a_call_that_is_left_before_its_request_was_taken_frees_its_stream() {
    let (mut server, sender) = connected(1).await;
    let stuck = {
        let (sender, frame) = (sender.clone(), Bytes::from(vec![0; 256 * 1024]));
        let path = Uri::from_static("http://server/method");
        tokio::spawn(async move { call(&sender, &path, frame, Duration::MAX, 100).await })
    };
    let _taken_in_part = server.accept().await.unwrap().unwrap();
    serve(&mut server).await;
    stuck.abort();
    let _next = begin(&sender);
    let accepted = async { while server.accept().await.unwrap().is_err() {} };
    tokio::time::timeout(Duration::from_secs(5), accepted).await.unwrap();
}

/// They are small, and h2 ends a connection on which too many such are not read: how many it bears
/// follows from the connection's window.
#[tokio::test]
async fn replies_that_nobody_waits_for_do_not_end_the_connection() {
    let (mut server, sender) = connected(1).await;
    for _ in 0..200 {
        let left = begin(&sender);
        let (_request, mut respond) = server.accept().await.unwrap().unwrap();
        serve(&mut server).await;
        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), false).unwrap();
        // The caller leaves before its connection reads what is written then.
        left.abort();
        serve(&mut server).await;
    }
    assert!(sender.refusal().is_none());
}

proptest! {
    /// However the bytes are cut: one whole message of a length that is allowed, or an error.
    #[test]
    fn a_reply_is_one_message_however_it_comes(
        message in prop::collection::vec(any::<u8>(), 0..50),
        spoilt in prop::option::of((0_usize..60, any::<u8>())),
        rest in prop::collection::vec(any::<u8>(), 0..3),
        cuts in prop::collection::vec(0_usize..60, 0..5),
    ) {
        let mut bytes = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        bytes.extend_from_slice(&message);
        bytes.extend_from_slice(&rest);
        if let Some((at, byte)) = spoilt && at < bytes.len() {
            bytes[at] = byte;
        }
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut reply = Reply::new(40);
        let mut from = 0;
        let mut outcome = Ok(());
        for cut in cuts {
            outcome = outcome.and_then(|()| reply.push(Bytes::copy_from_slice(&bytes[from..cut])));
            from = cut;
        }
        let found = outcome.and_then(|()| reply.finish()).ok();
        let length = bytes.get(1..5).map(|length| u32::from_be_bytes(length.try_into().unwrap()));
        let whole = bytes[0] == 0 && length == Some((bytes.len() - 5) as u32) && bytes.len() <= 45;
        prop_assert_eq!(found.as_deref(), whole.then(|| &bytes[5..]));
    }
}

// Promise: C3
#[test]
fn a_reply_that_is_only_announced_gets_room_for_what_is_trusted_and_no_more() {
    const LIMIT: usize = 16 * 1024 * 1024;
    let mut reply = Reply::new(LIMIT);
    let announced = u32::try_from(LIMIT).unwrap().to_be_bytes();
    reply.push([&[0][..], &announced].concat().into()).unwrap();
    reply.push(Bytes::from_static(b"x")).unwrap();
    assert!(reply.rest.capacity() <= 2 * TRUSTED, "{}", reply.rest.capacity());
}
