#!/usr/bin/env bash
# grpcio 1.85.1 (Python) and h2 0.4.20 (Rust): over a Unix socket the two cannot talk to each
# other, unless the client is told another authority.
#
# A gRPC client tells its server as whom it asks for it, in HTTP/2's `:authority`. For a target
# `unix:PATH` grpcio sends the path, with its slashes percent-encoded. h2, and so every server on
# hyper or tonic, takes an authority as URIs have it, where that is none, and resets the stream
# before the server sees the request. The client is told of an internal error or of one of the
# protocol, not of a name. With the option `grpc.default_authority` set to `localhost` the same call
# arrives. Programs that make their channel themselves and offer no such option, as the gRPC client
# of cpex 0.1.4 does, cannot reach such a server over a Unix socket at all.
#
# Seen, Python 3.11.7, Rust 1.95: the lines below EXPECTED. Fails if that changes.
set -eu
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2> /dev/null; rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.1
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "answers-nothing"
version = "0.0.0"
edition = "2024"
[dependencies]
h2 = "=0.4.20"
http = "=1.5.0"
tokio = { version = "=1.54.1", features = ["macros", "net", "rt"] }
TOML
cat > src/main.rs <<'RUST'
use std::env::args;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = tokio::net::UnixListener::bind(args().nth(1).unwrap()).unwrap();
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                // A reply without a message: gRPC's status 12, UNIMPLEMENTED.
                let reply = http::Response::builder()
                    .header("content-type", "application/grpc")
                    .header("grpc-status", "12");
                respond.send_response(reply.body(()).unwrap(), true).unwrap();
            }
        });
    }
}
RUST
timeout 300 cargo build --quiet
target/debug/answers-nothing "$dir/sock" > ready &
server=$!
for _ in $(seq 100); do grep -q ready ready && break; sleep 0.1; done
timeout 60 venv/bin/python - "$dir/sock" > seen 2> log <<'PYTHON'
import sys

import grpc

for options in ([], [("grpc.default_authority", "localhost")]):
    with grpc.insecure_channel("unix:" + sys.argv[1], options=options) as channel:
        try:
            channel.unary_unary("/any.Service/Method")(b"", timeout=10)
        except grpc.RpcError as error:
            arrived = error.code() is grpc.StatusCode.UNIMPLEMENTED
            print("the path as authority:" if not options else "localhost:", "answered" if arrived else "not answered")
PYTHON
cat seen
diff seen - <<'EXPECTED'
the path as authority: not answered
localhost: answered
EXPECTED
