#!/usr/bin/env bash
# hyper 1.12.0, h2 0.4.20: a response that its server has reset ends as if it were whole, and a reset takes
# back what its server had said before.
#
# A server of HTTP/2 may reset a stream with NO_ERROR behind a whole response, so that the client stops
# sending (RFC 9113, 8.1). hyper's client takes that reset for the end of the body wherever it comes: of a
# response without its END_STREAM, as of a proxy that is stopped, the first part is all there is, and no
# error. Only `is_end_stream`, which is false then, tells. With another code it is an error. What is to be
# whole must say so by itself, as gRPC's trailers do.
#
# The other way round, `send_reset` of h2's server drops what `send_response` and `send_data` were given
# before it and was not written yet: who sends a reply and a reset in one turn has sent the reset.
#
# Seen:
#   reset with NO_ERROR behind a part: hello, then the end; is_end_stream: false
#   reset with CANCEL behind a part: hello, then an error
#   END_STREAM: hello, then the end; is_end_stream: true
#   response, data and reset in one turn: an error, and no response
# Fails if that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
bytes = "1"
h2 = "=0.4.20"
http = "1"
http-body-util = "0.1"
hyper = { version = "=1.12.0", features = ["client", "http2"] }
hyper-util = { version = "0.1", features = ["tokio"] }
tokio = { version = "1", features = ["io-util", "macros", "rt", "sync"] }
[workspace]
TOML
cat > src/main.rs <<'RUST'
use bytes::Bytes;
use h2::Reason;
use http_body_util::{BodyExt, Empty};
use hyper::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;

/// How the server ends its response, and whether its client has read what came before.
async fn response(reason: Option<Reason>, after_it_was_read: bool) -> String {
    let (near, far) = tokio::io::duplex(65_536);
    let (read, was_read) = oneshot::channel();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
        body.send_data(Bytes::from("hello"), false).unwrap();
        if !after_it_was_read {
            body.send_reset(reason.unwrap());
            while connection.accept().await.is_some() {}
            return;
        }
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
        was_read.await.unwrap();
        match reason {
            Some(reason) => body.send_reset(reason),
            None => body.send_data(Bytes::new(), true).unwrap(),
        }
    });
    let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near));
    let (mut sender, connection) = client.await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::new(Empty::<Bytes>::new());
    let Ok(response) = sender.send_request(request).await else {
        return "an error, and no response".to_owned();
    };
    let mut body = response.into_body();
    let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let part = String::from_utf8(part.to_vec()).unwrap();
    read.send(()).unwrap();
    loop {
        match body.frame().await {
            None => return format!("{part}, then the end; is_end_stream: {}", body.is_end_stream()),
            Some(Err(_)) => return format!("{part}, then an error"),
            Some(Ok(frame)) => assert!(frame.into_data().unwrap().is_empty()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let no_error = response(Some(Reason::NO_ERROR), true).await;
    println!("reset with NO_ERROR behind a part: {no_error}");
    println!("reset with CANCEL behind a part: {}", response(Some(Reason::CANCEL), true).await);
    println!("END_STREAM: {}", response(None, true).await);
    let in_one_turn = response(Some(Reason::CANCEL), false).await;
    println!("response, data and reset in one turn: {in_one_turn}");
}
RUST
CARGO_TARGET_DIR="$dir/target" timeout 500 cargo build --quiet
timeout 60 target/debug/finding > seen
cat seen
diff seen - <<'EXPECTED'
reset with NO_ERROR behind a part: hello, then the end; is_end_stream: false
reset with CANCEL behind a part: hello, then an error
END_STREAM: hello, then the end; is_end_stream: true
response, data and reset in one turn: an error, and no response
EXPECTED
