#!/usr/bin/env bash
# PyYAML 6.0.4: of several mappings that are merged, the first has its say for keys of one character, and the last
# for longer ones.
#
# YAML's merge key says that earlier mappings of the list win, and up to 6.0.3 they do. 6.0.4 keeps their order and
# leaves keys out that were there before; whether one was it sees by the identity of the text, and Python has one
# object for all texts of the same single character, but not for longer ones. What was meant to be the fallback wins.
#
# Seen, Python 3.11.7:
#   6.0.3: x=first mode=first
#   6.0.4: x=first mode=second
# Fails if that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
for version in 6.0.3 6.0.4; do
    timeout 200 venv/bin/pip install --quiet --disable-pip-version-check "PyYAML==$version"
    venv/bin/python - <<'PYTHON'
import yaml

merged = yaml.safe_load("""
first: &first {x: first, mode: first}
second: &second {x: second, mode: second}
merged: {<<: [*first, *second]}
""")["merged"]
print(f"{yaml.__version__}: x={merged['x']} mode={merged['mode']}")
PYTHON
done > seen
cat seen
diff seen - <<'EXPECTED'
6.0.3: x=first mode=first
6.0.4: x=first mode=second
EXPECTED
