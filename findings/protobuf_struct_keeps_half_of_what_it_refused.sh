#!/usr/bin/env bash
# protobuf 7.36.2 (Python): a Struct that raises an error keeps what came before it, and a key
# without a value.
#
# `Struct.update` and `json_format.ParseDict` fill the message entry by entry. At a value that JSON
# does not have they raise ValueError or ParseError, and leave the message as it is at that moment:
# with the entries before, and with the key of the bad value, whose Value has no kind set. Whoever
# catches the error and sends the message anyway sends half of it, which no reader can tell from a
# whole one.
#
# Seen, for {"allowed": True, "until": <a date>, "by": "x"}:
#   update     raised; keys allowed,until; until has kind None
#   ParseDict  raised; keys allowed,until; until has kind None
# Fails if either does something else.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check protobuf==7.36.2
timeout 60 venv/bin/python - > seen <<'PYTHON'
import datetime

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

VALUES = {"allowed": True, "until": datetime.date(2026, 1, 2), "by": "x"}


def attempt(name, fill):
    struct = Struct()
    try:
        fill(struct)
        outcome = "taken"
    except (ValueError, json_format.ParseError):
        outcome = "raised"
    # Looked at after a round trip, as a reader on the other side sees it.
    struct = Struct.FromString(struct.SerializeToString())
    keys = ",".join(key for key in VALUES if key in struct.fields)
    kind = struct.fields["until"].WhichOneof("kind") if "until" in struct.fields else "absent"
    print(f"{name:<10} {outcome}; keys {keys}; until has kind {kind}")


attempt("update", lambda struct: struct.update(VALUES))
attempt("ParseDict", lambda struct: json_format.ParseDict(VALUES, struct))
PYTHON
cat seen
diff seen - <<'EXPECTED'
update     raised; keys allowed,until; until has kind None
ParseDict  raised; keys allowed,until; until has kind None
EXPECTED
