#!/usr/bin/env bash
# prost 0.14.6 (Rust) and protobuf 7.36.2 (Python) disagree about a known field whose wire type
# is not the one of the schema.
#
# A message has the string field 1. The bytes 08 07 12 02 68 69 hold field 1 as a number and an
# unknown field 2. Python's protobuf does what the language guide describes for data of another
# schema: the field counts as unknown, the string is empty, and all bytes are written again. prost
# refuses the whole message: "invalid wire type: Varint (expected LengthDelimited)". A service on
# prost therefore fails on what its peers take, after a field's type was changed.
#
# Seen, on Linux x86-64:
#   python  value='' writes 080712026869
#   prost   refused: wire type
# Fails if either does something else.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check protobuf==7.36.2
python=$(timeout 60 venv/bin/python - <<'PYTHON'
from google.protobuf.wrappers_pb2 import StringValue

message = StringValue.FromString(bytes.fromhex("080712026869"))
print(f"value={message.value!r} writes {message.SerializeToString().hex()}")
PYTHON
)

mkdir -p rust/src
cat > rust/Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
prost = "=0.14.6"
[workspace]
TOML
cat > rust/src/main.rs <<'RUST'
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

fn main() {
    let bytes = [0x08, 0x07, 0x12, 0x02, b'h', b'i'];
    match Named::decode(&bytes[..]) {
        Ok(named) => println!("taken: {:?}", named.name),
        Err(error) if error.to_string().contains("invalid wire type") => println!("refused: wire type"),
        Err(error) => println!("refused: {error}"),
    }
}
RUST
prost=$(CARGO_TARGET_DIR="$dir/target" timeout 500 cargo run --quiet --manifest-path rust/Cargo.toml)

echo "python  $python"
echo "prost   $prost"
[ "$python" = "value='' writes 080712026869" ]
[ "$prost" = "refused: wire type" ]
