#!/usr/bin/env bash
# tokio 1.54.1: `UnixStream::try_read` answers WouldBlock although the bytes lie in the socket.
#
# `try_read` looks at readiness that was noted, and asks the kernel only if it says "ready". After one
# WouldBlock that note is cleared, and set again only when the runtime has polled its driver. Until
# then the answer is WouldBlock without a system call, whatever has arrived: a loop over `try_read`
# without an await in it never ends, and "is there something yet?" before blocking work is answered
# as of the last turn of the driver. A read of the same descriptor past tokio finds the bytes.
#
# Seen, on Linux, current-thread runtime:
#   before anything is sent: WouldBlock
#   with 5 bytes there, 1000 times: WouldBlock
#   the kernel at that moment: 5 bytes
#   after an await of readable(): 5 bytes
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
tokio = { version = "=1.54.1", features = ["macros", "net", "rt"] }
rustix = { version = "1.1", features = ["net"] }
[workspace]
TOML
cat > src/main.rs <<'RUST'
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream as Blocking;

use rustix::net::{recv, RecvFlags};
use tokio::net::UnixStream;

fn asked(stream: &UnixStream) -> String {
    match stream.try_read(&mut [0; 16]) {
        Ok(count) => format!("{count} bytes"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => "WouldBlock".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (ours, mut theirs) = Blocking::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = UnixStream::from_std(ours).unwrap();
    println!("before anything is sent: {}", asked(&ours));

    theirs.write_all(b"hello").unwrap();
    let answers: Vec<_> = (0..1000).map(|_| asked(&ours)).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    println!("with 5 bytes there, 1000 times: {}", answers[0]);

    let (_, there) = recv(&ours, &mut [0; 16], RecvFlags::PEEK).unwrap();
    println!("the kernel at that moment: {there} bytes");

    ours.readable().await.unwrap();
    println!("after an await of readable(): {}", asked(&ours));
}
RUST
CARGO_TARGET_DIR="$dir/target" timeout 500 cargo build --quiet
timeout 60 target/debug/finding > seen
cat seen
diff seen - <<'EXPECTED'
before anything is sent: WouldBlock
with 5 bytes there, 1000 times: WouldBlock
the kernel at that moment: 5 bytes
after an await of readable(): 5 bytes
EXPECTED
