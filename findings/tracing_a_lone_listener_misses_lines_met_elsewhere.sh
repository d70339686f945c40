#!/usr/bin/env bash
# tracing-core 0.1.36: while one subscriber exists, and it is one thread's (`set_default`), a line that
# another thread comes to first is off for that subscriber, too.
#
# Whether anybody wants an event is asked once for each place in the code, and kept for the process. With
# two subscribers alive both are asked. With one, the thread that comes first is asked for its default
# subscriber, for that is taken to be the one there is; a thread without a default has none, nobody
# wants the event, and that is kept until the next subscriber is made. So a test that reads its own
# log loses lines when a test without a log runs beside it and is the first to write them.
#
# Seen, tracing 0.1.44, tracing-subscriber 0.3.23:
#   alone, met elsewhere first: 0 of 1 lines
#   alone, met here first: 1 of 1 lines
#   beside a second subscriber, met elsewhere first: 1 of 1 lines
# Fails if that changes. Needs cargo.
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
tracing = { version = "=0.1.44", default-features = false, features = ["std"] }
tracing-core = "=0.1.36"
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["fmt", "std"] }
[workspace]
TOML
cat > src/main.rs <<'RUST'
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listening(line: impl FnOnce()) -> usize {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, line);
    let text = log.0.lock().unwrap();
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn elsewhere(line: fn()) {
    std::thread::spawn(line).join().unwrap();
}

fn first() {
    tracing::info!("first");
}

fn second() {
    tracing::info!("second");
}

fn third() {
    tracing::info!("third");
}

fn main() {
    let lost = listening(|| {
        elsewhere(first);
        first();
    });
    println!("alone, met elsewhere first: {lost} of 1 lines");
    let here = listening(|| {
        second();
        elsewhere(second);
    });
    println!("alone, met here first: {here} of 1 lines");
    let _another = Dispatch::new(tracing_subscriber::registry());
    let both = listening(|| {
        elsewhere(third);
        third();
    });
    println!("beside a second subscriber, met elsewhere first: {both} of 1 lines");
    assert_eq!((lost, here, both), (0, 1, 1));
}
RUST
CARGO_TERM_COLOR=never CARGO_TARGET_DIR="$dir/target" timeout 300 cargo run --quiet
