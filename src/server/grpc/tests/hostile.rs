//! Whatever comes in, the server goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::raw::{
    DATA, GOAWAY, PING, PREFACE, RST_STREAM, SETTINGS, call, call_headers, frame, head, next, reset,
};
use super::*;

/// Bytes from a generator of numbers: the same in every run.
fn noise(mut seed: u64, count: usize) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn bytes_that_are_no_http_2_end_their_connection_only() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let good = Client::to(&server).await;
    let settings = raw::begun();
    let with_settings = |bytes: &[u8]| [&settings[..], bytes].concat();
    let mut all = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        PREFACE[..10].to_vec(),
        // A frame that is longer than allowed, headers of nothing, data for no stream, a
        // window of nothing, a ping of the wrong length.
        with_settings(&head(0xff_ffff, 0, 0, 1)),
        with_settings(&[head(3, 1, 5, 1), b"\xff\xff\xff".to_vec()].concat()),
        with_settings(&head(0, 0, 1, 99)),
        with_settings(&[head(4, 8, 0, 0), vec![0; 4]].concat()),
        with_settings(&head(0, 6, 0, 0)),
    ];
    all.extend((0..20).map(|seed| noise(seed, 500)));
    all.extend((0..20).map(|seed| with_settings(&noise(seed, 500))));
    for bytes in all {
        let mut stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answered = Vec::new();
        let _ = within(stream.read_to_end(&mut answered)).await;
        good.invoke().await.message();
    }
}

#[tokio::test]
async fn bodies_that_are_no_message_are_told_by_the_status() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    for seed in 0..50 {
        let body = noise(seed, seed as usize);
        let response = within(client.send(INVOKE, &[], body)).await.unwrap();
        assert_ne!(within(Answer::of(response)).await.unwrap().code, 0);
        let message = noise(seed, 1 + seed as usize);
        // Garbage may be a message with unknown fields only.
        client.call(INVOKE, &message).await;
    }
    client.invoke().await.message();
}

#[tokio::test]
async fn headers_beyond_all_measure_are_refused() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let long = "x".repeat(60_000);
    let sent = within(client.send(INVOKE, &[("x", &long)], framed(&invocation()))).await;
    let refused = sent.map(|response| response.status());
    assert!(!matches!(refused, Ok(StatusCode::OK)), "{refused:?}");
    Client::to(&server).await.invoke().await.message();
}

#[tokio::test]
async fn calls_that_are_reset_at_once_harm_nobody() {
    let gate = Gate::new();
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let (bad, good) = (Client::to(&server).await, Client::to(&server).await);
    for _ in 0..500 {
        let call = waiting_call(&bad);
        tokio::task::yield_now().await;
        call.abort();
    }
    gate.open.add_permits(1000);
    good.invoke().await.message();
}

/// What a server finds that was stopped for a while: calls, each with its reset behind it.
#[tokio::test]
async fn calls_that_were_reset_meanwhile_do_not_cost_the_others_their_connection() {
    let (_server, mut near) = InMemory::start(echo(), Limits::default());
    let mut bytes = raw::begun();
    for stream in (1..600).step_by(2) {
        bytes.extend([call_headers(stream), reset(stream)].concat());
    }
    // A call that stays.
    bytes.extend(call(601));
    near.write_all(&bytes).await.unwrap();
    loop {
        let got = next(&mut near).await;
        assert_ne!(got.kind, GOAWAY, "{got:?}");
        if (got.kind, got.stream) == (DATA, 601) {
            break;
        }
    }
}

/// A server that counts the handlers that have begun.
fn counting() -> (PluginServerBuilder, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let handlers = Handlers::new().on::<ToolPreInvoke>(move |_, _| {
        counted.fetch_add(1, SeqCst);
        async { Ok(PluginResult::allow()) }
    });
    (PluginServer::builder().plugin("Echo", handlers), begun)
}

/// Waits until all that was written before it is looked at, and all tasks have had their turns.
async fn looked_at(stream: &mut DuplexStream) {
    stream.write_all(&frame(PING, 0, 0, &[7; 8])).await.unwrap();
    while !matches!(next(stream).await, raw::Got { kind: PING, flags: 1, .. }) {}
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// As a server finds them that was stopped for a while.
#[tokio::test]
async fn a_call_whose_reset_came_with_it_begins_no_handler() {
    let (server, begun) = counting();
    let (_server, mut near) = InMemory::start(server, Limits::default());
    let mut bytes = raw::begun();
    for stream in (1..20).step_by(2) {
        bytes.extend([call(stream), reset(stream)].concat());
    }
    near.write_all(&bytes).await.unwrap();
    looked_at(&mut near).await;
    assert_eq!(begun.load(SeqCst), 0);
}

/// The library takes a reset without an error (NO_ERROR) for the end of its body.
#[tokio::test]
async fn a_whole_message_whose_stream_is_reset_before_its_end_begins_no_handler() {
    let (server, begun) = counting();
    let (_server, mut near) = InMemory::start(server, Limits::default());
    near.write_all(&raw::begun()).await.unwrap();
    let message = framed(&invocation());
    for (at, together) in [true, false].into_iter().enumerate() {
        for code in 0..14_u32 {
            let stream = 1 + 2 * (14 * at as u32 + code);
            let call = [call_headers(stream), frame(DATA, 0, stream, &message)].concat();
            near.write_all(&call).await.unwrap();
            if !together {
                looked_at(&mut near).await;
            }
            near.write_all(&frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await.unwrap();
            looked_at(&mut near).await;
            assert_eq!(begun.load(SeqCst), 0, "{code} {together}");
        }
    }
    near.write_all(&call(99)).await.unwrap();
    while next(&mut near).await.kind != DATA {}
    assert_eq!(begun.load(SeqCst), 1, "the connection goes on");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cut_anywhere_begins_no_handler() {
    let bytes = [raw::begun(), call(1)].concat();
    for cut in 0..bytes.len() {
        let (server, begun) = counting();
        let (server, mut near) = InMemory::start(server, Limits::default());
        near.write_all(&bytes[..cut]).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        drop(near);
        let _ = within(server.served).await.unwrap();
        assert_eq!((begun.load(SeqCst), server.memory.held()), (0, 0), "{cut}");
    }
    let (server, begun) = counting();
    let (_server, mut near) = InMemory::start(server, Limits::default());
    near.write_all(&bytes).await.unwrap();
    while next(&mut near).await.kind != DATA {}
    assert_eq!(begun.load(SeqCst), 1);
}

/// The numbers of the protocol: calls at once, window of a stream, bytes of headers.
#[tokio::test]
async fn a_client_is_told_what_it_may_send() {
    for (streams, window) in [(256, 256 * 1024), (1000, 1000 * 1024)] {
        let limits = Limits { max_concurrent_streams: streams, ..Limits::default() };
        let (_server, mut near) = InMemory::start(echo(), limits);
        near.write_all(&raw::begun()).await.unwrap();
        let settings = next(&mut near).await;
        assert_eq!(settings.kind, SETTINGS, "they come first");
        let told: BTreeMap<u16, u32> = settings
            .payload
            .chunks(6)
            .map(|told| {
                let (key, value) = told.split_at(2);
                (
                    u16::from_be_bytes(key.try_into().unwrap()),
                    u32::from_be_bytes(value.try_into().unwrap()),
                )
            })
            .collect();
        assert_eq!((told[&3], told[&4], told[&6]), (streams, window, 16 * 1024));
    }
}
