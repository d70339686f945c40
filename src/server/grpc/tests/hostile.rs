//! Whatever comes in, the server goes on.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of an HTTP/2 frame on a stream.
fn head(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat()
}

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
    let settings = [PREFACE, &head(0, 4, 0, 0)].concat();
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

/// The head of a call in HPACK, without its dictionary.
fn call_headers() -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    // POST, http, then literals: the path, the authority, the content type.
    let mut headers = vec![0x83, 0x86, 0x04];
    headers.extend(text(INVOKE));
    headers.push(0x01);
    headers.extend(text("server"));
    headers.extend([0x0f, 0x10]);
    headers.extend(text("application/grpc"));
    headers
}

/// What a server finds that was stopped for a while: calls, each with its reset behind it.
#[tokio::test]
async fn calls_that_were_reset_meanwhile_do_not_cost_the_others_their_connection() {
    let (_server, mut near) = InMemory::start(echo(), Limits::default());
    let headers = call_headers();
    let mut bytes = [PREFACE, &head(0, 4, 0, 0)].concat();
    for stream in (1..600).step_by(2) {
        bytes.extend(head(headers.len() as u32, 1, 4, stream));
        bytes.extend(&headers);
        bytes.extend(head(4, 3, 0, stream));
        bytes.extend(8_u32.to_be_bytes());
    }
    // A call that stays.
    bytes.extend(head(headers.len() as u32, 1, 4, 601));
    bytes.extend(&headers);
    let body = framed(&invocation());
    bytes.extend(head(body.len() as u32, 0, 1, 601));
    bytes.extend(&body);
    near.write_all(&bytes).await.unwrap();

    let answered = async {
        loop {
            let mut frame = [0; 9];
            near.read_exact(&mut frame).await.unwrap();
            let [a, b, c, kind, _, stream @ ..] = frame;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            near.read_exact(&mut payload).await.unwrap();
            assert_ne!(kind, 7, "GOAWAY: {payload:?}");
            if (kind, u32::from_be_bytes(stream)) == (0, 601) {
                break;
            }
        }
    };
    within(answered).await;
}

/// As a server finds them that was stopped for a while.
#[tokio::test]
async fn a_call_whose_reset_came_with_it_begins_no_handler() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let handlers = Handlers::new().on::<ToolPreInvoke>(move |_, _| {
        counted.fetch_add(1, SeqCst);
        async { Ok(PluginResult::allow()) }
    });
    let server = PluginServer::builder().plugin("Echo", handlers);
    let (_server, mut near) = InMemory::start(server, Limits::default());
    let (headers, body) = (call_headers(), framed(&invocation()));
    let mut bytes = [PREFACE, &head(0, 4, 0, 0)].concat();
    for stream in (1..20).step_by(2) {
        bytes.extend(head(headers.len() as u32, 1, 4, stream));
        bytes.extend(&headers);
        bytes.extend(head(body.len() as u32, 0, 1, stream));
        bytes.extend(&body);
        bytes.extend(head(4, 3, 0, stream));
        bytes.extend(8_u32.to_be_bytes());
    }
    // Answered after all that came before it was looked at.
    bytes.extend(head(8, 6, 0, 0));
    bytes.extend([7; 8]);
    near.write_all(&bytes).await.unwrap();
    let answered = async {
        loop {
            let mut frame = [0; 9];
            near.read_exact(&mut frame).await.unwrap();
            let [a, b, c, kind, flags, ..] = frame;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            near.read_exact(&mut payload).await.unwrap();
            if (kind, flags) == (6, 1) {
                break;
            }
        }
    };
    within(answered).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.load(SeqCst), 0);
}
