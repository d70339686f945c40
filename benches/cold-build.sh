#!/usr/bin/env bash
# How long a first build takes, and of how many crates: hookwire with its default features
# beside tonic with its own. Alternating, three times each; what counts is the ratio.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

project() { # NAME DEPENDENCY
    mkdir -p "$folder/$1/src"
    printf '[package]\nname = "uses-%s"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n%s\n' \
        "$1" "$2" > "$folder/$1/Cargo.toml"
    : > "$folder/$1/src/lib.rs"
    (cd "$folder/$1" && cargo fetch --quiet)
    crates=$(cd "$folder/$1" && cargo tree --edges normal,build --prefix none --no-dedupe \
        | sed 's/ (.*//' | grep -v '^uses-' | sort -u | wc -l)
    echo "$1: $crates crates"
}

build() { # NAME; prints seconds
    rm -rf "$folder/$1/target"
    local begin end
    begin=$(date +%s.%N)
    (cd "$folder/$1" && CARGO_TARGET_DIR="$folder/$1/target" CARGO_INCREMENTAL=0 \
        cargo build --release --offline --quiet)
    end=$(date +%s.%N)
    echo "$end $begin" | awk '{ printf "%.1f\n", $1 - $2 }'
}

project hookwire "hookwire = { path = \"$here\" }"
project tonic 'tonic = "0.14"'
for round in 1 2 3; do
    ours=$(build hookwire)
    theirs=$(build tonic)
    echo "round $round: hookwire $ours s, tonic $theirs s, $(echo "$ours $theirs" | awk '{ printf "%.2f", $1 / $2 }') times"
done
