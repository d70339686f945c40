#!/usr/bin/env bash
# cpex 0.1.4 (Python): a plugin and those who ask its server about it see two different
# configurations of the same file.
#
# The server loads its file twice: for the plugins as a Jinja template, so that `{{ env.NAME }}`
# becomes the variable's value, and for questions (GetPluginConfig) as plain YAML. A gateway that
# merges or shows what the server tells has the text of the template where the plugin has the value;
# a value that decides something (a version, a description) is another one on either side.
#
# Seen, with SINCE=spring in the environment:
#   the plugin has: spring
#   the server tells: {{ env.SINCE }}
# Fails if that changes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 500 venv/bin/pip install --quiet --disable-pip-version-check -r "$here/../tests/reference/requirements.txt"
cat > telling_plugin.py <<'PYTHON'
from cpex.framework import Plugin, PluginResult


class Telling(Plugin):
    async def tool_pre_invoke(self, payload, context):
        return PluginResult(metadata={"since": self.config.config["since"]})
PYTHON
cat > plugins.yaml <<'YAML'
plugins:
  - {name: Telling, kind: telling_plugin.Telling, hooks: [tool_pre_invoke], mode: sequential, config: {since: "{{ env.SINCE }}"}}
plugin_dirs: []
YAML
SINCE=spring PYTHONPATH=. timeout 120 venv/bin/python - > seen 2> log <<'PYTHON'
import asyncio

from google.protobuf import json_format

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
        return json_format.MessageToDict(reply, preserving_proto_field_name=True)

    call = messages.InvokeHookRequest(hook_type="tool_pre_invoke", plugin_name="Telling")
    call.payload.update({"name": "tool", "args": {}})
    call.context.global_context.request_id = "1"
    reply = await ask(call, messages.InvokeHookResponse())
    print("the plugin has:", reply["result"]["metadata"]["since"])
    question = messages.GetPluginConfigRequest(name="Telling")
    reply = await ask(question, messages.GetPluginConfigResponse())
    print("the server tells:", reply["config"]["config"]["since"])
    writer.close()
    await server.stop()


asyncio.run(main())
PYTHON
cat seen
diff seen - <<'EXPECTED'
the plugin has: spring
the server tells: {{ env.SINCE }}
EXPECTED
