#!/usr/bin/env bash
# protobuf 7.36.2 (Python): a message is serialised without an error that the same library refuses
# to parse.
#
# Its parser takes 100 nested messages, its serialiser any number. An object in a
# `google.protobuf.Struct` costs three of them (Struct, map entry, Value), so JSON of 33 objects in
# one another is written, and cannot be read back by anybody with the usual limit: DecodeError. Code
# that only writes never learns of it.
#
# Seen:
#   30 objects: written, read
#   32 objects: written, read
#   34 objects: written, not read
#   60 objects: written, not read
# Fails if that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check protobuf==7.36.2
timeout 60 venv/bin/python - > seen <<'PYTHON'
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

for depth in (30, 32, 34, 60):
    value = "leaf"
    for _ in range(depth):
        value = {"k": value}
    struct = Struct()
    struct.update(value)
    message = struct.SerializeToString()
    try:
        outcome = "read" if Struct.FromString(message) == struct else "read as something else"
    except DecodeError:
        outcome = "not read"
    print(f"{depth} objects: written, {outcome}")
PYTHON
cat seen
diff seen - <<'EXPECTED'
30 objects: written, read
32 objects: written, read
34 objects: written, not read
60 objects: written, not read
EXPECTED
