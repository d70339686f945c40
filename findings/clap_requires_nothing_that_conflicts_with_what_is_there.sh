#!/usr/bin/env bash
# clap 4.6.9: `requires` is not held to where the argument that is required conflicts with one that is there.
#
# `--tls` requires `--remote`; `--remote` conflicts with `--socket`. `--tls` alone is refused, and so is `--remote`
# beside `--socket`; but `--socket PATH --tls` passes, with a flag that means nothing. Whoever wants it refused has
# to look by hand, or to write the conflict of `--tls` with `--socket` too.
#
# Seen:
#   --tls: refused
#   --socket a --remote b: refused
#   --socket a --tls: accepted
#   --socket a --tls, with a conflict between the two: refused
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
clap = { version = "=CLAP", default-features = false, features = ["std"] }
[workspace]
TOML
sed -i "s/CLAP/4.6.9/" Cargo.toml
cat > src/main.rs <<'RUST'
use clap::{Arg, ArgAction, Command};

fn look(what: &str, arguments: &[&str], both_ways: bool) {
    let mut tls = Arg::new("tls").long("tls").action(ArgAction::SetTrue).requires("remote");
    if both_ways {
        tls = tls.conflicts_with("socket");
    }
    let command = Command::new("finding")
        .arg(Arg::new("socket").long("socket"))
        .arg(Arg::new("remote").long("remote").conflicts_with("socket"))
        .arg(tls);
    let arguments = ["finding"].iter().chain(arguments);
    let outcome = command.try_get_matches_from(arguments);
    println!("{what}: {}", if outcome.is_ok() { "accepted" } else { "refused" });
}

fn main() {
    look("--tls", &["--tls"], false);
    look("--socket a --remote b", &["--socket", "a", "--remote", "b"], false);
    look("--socket a --tls", &["--socket", "a", "--tls"], false);
    look("--socket a --tls, with a conflict between the two", &["--socket", "a", "--tls"], true);
}
RUST
cargo run --quiet > seen
cat seen
expected='--tls: refused
--socket a --remote b: refused
--socket a --tls: accepted
--socket a --tls, with a conflict between the two: refused'
[ "$(cat seen)" = "$expected" ] || { echo "that has changed" >&2; exit 1; }
