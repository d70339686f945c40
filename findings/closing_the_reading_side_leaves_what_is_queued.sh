#!/usr/bin/env bash
# Linux: shutdown(SHUT_RD) on a Unix stream socket stops the peer's writes at once, and leaves what
# was queued to be read.
#
# On TCP the same call does nothing that the peer could notice. On a Unix socket the peer's next write
# fails with EPIPE. But bytes that it had written before stay, and are read after the shutdown as if
# nothing had happened; only then comes the end. So "no more input" is no cut between two messages:
# whoever reads on after it still gets the old ones, and the writer is told of a broken pipe though
# every byte of its last message is going to be read.
#
# Seen, Linux 6.18:
#   unix: the peer's write fails with EPIPE; read after the shutdown: b'queued', then the end
#   tcp: the peer's write is taken
# Fails if that changes. Needs no package but Python's own library.
set -eu
timeout 60 python3 - > /dev/stdout <<'PYTHON'
import socket

ours, theirs = socket.socketpair(socket.AF_UNIX)
theirs.send(b"queued")
ours.shutdown(socket.SHUT_RD)
try:
    theirs.send(b"more")
    written = "the peer's write is taken"
except BrokenPipeError:
    written = "the peer's write fails with EPIPE"
ours.settimeout(5)
read, end = ours.recv(64), ours.recv(64)
print(f"unix: {written}; read after the shutdown: {read!r}, then {'the end' if end == b'' else end}")
assert (written, read, end) == ("the peer's write fails with EPIPE", b"queued", b"")

listener = socket.create_server(("127.0.0.1", 0))
theirs = socket.create_connection(listener.getsockname())
ours, _ = listener.accept()
ours.shutdown(socket.SHUT_RD)
theirs.send(b"more")
theirs.send(b"and more")
print("tcp: the peer's write is taken")
PYTHON
