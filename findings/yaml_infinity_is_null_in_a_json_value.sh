#!/usr/bin/env bash
# serde_json 1.0.154 and serde_norway 0.9.42 (Rust): a limit of `.inf` in a YAML file reads as
# "not set" once it has gone through `serde_json::Value`.
#
# JSON has no infinities, and `Value` takes one without an error: it becomes null. So a file that is
# first read as `serde_json::Value` (to validate it, to merge it, to look at one key) and then as a
# type of one's own has an empty option where `.inf` was written, while the same file read straight
# into that type has the infinity. "No limit" becomes the default limit.
#
# Seen, for `limit: .inf`:
#   straight: Some(inf)
#   through serde_json::Value: None
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
serde = { version = "1", features = ["derive"] }
serde_json = "=1.0.154"
serde_norway = "=0.9.42"
[workspace]
TOML
cat > src/main.rs <<'RUST'
#[derive(serde::Deserialize)]
struct Limits {
    limit: Option<f64>,
}

fn main() {
    let file = "limit: .inf";
    let straight: Limits = serde_norway::from_str(file).unwrap();
    println!("straight: {:?}", straight.limit);
    let value: serde_json::Value = serde_norway::from_str(file).unwrap();
    let through: Limits = serde_json::from_value(value).unwrap();
    println!("through serde_json::Value: {:?}", through.limit);
}
RUST
CARGO_TARGET_DIR="$dir/target" timeout 500 cargo run --quiet > seen
cat seen
diff seen - <<'EXPECTED'
straight: Some(inf)
through serde_json::Value: None
EXPECTED
