#!/usr/bin/env bash
# cpex 0.1.4 on Python 3.12 and later: a plugin server that is told to stop waits for clients that ask
# for nothing, and answers each of them once more.
#
# Since Python 3.12 `asyncio.Server.wait_closed` waits until every connection is closed. The server's
# stop waits there first and closes none, so after SIGTERM it lives for as long as any client keeps an
# idle connection (up to the 300 s after which it closes those). It takes no new connections meanwhile.
# A loop that looks for "still running?" between requests is already waiting for the next one: so an
# idle connection gets exactly one more request answered, by a server that is stopping, and is closed
# then. On Python 3.11 the same server ends within a second.
#
# Seen, Python 3.13.0:
#   5 s after SIGTERM, one idle client: still running
#   a question on the idle connection: answered
#   the next question: connection closed
#   the server then: ended
# Fails if that changes. Without a Python of 3.12 or later it says so and ends with 77.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python=
for candidate in python3.13 python3.12 python3.14 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2> /dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "needs Python 3.12 or later"; exit 77; }
"$python" -m venv venv
timeout 500 venv/bin/pip install --quiet --disable-pip-version-check -r "$here/../tests/reference/requirements.txt"
echo 'plugins: []' > plugins.yaml
export PLUGINS_CONFIG_PATH=plugins.yaml PLUGINS_UNIX_SOCKET_PATH="$dir/plugins.sock"
timeout 150 venv/bin/python - > seen 2> log <<'PYTHON'
import os
import signal
import socket
import subprocess
import sys

server = subprocess.Popen(
    [sys.executable, "-m", "cpex.framework.external.unix.server.runtime"],
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
)
try:
    while server.stdout.readline().strip() != "READY":
        assert server.poll() is None, "it does not start"
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(os.environ["PLUGINS_UNIX_SOCKET_PATH"])

    def ask():
        """All configurations: an empty message there, and one back, for there is no plugin."""
        try:
            client.sendall(bytes(4))
            return "answered" if client.recv(64) == bytes(4) else "connection closed"
        except (BrokenPipeError, ConnectionResetError):
            return "connection closed"

    def wait(seconds):
        try:
            server.wait(seconds)
            return "ended"
        except subprocess.TimeoutExpired:
            return "still running"

    assert ask() == "answered"
    server.send_signal(signal.SIGTERM)
    print("5 s after SIGTERM, one idle client:", wait(5))
    print("a question on the idle connection:", ask())
    print("the next question:", ask())
    print("the server then:", wait(20))
finally:
    server.kill()
PYTHON
cat seen
diff seen - <<'EXPECTED'
5 s after SIGTERM, one idle client: still running
a question on the idle connection: answered
the next question: connection closed
the server then: ended
EXPECTED
