#!/usr/bin/env bash
# Linux and Python's asyncio: who is on the other side of a Unix socket changes when a listening
# socket is told to listen again, which asyncio does with every socket that it is handed.
#
# SO_PEERCRED of a client names the process that called listen(), not the one that accepts. With a
# socket that a supervisor made and passed on, that should be the supervisor. But `listen()` on a
# socket that listens already notes the caller anew, and `asyncio.start_unix_server(sock=...)` always
# calls it: from then on new clients see the service, while those that connected before still see the
# supervisor. A check by user or process therefore answers by which library the service uses.
#
# Seen, Linux 6.18, Python 3.11:
#   passed on, accepted by the service: supervisor
#   passed on, served by asyncio: service
#   the earlier client, asked again: supervisor
# Fails if that changes. Needs no package but Python's own library.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat > look.py <<'PYTHON'
import asyncio
import os
import socket
import struct


def peer(client, names):
    pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return names.get(pid, "somebody else")


listener = socket.socket(socket.AF_UNIX)
listener.bind("passed.sock")
listener.listen(8)

go, ready = os.pipe(), os.pipe()
service = os.fork()
if service == 0:
    accepted, _ = listener.accept()
    os.write(ready[1], b"a")
    os.read(go[0], 1)

    async def serve():
        listener.setblocking(False)
        await asyncio.start_unix_server(lambda reader, writer: None, sock=listener)
        os.write(ready[1], b"b")
        await asyncio.sleep(30)

    asyncio.run(serve())
    os._exit(0)

names = {os.getpid(): "supervisor", service: "service"}
try:
    early = socket.socket(socket.AF_UNIX)
    early.connect("passed.sock")
    os.read(ready[0], 1)
    print("passed on, accepted by the service:", peer(early, names))
    os.write(go[1], b"g")
    os.read(ready[0], 1)
    late = socket.socket(socket.AF_UNIX)
    late.connect("passed.sock")
    print("passed on, served by asyncio:", peer(late, names))
    print("the earlier client, asked again:", peer(early, names))
finally:
    os.kill(service, 9)
    os.waitpid(service, 0)
PYTHON
timeout 60 python3 look.py > seen
cat seen
diff seen - <<'EXPECTED'
passed on, accepted by the service: supervisor
passed on, served by asyncio: service
the earlier client, asked again: supervisor
EXPECTED
