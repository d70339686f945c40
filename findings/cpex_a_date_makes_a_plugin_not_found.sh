#!/usr/bin/env bash
# cpex 0.1.4 (Python): one YAML date in a plugin's settings, and its server answers "no such
# plugin", with the plugin's entry in the same answer; and a list of all plugins ends before it.
#
# The server turns a plugin's entry into a protobuf Struct, which takes no date. The error is caught
# after the message was filled in part and its `found` was set: `found` is set back to false, the
# content stays. Hooks of that plugin run as ever. Of three plugins, the second one with a date, the
# list of all holds the first only. (Unquoted `2026-01-02` is a date in YAML.)
#
# Seen, Python 3.11.7, protobuf 7.36.2:
#   Plain: found=True name=Plain
#   Dated: found=False name=Dated
#   Nobody: found=False name=None
#   all: Plain
# Fails if that changes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 500 venv/bin/pip install --quiet --disable-pip-version-check -r "$here/../tests/reference/requirements.txt"
cat > quiet_plugin.py <<'PYTHON'
from cpex.framework import Plugin, PluginResult


class Quiet(Plugin):
    async def tool_pre_invoke(self, payload, context):
        return PluginResult()
PYTHON
cat > plugins.yaml <<'YAML'
plugins:
  - {name: Plain, kind: quiet_plugin.Quiet, hooks: [tool_pre_invoke], mode: sequential, config: {since: "2026-01-02"}}
  - {name: Dated, kind: quiet_plugin.Quiet, hooks: [tool_pre_invoke], mode: sequential, config: {since: 2026-01-02}}
  - {name: Last, kind: quiet_plugin.Quiet, hooks: [tool_pre_invoke], mode: sequential}
plugin_dirs: []
YAML
PYTHONPATH=. timeout 120 venv/bin/python - > seen 2> log <<'PYTHON'
import asyncio

from cpex.framework.external.grpc.proto import plugin_service_pb2 as messages
from cpex.framework.external.unix.protocol import read_message, write_message_async
from cpex.framework.external.unix.server.server import UnixSocketPluginServer


async def main():
    server = UnixSocketPluginServer("plugins.yaml", "plugins.sock")
    await server.start()
    reader, writer = await asyncio.open_unix_connection("plugins.sock")

    async def ask(request, reply):
        await write_message_async(writer, request.SerializeToString())
        reply.ParseFromString(await read_message(reader, timeout=30))
        return reply

    for name in ("Plain", "Dated", "Nobody"):
        request = messages.GetPluginConfigRequest(name=name)
        reply = await ask(request, messages.GetPluginConfigResponse())
        told = reply.config.fields["name"].string_value if "name" in reply.config.fields else None
        print(f"{name}: found={reply.found} name={told}")
    reply = await ask(messages.GetPluginConfigsRequest(), messages.GetPluginConfigsResponse())
    print("all:", " ".join(config["name"] for config in reply.configs))
    writer.close()
    await server.stop()


asyncio.run(main())
PYTHON
cat seen
diff seen - <<'EXPECTED'
Plain: found=True name=Plain
Dated: found=False name=Dated
Nobody: found=False name=None
all: Plain
EXPECTED
